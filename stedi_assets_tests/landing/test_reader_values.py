"""What a value in a line is read as, by its column's type, or why it is refused."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from typing import Any

import pytest
from pyspark.sql import SparkSession

from stedi_assets.landing import reader
from stedi_assets.tables import LANDING_TABLES, TABLES, Table
from stedi_assets.tables.accelerometer import ACCELEROMETER_LANDING
from stedi_assets.tables.customer import CUSTOMER_LANDING
from stedi_assets.tables.step_trainer import STEP_TRAINER_LANDING
from stedi_assets_tests.lines import (
    ANN,
    CUSTOMER,
    DEVICE,
    MISSING,
    NOT_AN_OBJECT,
    REASONS,
    read,
    rows_of,
)


@dataclass(frozen=True)
class Refused:
    """A malformed record, with its reason."""

    reason: str


def outcomes(spark: SparkSession, table: Table, column: str, line: str, *texts: str) -> dict:
    """By each text written into a line at $: the column's value, or why there is no record."""
    lines = {line.replace("$", text): text for text in texts}
    rows = {lines[row[reader.LINE]]: row for row in rows_of(spark, table, list(lines))}
    return {
        text: Refused(row[reader.REASON]) if row[reader.REASON] else row[column]
        for text, row in rows.items()
    }


NO_INTEGER = Refused("timestamp is not of type bigint")
NO_DOUBLE = Refused("x is not of type double")
NO_INT = Refused("distanceFromObject is not of type int")
NO_TEXT = Refused("phone is not of type string")
NO_DATE = Refused("shareWithResearchAsOfDate is not of type bigint")
NO_JSON = Refused(NOT_AN_OBJECT)


def test__parse__integer(spark):
    expected: dict[str, Any] = {
        '"timestamp":1655564376361': 1655564376361,
        '"timestamp" : 1655564376361 ': 1655564376361,
        '"timeStamp":1655564376361': 1655564376361,
        '"timestamp":null,"timeStamp":1655564376361': 1655564376361,
        '"timestamp":1655564376361.0': 1655564376361,
        '"timestamp":1.655564376361e12': 1655564376361,
        '"timestamp":1e3': 1000,
        '"timestamp":-1': -1,
        '"timestamp":"1655564376361"': 1655564376361,
        '"timestamp":"1655564376361.0"': 1655564376361,
        # No double holds 2 ** 53 + 1, so it must not pass through one.
        '"timestamp":9007199254740993': 2**53 + 1,
        '"timestamp":"9007199254740993"': 2**53 + 1,
        '"timestamp":9007199254740993.0': NO_INTEGER,
        '"timestamp":9223372036854775807': 2**63 - 1,
        '"timestamp":9223372036854775808': NO_INTEGER,
        '"timestamp":99999999999999999999': NO_INTEGER,
        '"timestamp":1.00000000000000000001': NO_INTEGER,
        '"timestamp":1.7e12': 1700000000000,
        '"timestamp":2.5': NO_INTEGER,
        '"timestamp":"2.5"': NO_INTEGER,
        '"timeStamp":2.5': NO_INTEGER,
        '"timestamp":true': NO_INTEGER,
        '"timestamp":"noon"': NO_INTEGER,
        '"timestamp":""': NO_INTEGER,
        '"timestamp":{"a":1}': NO_INTEGER,
        '"timestamp":[1655564376361]': NO_INTEGER,
        '"timestamp":null': Refused("timestamp is missing"),
        '"timestamp":01655564376361': NO_JSON,
        '"timestamp":noon': NO_JSON,
        '"timestamp":1,"timeStamp":2': 1,
        '"timeStamp":2,"timestamp":1': 1,
        '"timestamp":"noon","timeStamp":2': NO_INTEGER,
    }
    line = ANN.replace('"timestamp":1655564376361', "$")
    assert outcomes(spark, ACCELEROMETER_LANDING, "timestamp", line, *expected) == expected


def test__parse__double(spark):
    expected: dict[str, Any] = {
        "1": 1.0,
        "0.1": 0.1,
        "-12.345678": -12.345678,
        "1E-2": 0.01,
        "5e-324": 5e-324,
        '"1.5"': 1.5,
        '"1e3"': 1000.0,
        '"NaN"': NO_DOUBLE,
        '"Infinity"': NO_DOUBLE,
        '"1e999"': NO_DOUBLE,
        '"1,5"': NO_DOUBLE,
        '"fast"': NO_DOUBLE,
        '{"a":1}': NO_DOUBLE,
        "[1.0]": NO_DOUBLE,
        "true": NO_DOUBLE,
        "null": Refused("x is missing"),
        "NaN": NO_JSON,
        "Infinity": NO_JSON,
        "-Infinity": NO_JSON,
        ".5": NO_JSON,
        "1e999": NO_DOUBLE,
        "-1e400": NO_DOUBLE,
        "1e-400": 0.0,
        "9" * 400: NO_DOUBLE,
    }
    line = ANN.replace('"x":1.0', '"x":$')
    assert outcomes(spark, ACCELEROMETER_LANDING, "x", line, *expected) == expected


def test__parse__minus_zero_is_zero(spark):
    line = ANN.replace('"x":1.0', '"x":$')
    texts = ["-0.0", "-0", '"-0.0"', "-1e-400", "0.0"]
    found = outcomes(spark, ACCELEROMETER_LANDING, "x", line, *texts)
    assert [math.copysign(1, found[text]) for text in texts] == [1] * 5


def test__parse__distance(spark):
    """What overflows an int is refused, never wrapped around."""
    expected: dict[str, Any] = {
        "7": 7,
        "7.0": 7,
        '"7"': 7,
        "0": 0,
        "-1": -1,
        "2147483647": 2**31 - 1,
        "-2147483648": -(2**31),
        "2147483648": NO_INT,
        "-2147483649": NO_INT,
        "99999999999": NO_INT,
        '"99999999999"': NO_INT,
        "99999999999999999999": NO_INT,
        "2.5": NO_INT,
        "true": NO_INT,
        '"far"': NO_INT,
        "null": Refused("distanceFromObject is missing"),
    }
    line = DEVICE.replace(":7", ":$")
    assert outcomes(spark, STEP_TRAINER_LANDING, "distanceFromObject", line, *expected) == expected


def test__parse__phone(spark):
    expected: dict[str, Any] = {
        '"555-1234"': "555-1234",
        "5551234567": "5551234567",
        "98765432109876543720": "98765432109876543720",
        "98765432109876543721": "98765432109876543721",
        "1e3": "1e3",
        "1.10": "1.10",
        "-0": "-0",
        "1E+400": "1E+400",
        '"1.10"': "1.10",
        "007": NO_JSON,
        "+15551234567": NO_JSON,
        "1.": NO_JSON,
        "0x10": NO_JSON,
        "1_0": NO_JSON,
        '"+15551234567"': "+15551234567",
        "null": None,
        '""': "",
        '"null"': "null",
        '"true"': "true",
        '"{x}"': "{x}",
        '"[x]"': "[x]",
        '"{"': "{",
        r'"{\"a\":1}"': '{"a":1}',
        r'"{\"a\": 1}"': '{"a": 1}',
        r'"[1, \"2\"]"': '[1, "2"]',
        r'"[\u00e9]"': "[é]",
        '"{}"': "{}",
        '"[]"': "[]",
        "true": NO_TEXT,
        "false": NO_TEXT,
        'true,"note":"true"': NO_TEXT,
        '{"a":1}': NO_TEXT,
        "{}": NO_TEXT,
        '["555"]': NO_TEXT,
        "[]": NO_TEXT,
        "NaN": NO_JSON,
        '"55\ufffd"': Refused("not UTF-8"),
        r'"55\ud800"': NO_TEXT,
        r'"\udc00\ud800"': NO_TEXT,
        r'"\ud83d\ude00"': "😀",
        r'"\\ud800"': r"\ud800",
        '1,"phone":2': "2",
        '"1","phone":null': None,
        '"\t"': NO_JSON,
        '"\x01"': NO_JSON,
        "1,5:6": NO_JSON,
        "1,true:6": NO_JSON,
        '1,"x":nulltrue': NO_JSON,
    }
    line = f'{CUSTOMER[:-1]},"phone":$}}'
    assert outcomes(spark, CUSTOMER_LANDING, "phone", line, *expected) == expected


def test__parse__consent_date(spark):
    """What may mean consent but cannot be read is never taken for the lack of it."""
    expected: dict[str, Any] = {
        "": None,
        ',"shareWithResearchAsOfDate":null': None,
        ',"shareWithResearchAsOfDate":0': 0,
        ',"shareWithResearchAsOfDate":1655564376361': 1655564376361,
        ',"shareWithResearchAsOfDate":1655564376361.0': 1655564376361,
        ',"shareWithResearchAsOfDate":1.655564376361E12': 1655564376361,
        ',"shareWithResearchAsOfDate":"1655564376361"': 1655564376361,
        ',"shareWithResearchAsOfDate":1655564376361.5': NO_DATE,
        ',"shareWithResearchAsOfDate":"yes"': NO_DATE,
        ',"shareWithResearchAsOfDate":""': NO_DATE,
        ',"shareWithResearchAsOfDate":true': NO_DATE,
        ',"shareWithResearchAsOfDate":{"since":1}': NO_DATE,
    }
    line = f"{CUSTOMER[:-1]}$}}"
    found = outcomes(spark, CUSTOMER_LANDING, "shareWithResearchAsOfDate", line, *expected)
    assert found == expected


@pytest.mark.parametrize(
    ("line", "serial"),
    [
        (r'{"\u0065mail":"ann@x.io"}', None),
        ('{"email":"ann@x.io","note":"\ufffd"}', None),
        ('{"email":"ann@x.io","\ufffd":[1]}', None),
        (r'{"note":"\ud800","email":"ann@x.io"}', None),  # half a pair
        ('{"email":"bob@x.io","email":"ann@x.io"}', None),
        ('{"email":"ann@x.io","note":{"serialNumber":"s"}}', None),
        ('{"email":"ann@x.io","serialNumber":""}', ""),
    ],
)
def test__parse__withdrawal_with_an_odd_field(spark, line, serial):
    [row], malformed = read(spark, CUSTOMER_LANDING, line)
    assert (row[1], row[4], malformed) == ("ann@x.io", serial, [])


def test__parse__customer_with_only_what_is_required(spark):
    [row], _ = read(spark, CUSTOMER_LANDING, CUSTOMER)
    assert row == (None, "ann@x.io", None, None, "s-1", None, None, None, None, None)


@pytest.mark.parametrize(
    ("source", "line", "reason"),
    [
        ("accelerometer", ANN.replace('"user":"ann@x.io",', ""), "user is missing"),
        ("accelerometer", ANN.replace('"ann@x.io"', "null"), "user is missing"),
        ("customer", '{"email":null}', MISSING["customer"]),
        (
            "step_trainer",
            '{"sensorReadingTime":2.5,"distanceFromObject":"far"}',
            "sensorReadingTime is not of type bigint; serialNumber is missing; "
            "distanceFromObject is not of type int",
        ),
        ("accelerometer", DEVICE, MISSING["accelerometer"]),
        ("accelerometer", CUSTOMER, MISSING["accelerometer"]),
        ("step_trainer", ANN, MISSING["step_trainer"]),
        ("customer", ANN, MISSING["customer"]),
        ("customer", DEVICE, MISSING["customer"]),
        ("accelerometer", "caf\ufffd", "not UTF-8"),
        ("accelerometer", ANN.replace('"x"', '"x\ufffd"'), "not UTF-8"),
    ],
)
def test__parse__malformed(spark, source, line, reason):
    assert read(spark, TABLES[f"{source}_landing"], line) == ([], [(line, reason)])


def test__every_field_missing__is_the_reason_given(spark):
    for table in LANDING_TABLES:
        assert read(spark, table, "{}") == ([], [("{}", reader.every_field_missing(table))])
        assert reader.every_field_missing(table) == MISSING[table.source]


PERSONAL = "Ann Secret 555-0199"


@pytest.mark.parametrize("table", LANDING_TABLES, ids=lambda table: table.name)
def test__reasons__hold_no_values(spark, table):
    faults = [f'"{PERSONAL}"', f'{{"a":"{PERSONAL}"}}', f'["{PERSONAL}"]', PERSONAL, "true"]
    one_field = [
        json.dumps({column.name: 0 for column in table.columns}).replace(
            f'"{name}": 0', f'"{name}": {fault}'
        )
        for name in table.column_names
        for fault in faults
    ]
    lines = [*one_field, PERSONAL, f'{{"{PERSONAL}":1}}', f'{{"email":"{PERSONAL}']
    _, malformed = read(spark, table, *lines)
    assert len(malformed) > len(table.columns)
    for _, reason in malformed:
        assert REASONS.fullmatch(reason)
        assert set(re.findall(r"(\w+) is ", reason)) <= set(table.column_names)
