"""Tables of a lakehouse on the disk, and runs that use them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd
import pyarrow as pa
import pytest
from pyspark.sql import DataFrame

from stedi_assets.engine.spark import SparkResource
from stedi_assets.lakehouse.commit import Commit
from stedi_assets.lakehouse.lakehouse import Lakehouse
from stedi_assets.tables import TABLES, Table
from stedi_assets.tables.step_trainer import STEP_TRAINER_TRUSTED
from stedi_assets_tests.bound import bound
from stedi_assets_tests.incremental import Runs
from stedi_assets_tests.rows import (
    DEVICE_READINGS,
    NOON,
    Frame,
    customer,
    device_reading,
    phone_reading,
)
from stedi_assets_tests.strategies import DAY

TABLE = STEP_TRAINER_TRUSTED
READINGS = [device_reading("device-1", NOON, 201), device_reading("device-2", NOON, 202)]
Run = Callable[..., dg.ExecuteInProcessResult]
Load = Callable[..., Any]
KINDS = pytest.mark.parametrize(
    "kind", [DataFrame, pd.DataFrame, pa.Table], ids=["pyspark", "pandas", "pyarrow"]
)


def folder_of(lakehouse: Lakehouse, table: Table = TABLE) -> Path:
    """Where a table is on the disk."""
    return Path(lakehouse.uri) / table.location


def data_files(lakehouse: Lakehouse) -> dict[str, bytes]:
    """The data files of the table and what they hold."""
    return {path.name: path.read_bytes() for path in folder_of(lakehouse).glob("*.parquet")}


@pytest.fixture
def stored(lakehouse: Lakehouse, frame: Frame, spark_resource: SparkResource) -> Lakehouse:
    """A lakehouse with two versions of one table, as a later run sees it."""
    lakehouse.write(TABLE, frame(DEVICE_READINGS, READINGS[:1]), Commit(run="first"))
    lakehouse.write(TABLE, frame(DEVICE_READINGS, READINGS), Commit(run="second"))
    return Lakehouse(lakehouse.uri, spark_resource)


@pytest.fixture(scope="session")
def first_run(tmp_path_factory: pytest.TempPathFactory, spark_resource: SparkResource) -> Runs:
    """A lakehouse after its first run: ann and ben agree, cid does not; a file a day and source."""
    runs = Runs(tmp_path_factory.mktemp("first-run"), spark_resource)
    people = [("ann", "device-1"), ("ben", "device-2"), ("cid", "device-3")]
    records = [customer(f"{name}@example.com", device) for name, device in people[:2]]
    records.append(customer("cid@example.com", "device-3", consent=None))
    runs.land("customer_landing", records, "people.json")
    for day in range(4):
        time = NOON - day * DAY
        phones = [phone_reading(f"{name}@example.com", time) for name, _ in people]
        runs.land("accelerometer_landing", phones, f"day-{day}.json")
        devices = [device_reading(device, time) for _, device in people]
        runs.land("step_trainer_landing", devices, f"day-{day}.json")
    runs.run()
    return runs


@pytest.fixture
def runs(first_run: Runs, tmp_path: Path) -> Runs:
    """A copy of it, which knows its files again."""
    shutil.copytree(first_run.folder, tmp_path / "runs")
    return Runs(tmp_path / "runs", first_run.spark)


@pytest.fixture
def run(lakehouse: Lakehouse, spark_resource: SparkResource) -> Run:
    """Materialises an asset in a run of its own, reading what it needs from the lakehouse."""

    def materialize(
        asset: dg.AssetsDefinition, config: dict | None = None
    ) -> dg.ExecuteInProcessResult:
        others = [dg.AssetSpec(name) for name in TABLES if dg.AssetKey(name) not in asset.keys]
        fresh = Lakehouse(lakehouse.uri, spark_resource)
        return dg.materialize(
            [asset, *others],
            selection=[asset],
            resources={
                **bound(fresh),
            },
            run_config={"ops": config or {}},
        )

    return materialize


@pytest.fixture
def load(run: Run) -> Load:
    """What an asset gets of a table when it asks for it by a type."""

    def load_as(table: Table, kind: Any, columns: list[str] | None = None) -> Any:
        got = []

        def reader(given):
            got.append(given)

        reader.__annotations__ = {"given": kind, "return": None}
        metadata = {"columns": columns} if columns else None
        run(dg.asset(ins={"given": dg.AssetIn(table.name, metadata=metadata)})(reader))
        [loaded] = got
        return loaded

    return load_as
