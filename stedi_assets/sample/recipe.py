"""The recipe of a sample: how many of everything, and in which files."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from stedi_assets.tables import Table

PEOPLE = 956
# When people consent, relative to their recording: how many of a cohort.
CONSENT = {"before": 96, "during": 368, "after": 18, "never": 474}
CONSENTING = PEOPLE - CONSENT["never"]
TIMES = 30
# Accelerometer rows at one person's timestamp: at how many timestamps of a cohort. The sums are
# 28,680 timestamps and 81,273 rows.
ROWS_AT_TIME = {3: 24_011, 2: 4_540, 1: 120, 4: 6, 5: 2, 6: 1}
ROWS_OF_PERSON = range(77, 91)
LINES_OF_FILE = 10_000
LEAST_FILES = 2


@dataclass(frozen=True)
class Recipe:
    """What determines a sample, to the byte.

    Attributes:
        seed: The seed of every random choice.
        scale: How many cohorts of 956 people, at least 1.
        malformed: Unreadable lines added to each file, as a fraction of its records, in [0, 1).
        duplicates: Records written a second time, as a fraction of all, in [0, 1).
        withdrawn: Consenting customers whose later record withdraws consent, as a fraction of
            them, in [0, 1).
    """

    seed: int = 7
    scale: int = 1
    malformed: float = 0.0
    duplicates: float = 0.0
    withdrawn: float = 0.0

    def random(self, cohort: int, purpose: str) -> Random:
        """Random numbers of their own for each purpose, so that no option changes another's."""
        return Random(f"{self.seed}/{cohort}/{purpose}")

    def files(self, table: Table) -> int:
        """How many files a cohort's records of a source fill, with their malformed lines."""
        records = {
            "customer": PEOPLE + round(self.withdrawn * CONSENTING),
            "accelerometer": sum(rows * times for rows, times in ROWS_AT_TIME.items()),
            "step_trainer": PEOPLE * TIMES,
        }[table.source]
        records += round(self.duplicates * records)
        return max(LEAST_FILES, -(-records // int(LINES_OF_FILE / (1 + self.malformed))))

    def file_name(self, table: Table, index: int) -> str:
        """The name of a source's file."""
        return f"{table.source}-{index:06d}.json"

    def file_names(self, table: Table) -> list[str]:
        """The names of a source's files, in the order of their cohorts."""
        return [self.file_name(table, index) for index in range(self.scale * self.files(table))]
