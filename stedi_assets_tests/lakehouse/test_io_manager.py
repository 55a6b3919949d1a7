"""Tables are written whole or not at all, read as asked for, and described from their log."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd
import pyarrow as pa
import pytest
from deltalake import DeltaTable
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from stedi_assets import tables
from stedi_assets.assets import curated
from stedi_assets.errors import LakehouseError
from stedi_assets.lakehouse import delta, upkeep
from stedi_assets.lakehouse.io_manager import LakehouseIOManager
from stedi_assets.resources.spark import SparkResource
from stedi_assets.tables import TABLES, Table
from stedi_assets_tests.rows import (
    CUSTOMERS,
    DEVICE_READINGS,
    MORNING,
    NOON,
    PHONE_READINGS,
    PSEUDONYMS,
    customer,
    device_reading,
    pair,
    phone_reading,
    rows,
)

Frame = Callable[[str, list[tuple]], DataFrame]
TABLE = tables.STEP_TRAINER_TRUSTED
READINGS = [device_reading("device-1", NOON, 201), device_reading("device-2", NOON, 202)]


def folder(lakehouse: LakehouseIOManager, table: Table = TABLE) -> Path:
    """Where a table is on the disk."""
    return Path(lakehouse.uri) / table.location


def data_files(lakehouse: LakehouseIOManager) -> dict[str, bytes]:
    """The data files of the table and what they hold."""
    return {path.name: path.read_bytes() for path in folder(lakehouse).glob("*.parquet")}


@pytest.fixture
def stored(
    lakehouse: LakehouseIOManager, frame: Frame, spark_resource: SparkResource
) -> LakehouseIOManager:
    """A lakehouse with two versions of one table, as a later run sees it."""
    lakehouse.write(TABLE, frame(DEVICE_READINGS, READINGS[:1]), {"run": "first"})
    lakehouse.write(TABLE, frame(DEVICE_READINGS, READINGS), {"run": "second"})
    return LakehouseIOManager(uri=lakehouse.uri, spark=spark_resource)


# Writing


@pytest.mark.parametrize("made", [READINGS, READINGS[:1] * 3, []], ids=["two", "repeated", "none"])
def test__write__reads_back_the_same(
    made: list[tuple], lakehouse: LakehouseIOManager, frame: Frame
) -> None:
    state = lakehouse.write(TABLE, frame(DEVICE_READINGS, made), {"run": "one"})
    assert rows(lakehouse.read(TABLE)) == made
    assert lakehouse.read(TABLE).dtypes == [(column.name, column.type) for column in TABLE.columns]
    assert (state.version, state.rows, state.commit) == (0, len(made), {"run": "one"})


def test__write__keeps_nulls_and_any_text(lakehouse: LakehouseIOManager, frame: Frame) -> None:
    people = [
        customer("ann@example.com", consent=None, name=None, phone=None, updated=None),
        customer("zoë@example.com", name='Zoë "Z" O\'Neil, 女\n'),
    ]
    lakehouse.write(tables.CUSTOMER_TRUSTED, frame(CUSTOMERS, people), {})
    assert rows(lakehouse.read(tables.CUSTOMER_TRUSTED)) == sorted(people, key=repr)


def test__write__again_changes_only_the_version(stored: LakehouseIOManager, frame: Frame) -> None:
    before = stored.state(TABLE)
    after = stored.write(TABLE, frame(DEVICE_READINGS, READINGS), {"run": "third"})
    assert before is not None
    assert rows(stored.read(TABLE)) == READINGS
    assert (before.version, after.version) == (1, 2)
    assert (before.rows, before.files) == (after.rows, after.files)


def test__write__of_itself(stored: LakehouseIOManager) -> None:
    stored.write(TABLE, stored.read(TABLE).where(F.col("serialNumber") == "device-2"), {})
    assert rows(stored.read(TABLE)) == READINGS[1:]


def test__write__columns_may_change(stored: LakehouseIOManager, frame: Frame) -> None:
    stored.write(TABLE, frame("serialNumber string, battery int", [("device-1", 5)]), {})
    assert rows(stored.read(TABLE)) == [("device-1", 5)]


def test__write__frame_that_fails_leaves_the_last_good_version(
    stored: LakehouseIOManager, frame: Frame
) -> None:
    before = stored.state(TABLE)
    fails = F.when(F.col("serialNumber") == "device-2", F.raise_error(F.lit("no such reading")))
    failing = frame(DEVICE_READINGS, READINGS).withColumn("distanceFromObject", fails.cast("int"))
    with pytest.raises(PySparkException, match="no such reading"):
        stored.write(TABLE, failing, {"run": "third"})
    assert stored.state(TABLE) == before
    assert rows(stored.read(TABLE)) == READINGS


def test__write__frame_that_fails_makes_no_table(
    lakehouse: LakehouseIOManager, frame: Frame
) -> None:
    failing = frame(DEVICE_READINGS, READINGS).withColumn(
        "distanceFromObject", F.raise_error(F.lit("no such reading")).cast("int")
    )
    with pytest.raises(PySparkException, match="no such reading"):
        lakehouse.write(TABLE, failing, {})
    assert lakehouse.state(TABLE) is None


# What Dagster is told


Run = Callable[..., dg.ExecuteInProcessResult]


@pytest.fixture
def run(lakehouse: LakehouseIOManager, spark_resource: SparkResource) -> Run:
    """Materialises an asset in a run of its own, reading what it needs from the lakehouse."""

    def materialize(
        asset: dg.AssetsDefinition, config: dict | None = None
    ) -> dg.ExecuteInProcessResult:
        others = [dg.AssetSpec(name) for name in TABLES if dg.AssetKey(name) not in asset.keys]
        fresh = LakehouseIOManager(uri=lakehouse.uri, spark=spark_resource)
        return dg.materialize(
            [asset, *others],
            selection=[asset],
            resources={
                "io_manager": dg.IOManagerDefinition.hardcoded_io_manager(fresh),
                "pseudonyms": dg.ResourceDefinition.hardcoded_resource(PSEUDONYMS),
            },
            run_config={"ops": config or {}},
        )

    return materialize


@pytest.fixture
def parents(lakehouse: LakehouseIOManager, frame: Frame) -> LakehouseIOManager:
    """A lakehouse with the three parents of machine_learning_curated."""
    for table, ddl, made in [
        (
            tables.STEP_TRAINER_TRUSTED,
            DEVICE_READINGS,
            [device_reading("device-1"), device_reading("device-2")],
        ),
        (tables.ACCELEROMETER_TRUSTED, PHONE_READINGS, [phone_reading("ann@example.com")]),
        (tables.CUSTOMER_CURATED, CUSTOMERS, [customer("ann@example.com", "device-1", MORNING)]),
    ]:
        lakehouse.write(table, frame(ddl, made), {})
    return lakehouse


def test__materialization__metadata(parents: LakehouseIOManager, run: Run) -> None:
    table = tables.MACHINE_LEARNING_CURATED
    [materialization] = run(curated.machine_learning_curated).asset_materializations_for_node(
        "machine_learning_curated"
    )
    told: dict[str, Any] = {name: value.value for name, value in materialization.metadata.items()}

    files = list(folder(parents, table).rglob("*.parquet"))
    assert told["dagster/row_count"] == 2
    assert told["delta_version"] == 0
    assert told["files"] == len(files)
    assert told["size_bytes"] == sum(path.stat().st_size for path in files)
    assert told["dagster/uri"] == f"file://{folder(parents, table)}"
    assert told["dagster/table_name"] == "machine_learning_curated"
    assert told["figures"]["funnel"] == [
        {"table": "accelerometer_trusted", "zone": "trusted", "rows": 1, "people": 1},
        {"table": "step_trainer_trusted", "zone": "trusted", "rows": 2, "people": 1},
        {"table": "customer_curated", "zone": "curated", "rows": 1, "people": 1},
        {"table": "machine_learning_curated", "zone": "curated", "rows": 2, "people": 1},
    ]
    for picture in ("funnel", "movement_over_time", "movement_by_distance"):
        assert told[picture].startswith("![")
        assert "](data:image/svg+xml;base64," in told[picture]


def test__materialization__preview_of_no_personal_column(
    parents: LakehouseIOManager, run: Run, frame: Frame
) -> None:
    people = [customer(f"{i:02}@example.com", f"device-{11 - i:02}") for i in range(12)]
    parents.write(tables.CUSTOMER_TRUSTED, frame(CUSTOMERS, people), {})
    readings = [phone_reading(f"{i:02}@example.com") for i in range(12)]
    parents.write(tables.ACCELEROMETER_TRUSTED, frame(PHONE_READINGS, readings), {})
    [materialization] = run(curated.customer_curated).asset_materializations_for_node(
        "customer_curated"
    )
    lines = str(materialization.metadata["preview"].value).splitlines()
    assert lines[0] == (
        "| serialNumber | registrationDate | lastUpdateDate | shareWithResearchAsOfDate "
        "| shareWithPublicAsOfDate | shareWithFriendsAsOfDate |"
    )
    assert [line.split(" | ")[0] for line in lines[2:]] == [f"| device-{i:02}" for i in range(10)]
    assert lines[2].endswith(f" | {MORNING} | {MORNING} | {MORNING} |  |  |")


def test__materialization__preview_of_no_rows(
    parents: LakehouseIOManager, run: Run, frame: Frame
) -> None:
    parents.write(tables.CUSTOMER_TRUSTED, frame(CUSTOMERS, []), {})
    [materialization] = run(curated.customer_curated).asset_materializations_for_node(
        "customer_curated"
    )
    assert materialization.metadata["dagster/row_count"].value == 0
    assert "preview" not in materialization.metadata


def test__materialization__lineage_of_each_column(parents: LakehouseIOManager, run: Run) -> None:
    [materialization] = run(curated.machine_learning_curated).asset_materializations_for_node(
        "machine_learning_curated"
    )
    lineage = materialization.metadata["dagster/column_lineage"].value
    assert isinstance(lineage, dg.TableColumnLineage)
    found = {
        column: [(dep.asset_key.to_user_string(), dep.column_name) for dep in deps]
        for column, deps in lineage.deps_by_column.items()
    }
    assert found == {
        "sensorReadingTime": [("step_trainer_trusted", "sensorReadingTime")],
        "serialNumber": [("step_trainer_trusted", "serialNumber")],
        "distanceFromObject": [("step_trainer_trusted", "distanceFromObject")],
        "timestamp": [("accelerometer_trusted", "timestamp")],
        "x": [("accelerometer_trusted", "x")],
        "y": [("accelerometer_trusted", "y")],
        "z": [("accelerometer_trusted", "z")],
    }


def test__materialization__lineage_of_a_restricted_table(
    parents: LakehouseIOManager, run: Run, frame: Frame
) -> None:
    people = frame(CUSTOMERS, [customer("ann@example.com")])
    parents.write(tables.CUSTOMER_TRUSTED, people, {})
    [materialization] = run(curated.customer_curated).asset_materializations_for_node(
        "customer_curated"
    )
    lineage = materialization.metadata["dagster/column_lineage"].value
    assert isinstance(lineage, dg.TableColumnLineage)
    assert set(lineage.deps_by_column) == set(tables.CUSTOMER_CURATED.column_names)
    for column, deps in lineage.deps_by_column.items():
        assert [(dep.asset_key.to_user_string(), dep.column_name) for dep in deps] == [
            ("customer_trusted", column)
        ]


@pytest.mark.parametrize("options", [{}, {"match_device": True}])
def test__materialization__commit_keeps_run_and_options(
    options: dict, parents: LakehouseIOManager, run: Run
) -> None:
    config = {"machine_learning_curated": {"config": options}}
    result = run(curated.machine_learning_curated, config=config)
    state = parents.state(tables.MACHINE_LEARNING_CURATED)
    assert state is not None
    assert state.commit["run"] == result.run_id
    kept = curated.MachineLearningConfig(**state.commit["config"])
    assert kept == curated.MachineLearningConfig(**options)
    made = [pair("device-1")] if options else [pair("device-1"), pair("device-2")]
    assert rows(parents.read(tables.MACHINE_LEARNING_CURATED)) == made


# Reading


@pytest.fixture
def load(run: Run) -> Callable[..., Any]:
    """What an asset gets of a table when it asks for it by a type."""

    def read(table: Table, kind: Any, columns: list[str] | None = None) -> Any:
        got = []

        def reader(given):
            got.append(given)

        reader.__annotations__ = {"given": kind, "return": None}
        metadata = {"columns": columns} if columns else None
        run(dg.asset(ins={"given": dg.AssetIn(table.name, metadata=metadata)})(reader))
        [loaded] = got
        return loaded

    return read


Load = Callable[..., Any]


def as_rows(loaded: Any) -> list[tuple]:
    """The rows of any of the types that a table can be loaded as."""
    if isinstance(loaded, DataFrame):
        return rows(loaded)
    if isinstance(loaded, pa.Table):
        return sorted(tuple(row.values()) for row in loaded.to_pylist())
    return sorted(loaded.itertuples(index=False, name=None))


KINDS = pytest.mark.parametrize(
    "kind", [DataFrame, pd.DataFrame, pa.Table], ids=["pyspark", "pandas", "pyarrow"]
)


@KINDS
def test__load_input__as_annotated(kind: type, stored: LakehouseIOManager, load: Load) -> None:
    loaded = load(TABLE, kind)
    assert isinstance(loaded, kind)
    assert as_rows(loaded) == READINGS


@KINDS
def test__load_input__only_some_columns(kind: type, stored: LakehouseIOManager, load: Load) -> None:
    loaded = load(TABLE, kind, ["distanceFromObject", "serialNumber"])
    assert isinstance(loaded, kind)
    assert as_rows(loaded) == [(201, "device-1"), (202, "device-2")]


@pytest.fixture
def landed(lakehouse: LakehouseIOManager) -> LakehouseIOManager:
    """A lakehouse with a landing file of two readings and half a third."""
    path = folder(lakehouse, tables.STEP_TRAINER_LANDING) / "readings.json"
    path.parent.mkdir(parents=True)
    lines = [json.dumps(dict(zip(TABLE.column_names, row, strict=True))) for row in READINGS]
    path.write_text("\n".join([*lines, lines[0][:20]]) + "\n")
    return lakehouse


@KINDS
def test__load_input__landing_as_annotated(
    kind: type, landed: LakehouseIOManager, load: Load
) -> None:
    loaded = load(tables.STEP_TRAINER_LANDING, kind)
    assert isinstance(loaded, kind)
    assert as_rows(loaded) == READINGS
    some = load(tables.STEP_TRAINER_LANDING, kind, ["serialNumber"])
    assert as_rows(some) == [("device-1",), ("device-2",)]


@pytest.mark.parametrize("kind", [dict, list, str, pd.Series])
def test__load_input__as_something_else(kind: type, stored: LakehouseIOManager, load: Load) -> None:
    with pytest.raises(LakehouseError, match=r"step_trainer_trusted cannot be loaded as .*pandas"):
        load(TABLE, kind)


def test__load_input__without_annotation(stored: LakehouseIOManager, load: Load) -> None:
    with pytest.raises(LakehouseError, match=r"step_trainer_trusted .* Annotate the input"):
        load(TABLE, Any)


@KINDS
def test__load_input__table_is_missing(
    kind: type, lakehouse: LakehouseIOManager, load: Load
) -> None:
    with pytest.raises(
        LakehouseError, match=r"step_trainer_trusted is not in the lakehouse yet.*Materialise it"
    ):
        load(TABLE, kind)


def test__load_input__landing_is_empty(lakehouse: LakehouseIOManager, load: Load) -> None:
    with pytest.raises(LakehouseError, match=r"customer/landing has no \*\.json"):
        load(tables.CUSTOMER_LANDING, DataFrame)


def test__run__parent_is_missing(run: Run) -> None:
    with pytest.raises(LakehouseError, match=r"\w+_(trusted|curated) is not in the lakehouse yet"):
        run(curated.machine_learning_curated)


# Damage


def _cut_short(log: Path) -> None:
    last = log / f"{1:020}.json"
    last.write_text(last.read_text()[:-40])


def _garble(log: Path) -> None:
    (log / f"{1:020}.json").write_bytes(b"\x00\xff{]")


def _lose_the_first(log: Path) -> None:
    (log / f"{0:020}.json").unlink()


Damage = Callable[[Path], None]


@pytest.mark.parametrize("damage", [_cut_short, _garble])
@KINDS
def test__load_input__log_is_damaged(
    damage: Damage, kind: type, stored: LakehouseIOManager, load: Load
) -> None:
    damage(folder(stored) / "_delta_log")
    before = data_files(stored)
    with pytest.raises(LakehouseError, match=r"step_trainer/trusted.*damaged.*Restore.*backup"):
        load(TABLE, kind)
    assert data_files(stored) == before


def test__read__log_lacks_a_commit(stored: LakehouseIOManager) -> None:
    _lose_the_first(folder(stored) / "_delta_log")
    with pytest.raises(LakehouseError, match=r"step_trainer/trusted.*damaged.*Restore.*backup"):
        stored.read(TABLE).collect()


@pytest.mark.parametrize("damage", [_cut_short, _garble, _lose_the_first])
def test__write__log_is_damaged(damage: Damage, stored: LakehouseIOManager, frame: Frame) -> None:
    damage(folder(stored) / "_delta_log")
    before = data_files(stored)
    with pytest.raises(LakehouseError, match=r"step_trainer/trusted.*damaged.*Restore.*backup"):
        stored.write(TABLE, frame(DEVICE_READINGS, READINGS), {})
    assert data_files(stored) == before


def test__log__commit_without_content_was_not_made(
    stored: LakehouseIOManager, frame: Frame
) -> None:
    """So a power cut may leave it: the version before is the last good one, and is built upon."""
    (folder(stored) / "_delta_log" / f"{1:020}.json").write_text("")
    assert rows(stored.read(TABLE)) == READINGS[:1]
    stored.write(TABLE, frame(DEVICE_READINGS, READINGS[1:]), {})
    assert rows(stored.read(TABLE)) == READINGS[1:]


def test__log__is_gone(stored: LakehouseIOManager, frame: Frame) -> None:
    """Data files without a log are no table; they stay where they are when one is made."""
    for path in (folder(stored) / "_delta_log").iterdir():
        path.unlink()
    before = data_files(stored)
    with pytest.raises(LakehouseError, match="step_trainer_trusted is not in the lakehouse yet"):
        stored.read(TABLE)
    stored.write(TABLE, frame(DEVICE_READINGS, READINGS[1:]), {})
    assert rows(stored.read(TABLE)) == READINGS[1:]
    assert before.items() <= data_files(stored).items()


def test__log__begins_with_a_checkpoint(stored: LakehouseIOManager, frame: Frame) -> None:
    DeltaTable(stored.uri_of(TABLE)).create_checkpoint()
    _lose_the_first(folder(stored) / "_delta_log")
    assert rows(stored.read(TABLE)) == READINGS
    state = stored.write(TABLE, frame(DEVICE_READINGS, READINGS[1:]), {})
    assert state.version == 2
    assert rows(stored.read(TABLE)) == READINGS[1:]


def test__damaged_table__can_be_moved_away_and_made_again(
    stored: LakehouseIOManager, frame: Frame, tmp_path: Path
) -> None:
    _cut_short(folder(stored) / "_delta_log")
    folder(stored).rename(tmp_path / "away")
    stored.write(TABLE, frame(DEVICE_READINGS, READINGS), {})
    assert rows(stored.read(TABLE)) == READINGS


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda path: path.unlink(), id="lost"),
        pytest.param(lambda path: os.truncate(path, 100), id="cut_short"),
        pytest.param(lambda path: path.write_bytes(bytes(path.stat().st_size)), id="zeroed"),
    ],
)
def test__data_file__is_damaged(damage: Damage, stored: LakehouseIOManager, frame: Frame) -> None:
    """A new version takes nothing of the old files, so to write it mends the table."""
    for name in data_files(stored):
        damage(folder(stored) / name)
    with pytest.raises(LakehouseError, match=r"trusted has a data file that is gone or damaged\."):
        stored.read(TABLE).collect()
    stored.write(TABLE, frame(DEVICE_READINGS, READINGS), {})
    assert rows(stored.read(TABLE)) == READINGS


def test__log__lacks_the_last_commit(stored: LakehouseIOManager, frame: Frame) -> None:
    """Where its checksum is still there; waiting would mend nothing, so it is not tried again."""
    last = folder(stored) / "_delta_log" / f"{1:020}.json"
    if not last.with_suffix(".crc").exists():
        pytest.skip("this engine writes no checksums of versions")
    last.unlink()
    with pytest.raises(LakehouseError, match=r"step_trainer/trusted.*damaged.*Restore") as error:
        stored.read(TABLE)
    assert not error.value.allow_retries
    with pytest.raises(LakehouseError, match="damaged"):
        stored.write(TABLE, frame(DEVICE_READINGS, READINGS), {})


def test__log__written_by_a_clock_that_was_ahead(stored: LakehouseIOManager, frame: Frame) -> None:
    """The order of versions is that of their numbers, whatever their times say."""
    a_year = 365 * 24 * 3600
    for path in folder(stored).rglob("*.*"):
        if path.suffix == ".json":
            ahead = re.sub(
                r'("(?:timestamp|deletionTimestamp|modificationTime)":)(\d{13})',
                lambda found: f"{found[1]}{int(found[2]) + a_year * 1000}",
                path.read_text(),
            )
            path.write_text(ahead)
        os.utime(path, (time.time() + a_year,) * 2)
    assert rows(stored.read(TABLE)) == READINGS
    written = stored.write(TABLE, frame(DEVICE_READINGS, READINGS[1:]), {"run": "third"})
    assert (written.version, written.commit) == (2, {"run": "third"})
    assert upkeep.maintain(stored.uri_of(TABLE), 24) == upkeep.Maintained(0, 0, 0)
    again = delta.state(stored.uri_of(TABLE))
    assert again is not None
    assert (again.version, again.commit) == (2, {"run": "third"})
    assert rows(stored.read(TABLE)) == READINGS[1:]


# Addresses


@pytest.mark.parametrize("name", ["my lakehouse", "100%", "a?b", "lake#1", "straße"])
def test__address__has_characters_that_cannot_be_written_to(
    name: str, tmp_path: Path, spark_resource: SparkResource, frame: Frame
) -> None:
    lakehouse = LakehouseIOManager(uri=str(tmp_path / name), spark=spark_resource)
    with pytest.raises(LakehouseError, match=r"STEDI_LAKEHOUSE_URI.*letters, digits"):
        lakehouse.write(TABLE, frame(DEVICE_READINGS, READINGS), {})
    with pytest.raises(LakehouseError, match=r"STEDI_LAKEHOUSE_URI.*letters, digits"):
        lakehouse.read(TABLE)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("uri", ["gs://bucket/lake", "s3a://bucket", "https://example.com/lake"])
def test__address__has_an_unknown_scheme(
    uri: str, spark_resource: SparkResource, frame: Frame
) -> None:
    lakehouse = LakehouseIOManager(uri=uri, spark=spark_resource)
    with pytest.raises(LakehouseError, match=f"STEDI_LAKEHOUSE_URI={uri} is neither a folder nor"):
        lakehouse.write(TABLE, frame(DEVICE_READINGS, READINGS), {})


@pytest.mark.parametrize("where", ["lakehouse", "lakehouse/step_trainer"])
def test__address__a_file_stands_there(
    where: str, lakehouse: LakehouseIOManager, frame: Frame, tmp_path: Path
) -> None:
    file = tmp_path / where
    file.parent.mkdir(exist_ok=True)
    file.write_text("kept")
    with pytest.raises(LakehouseError, match=r"a file stands where a folder belongs"):
        lakehouse.write(TABLE, frame(DEVICE_READINGS, READINGS), {})
    with pytest.raises(LakehouseError):
        lakehouse.read(TABLE)
    assert file.read_text() == "kept"


@pytest.mark.parametrize("form", ["{}", "{}/", "file://{}"])
def test__address__in_any_form_of_a_folder(
    form: str, tmp_path: Path, spark_resource: SparkResource, frame: Frame
) -> None:
    lakehouse = LakehouseIOManager(uri=form.format(tmp_path / "lake"), spark=spark_resource)
    lakehouse.write(TABLE, frame(DEVICE_READINGS, READINGS), {})
    assert rows(lakehouse.read(TABLE)) == READINGS
    assert (tmp_path / "lake" / "step_trainer" / "trusted" / "_delta_log").is_dir()


def test__address__relative_to_the_working_folder(
    tmp_path: Path,
    spark_resource: SparkResource,
    frame: Frame,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    lakehouse = LakehouseIOManager(uri="lake", spark=spark_resource)
    lakehouse.write(TABLE, frame(DEVICE_READINGS, READINGS), {})
    assert rows(lakehouse.read(TABLE)) == READINGS
    assert (tmp_path / "lake" / "step_trainer" / "trusted" / "_delta_log").is_dir()
