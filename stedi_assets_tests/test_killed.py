"""A run that dies at any moment leaves each table whole, and the next run ends where it would have.

What a kill leaves on the disk is what is there at that moment. So one run is looked at in every
upload, before every write, and in it, between the data files and the commit. `test_pipeline` kills
real processes.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa
import pytest

from stedi_assets import tables
from stedi_assets.engine.spark import SparkResource
from stedi_assets.lakehouse import delta, writer
from stedi_assets.lakehouse.lakehouse import Lakehouse
from stedi_assets.orchestration.source import SourceData
from stedi_assets.storage import local
from stedi_assets.tables import DELTA_TABLES, LANDING_TABLES, QUARANTINE_TABLES
from stedi_assets_tests.bound import ASSETS, bound
from stedi_assets_tests.checks.conftest import GOOD, land
from stedi_assets_tests.rows import (
    MORNING,
    NOON,
    PLACE,
    customer,
    device_reading,
    phone_reading,
)

pytestmark = pytest.mark.slow

STORED = (*QUARANTINE_TABLES, *DELTA_TABLES)
# A run takes a second; the tables between these are written as these are.
RECOVERED = (
    "in an upload",
    "in accelerometer_records",
    "before accelerometer_quarantine",
    "in accelerometer_quarantine",
    "in accelerometer_trusted",
    "in machine_learning_curated",
)
NEW = {
    "customer_landing": customer("cat@example.com", "device-cat", MORNING),
    "accelerometer_landing": phone_reading("cat@example.com", NOON + 1),
    "step_trainer_landing": device_reading("device-cat", NOON + 1),
}
Contents = dict[str, pa.Table | None]


class Moments:
    """What a kill would have left of a lakehouse, at moments of a run.

    Attributes:
        found: Each moment and a copy of the lakehouse.
    """

    def __init__(self, lakehouse: Path, kept: Path) -> None:
        self.lakehouse, self.kept = lakehouse, kept
        self.found: list[tuple[str, Path]] = []

    def look(self, moment: str) -> Path:
        """Copies what is there."""
        copy = self.kept / str(len(self.found))
        shutil.copytree(self.lakehouse, copy)
        self.found.append((moment, copy))
        return copy

    def look_back(self, table: tables.Table) -> None:
        """What was there in the middle of a write: half of a data file, and no commit yet."""
        folder = self.look(f"in {table.name}") / table.location
        newest = max((folder / "_delta_log").glob("*.json"))
        newest.unlink()
        newest.with_suffix(".crc").unlink(missing_ok=True)  # which is written after it
        data = max(folder.glob("*.parquet"), key=lambda path: path.stat().st_mtime_ns)
        os.truncate(data, data.stat().st_size // 2)


Run = Callable[[Path], None]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A source of four people."""
    for table in LANDING_TABLES:
        land(tmp_path / "source", table, GOOD[table.name])
    return tmp_path / "source"


@pytest.fixture
def run(source: Path, spark_resource: SparkResource) -> Run:
    """Materialises every table of a lakehouse; with the checks it would take twice as long."""

    def materialize(lakehouse: Path) -> None:
        stored = Lakehouse(str(lakehouse), spark_resource)
        resources = {
            **bound(stored),
            "source": SourceData(path=str(source)),
        }
        any_share = {"config": {"max_malformed_share": 1.0}}
        config = {"ops": {table.name: any_share for table in LANDING_TABLES}}
        assert dg.materialize(list(ASSETS.values()), resources=resources, run_config=config).success

    return materialize


@pytest.fixture
def moments(
    run: Run, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[Moments, Contents, Contents]:
    """The moments of a second run, which a new person's files meet; the tables before and after."""
    lakehouse = tmp_path / "lakehouse"
    run(lakehouse)
    before = contents(lakehouse)
    for table in LANDING_TABLES:
        record = dict(zip(table.column_names, NEW[table.name], strict=True))
        lines = f"{json.dumps(record)}\n{{\n"
        (source / table.location / "new.json").write_text(lines)
    moments = Moments(lakehouse, tmp_path / "moments")
    copy = shutil.copyfile

    def halved(source: Path, target: Path) -> None:
        target.write_bytes(source.read_bytes()[:10])
        moments.look("in an upload")
        copy(source, target)

    def watched(write: Callable[..., delta.TableState]) -> Callable[..., delta.TableState]:
        def writes(uri: str, table: tables.Table, *given: Any) -> delta.TableState:
            moments.look(f"before {table.name}")
            written = write(uri, table, *given)
            moments.look_back(table)
            return written

        return writes

    with monkeypatch.context() as patch:
        patch.setattr(local, "copyfile", halved)
        for name in ("overwrite", "update"):
            patch.setattr(writer, name, watched(getattr(writer, name)))
        run(lakehouse)
    return moments, before, contents(lakehouse)


def contents(lakehouse: Path) -> Contents:
    """The rows of every table, which fails where one is damaged."""
    found = {}
    for table in STORED:
        uri = f"file://{lakehouse}/{table.location}"
        stored = delta.open_table(uri)
        names = [name for name in table.column_names if name not in PLACE]
        rows = delta.dataset(uri, stored).to_table(names) if stored else None
        found[table.name] = rows.sort_by([(name, "ascending") for name in names]) if rows else None
    return found


def test__killed__at_any_moment(
    moments: tuple[Moments, Contents, Contents], run: Run, tmp_path: Path
) -> None:
    looked, before, after = moments
    assert [name for name in before if before[name] == after[name]] == []
    for moment, lakehouse in looked.found:
        for name, rows in contents(lakehouse).items():
            assert rows in (before[name], after[name]), (moment, name)

    found = dict(looked.found)
    assert {f"in {table.name}" for table in STORED} < set(found)
    for moment in RECOVERED:
        run(found[moment])
        assert contents(found[moment]) == after, moment
