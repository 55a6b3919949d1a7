"""Rows are compared as often as they are there, whatever their values and their order."""

from __future__ import annotations

import math

import pytest

from stedi_assets.lakehouse.digests import MOST_RANGES, Comparison, compare, joined, shown
from stedi_assets.tables import TABLES, Table
from stedi_assets.tables.accelerometer import ACCELEROMETER_LANDING
from stedi_assets.tables.customer import CUSTOMER_LANDING
from stedi_assets_tests.rows import NOON, Frame, customer, phone_reading

A, B = phone_reading("a", NOON), phone_reading("b", NOON + 7)
LEAST, MOST = -(2**63), 2**63 - 1


def minute(time: int) -> tuple[int, int]:
    """The minute that holds a time."""
    return time // 60_000 * 60_000, (time // 60_000 + 1) * 60_000


MINUTE = minute(NOON)


def with_x(x: float | None) -> tuple:
    return ("a", NOON, x, 0.0, -1.0)


def compared(frame: Frame, expected: list[tuple], stored: list[tuple], table: Table) -> Comparison:
    return compare(table, frame(table.ddl, expected), frame(table.ddl, stored))


def differences(
    frame: Frame,
    expected: list[tuple],
    stored: list[tuple],
    table: Table = ACCELEROMETER_LANDING,
) -> tuple:
    found = compared(frame, expected, stored, table)
    assert found.rows == len(expected)
    assert found.equal == (not found.missing and not found.extra)
    return (found.missing, found.extra, found.ranges)


@pytest.mark.parametrize(
    ("expected", "stored"),
    [
        ([], []),
        ([A, B], [B, A]),
        ([A, A, B], [A, B, A]),
        ([with_x(math.nan)], [with_x(math.nan)]),
        ([with_x(math.nan)], [with_x(-math.nan)]),
        ([with_x(0.0)], [with_x(-0.0)]),
        ([with_x(None)], [with_x(None)]),
        ([phone_reading("a", None)], [phone_reading("a", None)]),
        ([phone_reading("a", LEAST), phone_reading("a", MOST)],) * 2,
    ],
    ids=["none", "order", "duplicates", "nan", "-nan", "-0.0", "null", "no time", "any time"],
)
def test__compare__equal(frame: Frame, expected: list[tuple], stored: list[tuple]) -> None:
    assert differences(frame, expected, stored) == (0, 0, ())


@pytest.mark.parametrize(
    ("expected", "stored", "found"),
    [
        ([A, B], [A], (1, 0, (MINUTE,))),
        ([A], [A, B], (0, 1, (MINUTE,))),
        ([A], [A, A], (0, 1, (MINUTE,))),
        ([A, A, B], [A, B, B], (1, 1, (MINUTE,))),
        ([], [A], (0, 1, (MINUTE,))),
        ([A], [], (1, 0, (MINUTE,))),
        ([with_x(math.nan)], [with_x(None)], (1, 1, (MINUTE,))),
        ([with_x(0.0)], [with_x(None)], (1, 1, (MINUTE,))),
        ([with_x(1.0)], [with_x(math.nextafter(1.0, 2))], (1, 1, (MINUTE,))),
        ([A], [A, phone_reading("a", None)], (0, 1, ())),
        ([A], [A, phone_reading("a", LEAST)], (0, 1, (minute(LEAST),))),
        ([A], [A, phone_reading("a", MOST)], (0, 1, (minute(MOST),))),
    ],
)
def test__compare__different(
    frame: Frame, expected: list[tuple], stored: list[tuple], found: tuple
) -> None:
    assert differences(frame, expected, stored) == found


def test__compare__nulls_are_of_their_columns(frame: Frame) -> None:
    expected = [customer("a", name=None, phone="x")]
    stored = [customer("a", name="x", phone=None)]
    assert differences(frame, expected, stored, CUSTOMER_LANDING) == (1, 1, ())


def test__compare__many_rows_in_bounded_buckets(frame: Frame) -> None:
    day = 24 * 3_600_000
    rows = [phone_reading("a", NOON + n * 60_000) for n in range(10_000)]
    changed = [phone_reading("a", row[1], x=9.0) if NOON + day <= row[1] else row for row in rows]

    found = compared(frame, rows, changed, ACCELEROMETER_LANDING)

    assert found.buckets <= 4096
    assert (found.missing, found.extra) == (8_560, 8_560)
    assert found.ranges == ((minute(NOON + day)[0], minute(rows[-1][1])[1]),)


@pytest.mark.parametrize("name", [name for name, table in TABLES.items() if table.rule])
def test__compare__every_type(name: str, frame: Frame) -> None:
    table = TABLES[name]
    row = tuple(
        {"string": "s", "bigint": NOON, "int": 1, "double": 0.5}[column.type]
        for column in table.columns
    )
    for place in range(len(row)):
        other = (*row[:place], None, *row[place + 1 :])
        assert compared(frame, [row], [other], table).extra == 1


def test__joined__is_short() -> None:
    assert joined([], 5) == ()
    assert joined([(10, 12), (1, 4)], 5) == ((1, 4), (10, 12))
    assert joined([(10, 12), (1, 5)], 5) == ((1, 12),)
    far = [(n * n * 100, n * n * 100 + 1) for n in range(20)]
    assert len(joined(far, 5)) == MOST_RANGES
    assert joined(far, 5)[-1] == far[-1]
    assert joined(far, 5)[0] == (far[0][0], far[15][1])


def test__shown__in_utc() -> None:
    assert shown([]) == ""
    assert shown([MINUTE]) == "2023-11-14 22:13 to 2023-11-14 22:14 UTC"
    assert shown([MINUTE, (NOON, MOST)]).endswith("UTC, 2023-11-14 22:13 to 9999-12-31 23:59 UTC")
    assert shown([minute(LEAST)]).endswith("-01-01 00:00 UTC")
