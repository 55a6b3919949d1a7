"""Samples on disk, each written once, and what their lines hold."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from stedi_assets.sample import cohort
from stedi_assets.sample.files import write_sample
from stedi_assets.sample.spec import SampleSpec
from stedi_assets.tables import LANDING_TABLES, Table

SEED = 7
TYPES = {"string": str, "bigint": int, "int": int, "double": float}
HARD = SampleSpec(seed=SEED, malformed=0.01, duplicates=0.02, withdrawn=0.1)


@dataclass
class Sample:
    """A sample on disk, read once, and the manifest that its writing returned."""

    folder: Path
    manifest: dict[str, Any]

    def files(self, table: Table) -> list[Path]:
        """The landing files of a source, in order."""
        return sorted((self.folder / table.location).glob("*.json"))

    def lines(self, table: Table) -> list[str]:
        """The lines of all landing files of a source."""
        return [line for path in self.files(table) for line in path.read_text().splitlines()]

    @cached_property
    def frames(self) -> list[pd.DataFrame]:
        """The well-formed records of customers, phones and devices."""
        return [
            pd.DataFrame(
                [record for line in self.lines(table) if (record := record_of(line, table))],
                columns=table.column_names,
            )
            for table in LANDING_TABLES
        ]


@pytest.fixture(scope="session")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    return _sample(tmp_path_factory, SampleSpec(seed=SEED))


@pytest.fixture(scope="session")
def hard(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    return _sample(tmp_path_factory, HARD)


@pytest.fixture(scope="session")
def many(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    with pytest.MonkeyPatch.context() as monkeypatch:
        shrink_cohorts(monkeypatch)
        return _sample(tmp_path_factory, replace(HARD, scale=5))


def _sample(folders: pytest.TempPathFactory, spec: SampleSpec) -> Sample:
    folder = folders.mktemp("sample")
    return Sample(folder, write_sample(folder, spec))


def shrink_cohorts(monkeypatch: pytest.MonkeyPatch) -> None:
    few_people = {
        "PEOPLE": 40,
        "CONSENT": {"before": 4, "during": 15, "after": 1, "never": 20},
        "ROWS_AT_TIME": {3: 1_000, 2: 200},
        "STARTS": 10_000,
    }
    for name, value in few_people.items():
        monkeypatch.setattr(cohort, name, value)


def record_of(text: str, table: Table) -> dict[str, Any] | None:
    try:
        record = json.loads(text)
    except ValueError:
        return None
    if not isinstance(record, dict):
        return None
    for column in table.columns:
        expected = column.required or column.name in record
        if expected and not isinstance(record.get(column.name), TYPES[column.type]):
            return None
    return record
