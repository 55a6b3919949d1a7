"""What a declaration promises is told row by row, and counted."""

from __future__ import annotations

import pytest
from pyspark.sql import functions as F

from stedi_assets.tables import Table, checks
from stedi_assets.tables.accelerometer import ACCELEROMETER_TRUSTED
from stedi_assets.tables.columns import YEAR_2000, YEAR_2100
from stedi_assets.tables.customer import CUSTOMER_LANDING, CUSTOMER_TRUSTED
from stedi_assets.tables.machine_learning import MACHINE_LEARNING_CURATED
from stedi_assets.tables.step_trainer import STEP_TRAINER_TRUSTED
from stedi_assets_tests.rows import (
    DEVICE_READINGS,
    NOON,
    Frame,
    customer,
    device_reading,
    pair,
    phone_reading,
    rows,
)

IMPLAUSIBLE = {
    "user is null": (ACCELEROMETER_TRUSTED, phone_reading(None)),
    "timestamp is null": (ACCELEROMETER_TRUSTED, phone_reading("a", None)),
    "timestamp in seconds": (ACCELEROMETER_TRUSTED, phone_reading("a", NOON // 1000)),
    "timestamp in microseconds": (ACCELEROMETER_TRUSTED, phone_reading("a", NOON * 1000)),
    "timestamp before 2000": (ACCELEROMETER_TRUSTED, phone_reading("a", YEAR_2000 - 1)),
    "timestamp after 2100": (ACCELEROMETER_TRUSTED, phone_reading("a", YEAR_2100 + 1)),
    "timestamp is negative": (ACCELEROMETER_TRUSTED, phone_reading("a", -1)),
    "x is null": (ACCELEROMETER_TRUSTED, ("a", NOON, None, 0.0, 0.0)),
    "x is not a number": (ACCELEROMETER_TRUSTED, phone_reading("a", x=float("nan"))),
    "y is infinite": (ACCELEROMETER_TRUSTED, ("a", NOON, 0.0, float("inf"), 0.0)),
    "z is minus infinite": (ACCELEROMETER_TRUSTED, ("a", NOON, 0.0, 0.0, float("-inf"))),
    "serial number is null": (STEP_TRAINER_TRUSTED, device_reading(None)),
    "distance is null": (STEP_TRAINER_TRUSTED, (NOON, "device-1", None)),
    "distance is zero": (STEP_TRAINER_TRUSTED, device_reading("device-1", distance=0)),
    "distance is negative": (STEP_TRAINER_TRUSTED, device_reading("device-1", distance=-5)),
    "e-mail is null": (CUSTOMER_TRUSTED, customer(None)),
    "device is null": (STEP_TRAINER_TRUSTED, device_reading(None)),
    "consent in seconds": (CUSTOMER_TRUSTED, customer("a", consent=NOON // 1000)),
    "update in seconds": (CUSTOMER_TRUSTED, customer("a", updated=NOON // 1000)),
    "pair of distance zero": (MACHINE_LEARNING_CURATED, pair("device-1", distance=0)),
    "pair not a number": (MACHINE_LEARNING_CURATED, pair("device-1", x=float("nan"))),
}


@pytest.mark.parametrize(("table", "row"), IMPLAUSIBLE.values(), ids=IMPLAUSIBLE.keys())
def test__implausible__row(table: Table, row: tuple, frame: Frame) -> None:
    given = frame(table.ddl, [row])
    found = given.where(checks.implausible(table, given))
    assert found.count() == 1


PLAUSIBLE = {
    "first millisecond of 2000": (ACCELEROMETER_TRUSTED, phone_reading("a", YEAR_2000)),
    "first millisecond of 2100": (ACCELEROMETER_TRUSTED, phone_reading("a", YEAR_2100)),
    "acceleration is large": (ACCELEROMETER_TRUSTED, phone_reading("a", x=-1e300)),
    "least distance": (STEP_TRAINER_TRUSTED, device_reading("device-1", distance=1)),
    "consent is zero": (CUSTOMER_TRUSTED, customer("a", consent=0)),
    "name, phone and dates are null": (
        CUSTOMER_TRUSTED,
        customer("a", consent=None, name=None, phone=None, updated=None),
    ),
}


@pytest.mark.parametrize(("table", "row"), PLAUSIBLE.values(), ids=PLAUSIBLE.keys())
def test__plausible__row(table: Table, row: tuple, frame: Frame) -> None:
    given = frame(table.ddl, [row])
    found = given.where(~checks.implausible(table, given))
    assert rows(found) == [row]


@pytest.mark.parametrize(
    ("ddl", "faults"),
    [
        (STEP_TRAINER_TRUSTED.ddl, []),
        (
            "sensorReadingTime bigint, serialNumber string",
            ["distanceFromObject is missing"],
        ),
        (
            f"{STEP_TRAINER_TRUSTED.ddl}, battery int",
            ["battery is not declared"],
        ),
        (
            "sensorReadingTime string, serialNumber string, distanceFromObject bigint",
            [
                "sensorReadingTime is string instead of bigint",
                "distanceFromObject is bigint instead of int",
            ],
        ),
        (
            "sensorReadingTime bigint, serialnumber string, distanceFromObject int",
            ["serialNumber is missing", "serialnumber is not declared"],
        ),
    ],
)
def test__schema_faults(ddl: str, faults: list[str], frame: Frame) -> None:
    assert checks.schema_faults(STEP_TRAINER_TRUSTED, frame(ddl, [])) == faults


def test__at_fault__each_row_counts_once(frame: Frame) -> None:
    readings = frame("device string, time bigint", [("a", 1), ("a", 1), ("b", 2), ("c", 3)])
    known = frame("device string", [("a",), ("a",), ("d",)])
    assert rows(checks.at_fault(readings, among=[(["device"], known)])) == [(2,)]
    assert rows(checks.at_fault(readings, not_among=[(["device"], known)])) == [(2,)]
    assert rows(checks.at_fault(readings)) == [(0,)]
    assert rows(checks.at_fault(readings.limit(0), among=[(["device"], known)])) == [(0,)]


def test__at_fault__null_is_not_found(frame: Frame) -> None:
    readings = frame("device string, time bigint", [("a", 1), (None, 1), (None, 2)])
    devices = (["device"], frame("device string", [("a",), (None,)]))
    times = (["time"], frame("time bigint", [(1,), (None,)]))
    assert rows(checks.at_fault(readings, among=[devices])) == [(2,)]
    assert rows(checks.at_fault(readings, not_among=[devices])) == [(1,)]
    for lookups in ([devices, times], [times, devices]):
        assert rows(checks.at_fault(readings, among=lookups)) == [(2,)]
        assert rows(checks.at_fault(readings, not_among=lookups)) == [(2,)]


def test__at_fault__in_all_and_in_none(frame: Frame) -> None:
    numbers = frame("one int, other int", [(1, 1), (1, 2), (2, 1), (2, 2), (2, 2)])
    ones = frame("one int", [(1,)])
    lookups = [(["one"], ones), (["other"], ones)]
    assert rows(checks.at_fault(numbers, among=lookups)) == [(4,)]
    assert rows(checks.at_fault(numbers, not_among=lookups)) == [(3,)]


def test__at_fault__columns_are_looked_up_together(frame: Frame) -> None:
    readings = frame("device string, time bigint", [("a", 1), ("a", 2)])
    known = (["device", "time"], frame("device string, time bigint", [("a", 1), ("b", 2)]))
    anything = (["time"], frame("time bigint", [(1,), (2,)]))
    for lookups in ([known], [known, anything], [anything, known]):
        assert rows(checks.at_fault(readings, among=lookups)) == [(1,)]


def test__at_fault__a_column_that_is_not_there_finds_nothing(frame: Frame) -> None:
    readings = frame("device string", [("a",)])
    times = (["time"], frame("time bigint", [(1,)]))
    devices = (["device"], frame("device string", [("a",)]))
    for lookups in ([times], [times, devices], [devices, times]):
        assert rows(checks.at_fault(readings, among=lookups)) == [(1,)]
    assert rows(checks.at_fault(readings, not_among=[times])) == [(0,)]
    assert rows(checks.at_fault(readings, not_among=[times, devices])) == [(1,)]


@pytest.mark.parametrize(
    ("landed", "key", "counted"),
    [
        ([("a", 1), ("a", 1), ("a", 2), ("b", -1)], ["device", "time"], (3, 4, 1)),
        ([("a", 1), ("a", 1), ("a", 2), ("b", -1)], ["device"], (2, 4, 1)),
        ([(None, 1), (None, -1)], ["device"], (1, 2, 1)),
        ([], ["device"], (0, 0, 0)),
        ([("a", 1), ("a", -1)], [], (2, 1)),
        ([], [], (0, 0)),
    ],
)
def test__count(landed: list[tuple], key: list[str], counted: tuple, frame: Frame) -> None:
    readings = frame("device string, time bigint", landed)
    found = checks.count(readings, key, {"negative": F.col("time") < 0})
    names = [*(["keys"] if key else []), "rows", "negative"]
    assert [row.asDict() for row in found] == [dict(zip(names, counted, strict=True))]


def test__personal_values__in_each_columns_type(frame: Frame) -> None:
    """Those of a column of numbers only if one of them lies within its bounds."""
    readings = frame(DEVICE_READINGS, [(5_000_000, "device-1", 1), (6_000_000, "device-2", 2)])
    landed = frame(
        CUSTOMER_LANDING.ddl,
        [
            customer("ann@example.com", name="Ann", phone="5550101"),
            customer("bob@example.com", name=None, phone="+1 555 0102"),
        ],
    )
    values = {
        column: rows(known)
        for (column,), known in checks.personal_values(
            STEP_TRAINER_TRUSTED, CUSTOMER_LANDING, landed, readings
        )
    }
    assert values == {
        "sensorReadingTime": [(5550101,)],
        "serialNumber": [
            ("+1 555 0102",),
            ("1980-02-29",),
            ("1980-02-29",),
            ("5550101",),
            ("Ann",),
            ("ann@example.com",),
            ("bob@example.com",),
        ],
    }
