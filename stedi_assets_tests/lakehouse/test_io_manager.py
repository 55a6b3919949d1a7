"""Tables are written whole or not at all, and read as the type that is asked for."""

from __future__ import annotations

import json
from typing import Any

import dagster as dg
import pandas as pd
import pyarrow as pa
import pytest
from deltalake import CommitProperties, write_deltalake
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from stedi_assets.engine.spark import SparkResource
from stedi_assets.lakehouse import delta, maintenance
from stedi_assets.lakehouse.commit import Commit
from stedi_assets.lakehouse.delta import COMMIT_METADATA
from stedi_assets.lakehouse.lakehouse import Lakehouse
from stedi_assets.tables.customer import CUSTOMER_LANDING, CUSTOMER_TRUSTED
from stedi_assets.tables.step_trainer import STEP_TRAINER_LANDING
from stedi_assets_tests.lakehouse.conftest import KINDS, READINGS, TABLE, Load, folder_of
from stedi_assets_tests.rows import CUSTOMERS, DEVICE_READINGS, Frame, customer, rows, stored_rows

# Writing


@pytest.mark.parametrize("made", [READINGS, READINGS[:1] * 3, []], ids=["two", "repeated", "none"])
def test__write__reads_back_the_same(made: list[tuple], lakehouse: Lakehouse, frame: Frame) -> None:
    state = lakehouse.write(TABLE, frame(DEVICE_READINGS, made), Commit(run="one"))
    assert rows(lakehouse.read(TABLE)) == made
    assert lakehouse.read(TABLE).dtypes == [(column.name, column.type) for column in TABLE.columns]
    assert (state.version, state.rows, state.commit.run) == (0, len(made), "one")


def test__write__keeps_nulls_and_any_text(lakehouse: Lakehouse, frame: Frame) -> None:
    people = [
        customer("ann@example.com", consent=None, name=None, phone=None, updated=None),
        customer("zoë@example.com", name='Zoë "Z" O\'Neil, 女\n'),
    ]
    lakehouse.write(CUSTOMER_TRUSTED, frame(CUSTOMERS, people))
    assert rows(lakehouse.read(CUSTOMER_TRUSTED)) == sorted(people, key=repr)


def test__write__again_changes_only_the_version(stored: Lakehouse, frame: Frame) -> None:
    before = stored.state(TABLE)
    after = stored.write(TABLE, frame(DEVICE_READINGS, READINGS), Commit(run="third"))
    assert before is not None
    assert rows(stored.read(TABLE)) == READINGS
    assert (before.version, after.version) == (1, 2)
    assert (before.rows, before.files) == (after.rows, after.files)


def test__write__whoever_reads_gets_what_is_stored(lakehouse: Lakehouse, frame: Frame) -> None:
    at_random = frame(DEVICE_READINGS, READINGS).withColumn("serialNumber", F.expr("uuid()"))

    lakehouse.write(TABLE, at_random)

    stored = [tuple(row.values()) for row in stored_rows(str(folder_of(lakehouse))).to_pylist()]
    for read in (lakehouse.read, lakehouse.scan):
        assert rows(read(TABLE)) == sorted(stored, key=repr)


def test__state__rows_of_two_writers_are_no_ones(lakehouse: Lakehouse, frame: Frame) -> None:
    """As between the two commits of a writer that saw no table, when another made it first."""
    lakehouse.write(TABLE, frame(DEVICE_READINGS, READINGS[:1]))
    uri = lakehouse.uri_of(TABLE)
    theirs = CommitProperties(custom_metadata={COMMIT_METADATA: Commit().changed("id", 0).text})
    write_deltalake(uri, stored_rows(uri), mode="append", commit_properties=theirs)

    for maintained in (False, True):
        if maintained:
            maintenance.maintain(TABLE, uri, 24)
        state = delta.state(uri)
        assert state is not None and state.foreign


def test__state__facts_kept_later_are_of_the_same_rows(
    lakehouse: Lakehouse, frame: Frame, spark_resource: SparkResource
) -> None:
    lakehouse.write(TABLE, frame(DEVICE_READINGS, READINGS))
    for run in ("one", "two"):
        lakehouse.note(TABLE, Commit(run=run))
    maintenance.maintain(TABLE, lakehouse.uri_of(TABLE), 24)

    state = Lakehouse(lakehouse.uri, spark_resource).state(TABLE)

    assert state is not None and not state.foreign
    assert state.commit.run == "two"


def test__write__of_itself(stored: Lakehouse) -> None:
    stored.write(TABLE, stored.read(TABLE).where(F.col("serialNumber") == "device-2"))
    assert rows(stored.read(TABLE)) == READINGS[1:]


def test__write__columns_may_change(stored: Lakehouse, frame: Frame) -> None:
    stored.write(TABLE, frame("serialNumber string, battery int", [("device-1", 5)]))
    assert rows(stored.read(TABLE)) == [("device-1", 5)]


@pytest.mark.parametrize("place", ["stored", "lakehouse"], ids=["a_table", "no_table"])
def test__write__frame_that_fails_leaves_what_was_there(
    place: str, frame: Frame, request: pytest.FixtureRequest
) -> None:
    lakehouse = request.getfixturevalue(place)
    before = lakehouse.state(TABLE)
    fails = F.when(F.col("serialNumber") == "device-2", F.raise_error(F.lit("no such reading")))
    failing = frame(DEVICE_READINGS, READINGS).withColumn("distanceFromObject", fails.cast("int"))
    with pytest.raises(PySparkException, match="no such reading"):
        lakehouse.write(TABLE, failing, Commit(run="third"))
    assert lakehouse.state(TABLE) == before
    assert before is None or rows(lakehouse.read(TABLE)) == READINGS


# Reading


def as_rows(loaded: Any) -> list[tuple]:
    """The rows of any of the types that a table can be loaded as."""
    if isinstance(loaded, DataFrame):
        return rows(loaded)
    if isinstance(loaded, pa.Table):
        return sorted(tuple(row.values()) for row in loaded.to_pylist())
    return sorted(loaded.itertuples(index=False, name=None))


@KINDS
def test__load_input__as_annotated(kind: type, stored: Lakehouse, load: Load) -> None:
    loaded = load(TABLE, kind)
    assert isinstance(loaded, kind)
    assert as_rows(loaded) == READINGS


@KINDS
def test__load_input__only_some_columns(kind: type, stored: Lakehouse, load: Load) -> None:
    loaded = load(TABLE, kind, ["distanceFromObject", "serialNumber"])
    assert isinstance(loaded, kind)
    assert as_rows(loaded) == [(201, "device-1"), (202, "device-2")]


@pytest.fixture
def landed(lakehouse: Lakehouse) -> Lakehouse:
    """A lakehouse with a landing file of two readings and half a third."""
    path = folder_of(lakehouse, STEP_TRAINER_LANDING) / "readings.json"
    path.parent.mkdir(parents=True)
    lines = [json.dumps(dict(zip(TABLE.column_names, row, strict=True))) for row in READINGS]
    path.write_text("\n".join([*lines, lines[0][:20]]) + "\n")
    return lakehouse


@KINDS
def test__load_input__landing_as_annotated(kind: type, landed: Lakehouse, load: Load) -> None:
    loaded = load(STEP_TRAINER_LANDING, kind)
    assert isinstance(loaded, kind)
    assert as_rows(loaded) == READINGS
    some = load(STEP_TRAINER_LANDING, kind, ["serialNumber"])
    assert as_rows(some) == [("device-1",), ("device-2",)]


@pytest.mark.parametrize("kind", [dict, pd.Series, Any])
def test__load_input__as_something_else(kind: type, stored: Lakehouse, load: Load) -> None:
    with pytest.raises(dg.Failure, match=r"step_trainer_trusted cannot be loaded as .*pandas"):
        load(TABLE, kind)


@KINDS
def test__load_input__table_is_missing(kind: type, lakehouse: Lakehouse, load: Load) -> None:
    with pytest.raises(dg.Failure, match=r"\[NOT_MATERIALISED\] step_trainer_trusted"):
        load(TABLE, kind)


def test__load_input__landing_is_empty(lakehouse: Lakehouse, load: Load) -> None:
    with pytest.raises(dg.Failure, match=r"customer/landing has no \*\.json"):
        load(CUSTOMER_LANDING, DataFrame)
