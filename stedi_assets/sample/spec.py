"""What determines a sample."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random


@dataclass(frozen=True)
class SampleSpec:
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
        """Random numbers for one purpose, so that no option changes the numbers of another."""
        return Random(f"{self.seed}/{cohort}/{purpose}")
