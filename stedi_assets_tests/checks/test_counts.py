"""The recounts give what the rules promise, on frames where a careless join would multiply."""

from __future__ import annotations

import pytest
from pyspark.sql import DataFrame

from stedi_assets import tables
from stedi_assets.lakehouse.lakehouse import Lakehouse
from stedi_assets.policy import Options
from stedi_assets.tables import recount
from stedi_assets.tables.accelerometer import ACCELEROMETER_TRUSTED
from stedi_assets.tables.buckets import BUCKET
from stedi_assets.tables.customer import CUSTOMER_CURATED
from stedi_assets.tables.step_trainer import STEP_TRAINER_TRUSTED
from stedi_assets_tests.rows import (
    CUSTOMERS,
    DEVICE_READINGS,
    MORNING,
    NOON,
    PHONE_READINGS,
    Frame,
    customer,
    device_reading,
    phone_reading,
    recounted,
    rows,
)

ANN, BOB, EVE = "ann@example.com", "bob@example.com", "eve@example.com"


NOW = NOON + 1


@pytest.mark.parametrize(
    ("landed", "counted"),
    [
        # expected, impossible consents, people, people agreeing, withdrawn, records
        ([], (0, 0, 0, 0, 0, 0)),
        (
            [customer(ANN), customer(BOB, consent=None), customer(EVE, consent=0)],
            (1, 0, 3, 1, 0, 3),
        ),
        (
            [customer(ANN), customer(f" {ANN.upper()}"), customer(ANN, "device-2")],
            (2, 0, 1, 1, 0, 3),
        ),
        ([customer(ANN, None)], (1, 0, 1, 1, 0, 1)),
        ([customer(None), customer(" ")], (0, 0, 0, 0, 0, 0)),
        ([customer(ANN), customer(ANN, "device-2", None, updated=NOON)], (0, 0, 1, 0, 1, 2)),
        ([customer(ANN, "device-2", None), customer(ANN, updated=NOON)], (2, 0, 1, 1, 0, 2)),
        ([customer(ANN, updated=None), customer(ANN, consent=None)], (0, 0, 1, 0, 1, 2)),
        ([customer(ANN, updated=None), customer(ANN, consent=0, updated=-1)], (0, 1, 1, 0, 1, 2)),
        ([customer(ANN, updated=0), customer(ANN, consent=0, updated=None)], (0, 0, 1, 0, 0, 2)),
        ([customer(ANN), customer(ANN, consent=0)], (0, 0, 1, 0, 0, 2)),
        ([customer(ANN, consent=NOW), customer(BOB, consent=NOW + 1)], (1, 1, 2, 1, 0, 2)),
        ([customer(ANN, consent=-1), customer(BOB, updated=NOW + 1)], (0, 2, 2, 0, 0, 2)),
        ([customer(ANN, updated=NOON // 1000), customer(BOB, updated=0)], (1, 1, 2, 1, 0, 2)),
        ([customer(ANN, consent=-1), customer(ANN, updated=NOON)], (1, 0, 1, 1, 0, 2)),
    ],
)
def test__customer_trusted(landed: list[tuple], counted: tuple, frame: Frame) -> None:
    assert tuple(recounted(frame(CUSTOMERS, landed), NOW)) == counted


def test__accelerometer_trusted__repeated_customers(frame: Frame) -> None:
    readings = frame(
        PHONE_READINGS,
        [phone_reading(ANN), phone_reading(ANN), phone_reading(BOB), phone_reading(EVE)],
    )
    people = frame(CUSTOMERS, [customer(ANN), customer(ANN, "device-2"), customer(BOB)])
    assert counted(kept(ACCELEROMETER_TRUSTED, readings, people)) == (2, 1)


def test__customer_curated__repeated_records_and_readings(frame: Frame) -> None:
    people = frame(
        CUSTOMERS,
        [customer(ANN), customer(ANN), customer(ANN, updated=NOON), customer(BOB)],
    )
    readings = frame(PHONE_READINGS, [phone_reading(ANN), phone_reading(ANN, NOON + 1)])
    assert rows(kept(CUSTOMER_CURATED, people, readings)) == [(2, 1)]


def test__step_trainer_trusted__shared_device(frame: Frame) -> None:
    readings = frame(
        DEVICE_READINGS,
        [device_reading("device-1"), device_reading("device-1"), device_reading("device-2")],
    )
    people = frame(CUSTOMERS, [customer(ANN, "device-1"), customer(BOB, "device-1")])
    assert counted(kept(STEP_TRAINER_TRUSTED, readings, people)) == (1, 1)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        # rows, pairs of two people, readings before consent
        ({}, (9, 4, 3)),
        ({"match_device": True}, (5, 0, 1)),
        ({"after_consent_only": True}, (6, 2, 0)),
        ({"match_device": True, "after_consent_only": True}, (4, 0, 0)),
    ],
)
def test__machine_learning_curated(options: dict, expected: tuple, frame: Frame) -> None:
    devices = frame(
        DEVICE_READINGS,
        [
            device_reading("device-ann", NOON, 201),
            device_reading("device-ann", NOON, 202),
            device_reading("device-bob", NOON),
            device_reading("device-bob", NOON + 1),
        ],
    )
    # Ann's two readings meet three devices', Bob's one meets three; one pair more is Eve's.
    phones = frame(
        PHONE_READINGS,
        [
            phone_reading(ANN, NOON, 0.25),
            phone_reading(ANN, NOON, 0.5),
            phone_reading(BOB, NOON),
            phone_reading(EVE, NOON),
            phone_reading(ANN, NOON + 2),
        ],
    )
    people = frame(
        CUSTOMERS,
        [
            customer(ANN, "device-ann", MORNING),
            customer(ANN, "device-ann", MORNING, updated=NOON),
            customer(BOB, "device-bob", NOON),
        ],
    )
    paired = recount.paired(devices, phones, people)
    assert counted(recount.pairs(paired, Options(**options))) == expected
    # training_set is as strict as can be.
    assert counted(recount.own_pairs(paired)) == (4,)


@pytest.mark.parametrize(("match_device", "expected"), [(False, (1, 1)), (True, (0, 0))])
def test__machine_learning_curated__owner_of_no_device(
    match_device: bool, expected: tuple, frame: Frame
) -> None:
    paired = recount.paired(
        frame(DEVICE_READINGS, [device_reading("device-bob")]),
        frame(PHONE_READINGS, [phone_reading(ANN)]),
        frame(CUSTOMERS, [customer(ANN, None)]),
    )
    found = recount.pairs(paired, Options(match_device=match_device))
    assert counted(found)[:2] == expected


def test__machine_learning_curated__nothing_to_pair(frame: Frame) -> None:
    nothing = (frame(ddl, []) for ddl in (DEVICE_READINGS, PHONE_READINGS, CUSTOMERS))
    found = recount.pairs(recount.paired(*nothing), Options())
    assert counted(found) == (0, 0, 0)


def test__counts__of_stored_tables_with_one_value_a_key(lakehouse: Lakehouse, frame: Frame) -> None:
    """A table's log tells the engine that a column is constant, which must not matter."""
    people, phones, devices = (
        _stored(lakehouse, table, frame(table.ddl, made))
        for table, made in [
            (CUSTOMER_CURATED, [customer(ANN, "device-1", MORNING)]),
            (ACCELEROMETER_TRUSTED, [phone_reading(ANN), phone_reading(ANN)]),
            (STEP_TRAINER_TRUSTED, [device_reading("device-1")]),
        ]
    )
    options = Options()
    assert counted(kept(ACCELEROMETER_TRUSTED, phones, people)) == (1, 1)
    assert counted(kept(CUSTOMER_CURATED, people, phones)) == (1, 0)
    assert counted(kept(STEP_TRAINER_TRUSTED, devices, people)) == (1, 0)
    assert counted(recount.pairs(recount.paired(devices, phones, people), options)) == (2, 0, 0)


def _stored(lakehouse: Lakehouse, table: tables.Table, made: DataFrame) -> DataFrame:
    lakehouse.write(table, made)
    return lakehouse.read(table)


def kept(table: tables.Table, *parents: DataFrame) -> DataFrame:
    rows = recount.kept_rows(table, dict(zip(table.parents, parents, strict=True)))
    return recount.unique_rows(rows, table.column_names, table.time_column)


def counted(recounted: DataFrame) -> tuple[int, ...]:
    """What is counted, of all times and people."""
    figures = [name for name in recounted.columns if name not in (BUCKET, recount.PERSON)]
    [sums] = recounted.agg(*[recount.total(name) for name in figures]).collect()
    return tuple(sums)
