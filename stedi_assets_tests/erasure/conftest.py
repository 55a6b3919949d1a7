"""A lakehouse with rows of Ann, who withdraws."""

from __future__ import annotations

import gzip
import json
import shutil
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow.parquet as pq
import pytest

from stedi_assets.definitions import define
from stedi_assets.erasure.record import RECORDS
from stedi_assets.settings import Settings
from stedi_assets.tables import DELTA_TABLES, LANDING_TABLES, Table
from stedi_assets_tests.checks.conftest import GOOD, LATER, land
from stedi_assets_tests.rows import PSEUDONYMS, stored_rows

HERS = ("ann@example.com", "Ann Archer", "8015550101", "device-ann")
CUT = '{"customerName":"Ann Archer","email":"Ann@example.com","phone":"80155'
WITHDRAWAL = {"email": "Ann@Example.com ", "lastUpdateDate": LATER}
LENIENT = {table.name: {"config": {"max_malformed_share": 1.0}} for table in LANDING_TABLES}
ANN = PSEUDONYMS.of_text("ann@example.com")


@dataclass
class Lakehouse:
    """A lakehouse in a folder, with what a run needs."""

    folder: Path
    source: Path
    instance: dg.DagsterInstance

    def materialize(self) -> None:
        """Materialises every table."""
        assert self.execute("materialize_lakehouse", {"ops": LENIENT}).success

    def erase(self, *requested: str) -> dg.ExecuteInProcessResult:
        """Erases who has left, and those requested from landing too."""
        return self.execute("erase_withdrawn", {"erase_from_landing": list(requested)})

    def execute(self, job: str, config: dict[str, Any]) -> dg.ExecuteInProcessResult:
        """Runs a job."""
        settings = Settings(
            lakehouse_uri=str(self.folder),
            source_data=str(self.source),
            pseudonym_key=PSEUDONYMS.key,
        )
        resolved = define(settings).resolve_job_def(job)
        return resolved.execute_in_process(
            instance=self.instance, raise_on_error=False, run_config=config
        )

    def failure(self, *requested: str) -> str:
        """What an erasure fails with."""
        [failed] = [
            event.step_failure_data.user_failure_data
            for event in self.erase(*requested).all_events
            if event.is_step_failure
        ]
        assert failed is not None
        return str(failed.description)

    def land(self, source: str, name: str, *lines: str) -> None:
        """A file comes."""
        content = "".join(f"{line}\n" for line in lines)
        (self.source / source / "landing" / name).write_text(content)

    def arrive(self, record: dict) -> None:
        """A customer's record comes."""
        self.land("customer", f"{uuid.uuid4().hex}.json", json.dumps(record))

    def rows(self, table: Table) -> list[tuple]:
        """A table's rows."""
        found = stored_rows(self.folder / table.location).to_pylist()
        return sorted((tuple(row.values()) for row in found), key=repr)

    @property
    def delta_rows(self) -> dict[str, list[tuple]]:
        """The rows of the trusted and curated tables."""
        return {table.name: self.rows(table) for table in DELTA_TABLES}

    @property
    def times(self) -> dict[Path, int]:
        """Every file and when it was written."""
        return {path: path.stat().st_mtime_ns for path in self.folder.rglob("*")}

    @property
    def records(self) -> list[dict]:
        """The records of erasures."""
        return [json.loads(path.read_text()) for path in sorted((self.folder / RECORDS).iterdir())]

    def holding(self, *words: str, below: str = "") -> set[str]:
        """The files, packed or not, with any of the words in name or content, in any case."""
        return {
            name
            for path in (self.folder / below).rglob("*")
            if path.is_file()
            for name in [str(path.relative_to(self.folder))]
            if any(word.lower() in f"{name} {_text(path)}".lower() for word in words)
        }


def _text(path: Path) -> str:
    if path.suffix == ".parquet":
        return repr(pq.read_table(path).to_pylist()) + repr(pq.read_metadata(path))
    content = path.read_bytes()
    return (gzip.decompress(content) if path.suffix == ".gz" else content).decode(
        "utf-8", "replace"
    )


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ann's rows are in every table, with a line of hers in quarantine; then she withdraws."""
    folder = tmp_path_factory.mktemp("made")
    for table in LANDING_TABLES:
        land(folder / "source", table, GOOD[table.name])
    with dg.DagsterInstance.ephemeral() as instance:
        first = Lakehouse(folder / "lakehouse", folder / "source", instance)
        first.land("customer", "broken.json", CUT, '{"email":null}')
        first.materialize()
        shutil.copytree(folder, folder / "agreeing")
        first.arrive(WITHDRAWAL)
        first.materialize()
    return folder


@pytest.fixture
def lakehouse(made: Path, tmp_path: Path) -> Iterator[Lakehouse]:
    """Ann's rows are in every table, with a line of hers in quarantine."""
    yield from _copy(made / "agreeing", tmp_path)


@pytest.fixture
def withdrawn(made: Path, tmp_path: Path) -> Iterator[Lakehouse]:
    """Ann has withdrawn since, and the tables have followed."""
    yield from _copy(made, tmp_path)


def _copy(made: Path, folder: Path) -> Iterator[Lakehouse]:
    for name in ("lakehouse", "source"):
        shutil.copytree(made / name, folder / name)
    with dg.DagsterInstance.ephemeral() as instance:
        yield Lakehouse(folder / "lakehouse", folder / "source", instance)
