"""What the reader makes of a line: each case shows the text, its records and its reasons."""

from __future__ import annotations

import itertools
import json
import math
import re
import tempfile
from collections import Counter
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from pyspark.sql import DataFrame, SparkSession

from stedi_assets.lakehouse import reader
from stedi_assets.tables import (
    ACCELEROMETER_LANDING,
    CUSTOMER_LANDING,
    LANDING_TABLES,
    STEP_TRAINER_LANDING,
    TABLES,
    Table,
)

ANN = '{"user":"ann@x.io","timestamp":1655564376361,"x":1.0,"y":-2.5,"z":0.0}'
ANN_READ = ("ann@x.io", 1655564376361, 1.0, -2.5, 0.0)
BEN = '{"user":"ben@x.io","timestamp":1655564376362,"x":2.0,"y":0.5,"z":3.0}'
BEN_READ = ("ben@x.io", 1655564376362, 2.0, 0.5, 3.0)
DEVICE = '{"sensorReadingTime":1655564376361,"serialNumber":"s-1","distanceFromObject":7}'
CUSTOMER = '{"email":"ann@x.io","serialNumber":"s-1"}'

NOT_AN_OBJECT = "not a JSON object"
MISSING = {
    "accelerometer": "user is missing; timestamp is missing; x is missing; y is missing; "
    "z is missing",
    "step_trainer": "sensorReadingTime is missing; serialNumber is missing; "
    "distanceFromObject is missing",
    "customer": "email is missing",
}


def lines_of(spark: SparkSession, lines: list[str]) -> DataFrame:
    return spark.createDataFrame([(line,) for line in lines], "value string")


def profile(spark: SparkSession, table: Table, lines: list[str]) -> tuple[int, int, bool]:
    """Objects, fragments, and whether every line is tidy."""
    frame = lines_of(spark, lines)
    untidy = frame.where(~reader.is_tidy(table)).count()
    return (*reader.count(frame, table), untidy == 0)


def rows_of(spark: SparkSession, table: Table, lines: list[str]) -> list[Any]:
    return reader.parse(reader.fragments(lines_of(spark, lines)), table).collect()


def read(
    spark: SparkSession, table: Table, *lines: str
) -> tuple[list[tuple[Any, ...]], list[tuple[str, str]]]:
    """The records of some lines, and the fragments with their reasons, both in order."""
    rows = rows_of(spark, table, list(lines))
    width = len(table.columns)
    records = [tuple(row)[:width] for row in rows if row[reader.REASON] is None]
    malformed = [(row[reader.LINE], row[reader.REASON]) for row in rows if row[reader.REASON]]
    return sorted(records, key=repr), sorted(malformed)


def case(id: str, lines: str | list[str], records: list[Any], malformed: list[Any]) -> Any:
    return pytest.param([lines] if isinstance(lines, str) else lines, records, malformed, id=id)


@pytest.mark.parametrize(
    ("lines", "records", "malformed"),
    [
        case("well_formed", [ANN, BEN], [ANN_READ, BEN_READ], []),
        case("two_objects_on_a_line", f"{ANN}{BEN}", [ANN_READ, BEN_READ], []),
        case("comma_between_objects", f"{ANN},{BEN}", [ANN_READ, BEN_READ], []),
        case("space_between_objects", f"{ANN} {BEN}", [ANN_READ, BEN_READ], []),
        case("comma_after_every_line", [f"{ANN},", f"{BEN},"], [ANN_READ, BEN_READ], []),
        case("array_on_one_line", f"[{ANN},{BEN}]", [ANN_READ, BEN_READ], []),
        case("array_of_one", f"[{ANN}]", [ANN_READ], []),
        case("array_over_lines", ["[", f"{ANN},", BEN, "]"], [ANN_READ, BEN_READ], []),
        case("array_closed_after_last", [f"[{ANN},", f"{BEN}]"], [ANN_READ, BEN_READ], []),
        case("two_arrays_on_a_line", f"[{ANN}][{BEN}]", [ANN_READ, BEN_READ], []),
        case("array_ends_where_next_begins", f"{ANN}][{BEN}", [ANN_READ, BEN_READ], []),
        case("text_after_an_array", f"{ANN}] hello", [ANN_READ], [("] hello", NOT_AN_OBJECT)]),
        case("object_after_a_brace", f"{ANN}}}{BEN}", [ANN_READ, BEN_READ], [("}", NOT_AN_OBJECT)]),
        case("repeated_object", f"{ANN}{ANN}", [ANN_READ, ANN_READ], []),
        case("thousand_objects_on_a_line", ANN * 1000, [ANN_READ] * 1000, []),
        case("thousand_objects_in_an_array", f"[{','.join([ANN] * 1000)}]", [ANN_READ] * 1000, []),
        case(
            "truncated_last_object",
            [ANN, '{"user":"ben@x.io","timestamp":16555'],
            [ANN_READ],
            [('{"user":"ben@x.io","timestamp":16555', NOT_AN_OBJECT)],
        ),
        case(
            "truncated_in_a_number_then_complete",
            '{"user":"ben@x.io","timestamp":16555' + ANN,
            [ANN_READ],
            [('{"user":"ben@x.io","timestamp":16555', NOT_AN_OBJECT)],
        ),
        case(
            "truncated_in_a_text_then_complete",
            '{"user":"ben' + ANN,
            [ANN_READ],
            [('{"user":"ben', NOT_AN_OBJECT)],
        ),
        case(
            "truncated_after_a_colon_then_complete",
            '{"user":' + ANN,
            [ANN_READ],
            [('{"user":', NOT_AN_OBJECT)],
        ),
        case(
            "truncated_in_an_array_then_complete",
            '{"user":"ben@x.io","extra":[1655564376361,1655564376361,1655564376361' + ANN,
            [ANN_READ],
            [
                (
                    '{"user":"ben@x.io","extra":[1655564376361,1655564376361,1655564376361',
                    NOT_AN_OBJECT,
                )
            ],
        ),
        case("truncated_after_brace", "{" + ANN, [ANN_READ], [("{", NOT_AN_OBJECT)]),
        case(
            "truncated_between_complete_ones",
            ANN + '{"user":"ben@x.io",' + BEN,
            [ANN_READ, BEN_READ],
            [('{"user":"ben@x.io",', NOT_AN_OBJECT)],
        ),
        case("text_before", "hello" + ANN, [ANN_READ], [("hello", NOT_AN_OBJECT)]),
        case("text_after", ANN + "hello", [ANN_READ], [("hello", NOT_AN_OBJECT)]),
        case("brace_after", ANN + "}", [ANN_READ], [("}", NOT_AN_OBJECT)]),
        case("blank", ["", ANN, ""], [ANN_READ], []),
        case("whitespace_only", ["   ", "\t", "\r"], [], []),
        case("lone_commas_and_brackets", [",", " , ", "[", "]", "[]"], [], []),
        case("carriage_return", f"{ANN}\r", [ANN_READ], []),
        case("padded", f"  {ANN}\t", [ANN_READ], []),
        case("byte_order_mark", ["\ufeff" + ANN, BEN], [ANN_READ, BEN_READ], []),
        case("byte_order_mark_alone", "\ufeff", [], []),
        case("text", "hello", [], [("hello", NOT_AN_OBJECT)]),
        case("number", "5", [], [("5", NOT_AN_OBJECT)]),
        case("null", "null", [], [("null", NOT_AN_OBJECT)]),
        case("empty_object", "{}", [], [("{}", MISSING["accelerometer"])]),
        case("single_quotes", ANN.replace('"', "'"), [], [(ANN.replace('"', "'"), NOT_AN_OBJECT)]),
        case("comma_before_brace", ANN[:-1] + ",}", [], [(ANN[:-1] + ",}", NOT_AN_OBJECT)]),
        case(
            "object_over_lines",
            ["{", '"user":"ann@x.io"', "}"],
            [],
            [("{", NOT_AN_OBJECT), ('"user":"ann@x.io"', NOT_AN_OBJECT), ("}", NOT_AN_OBJECT)],
        ),
    ],
)
def test__fragments(spark, lines, records, malformed):
    expected = (sorted(records), sorted(malformed))
    assert read(spark, ACCELEROMETER_LANDING, *lines) == expected


@pytest.mark.parametrize(
    ("text", "user"),
    [
        pytest.param(r'"a}{b"', "a}{b", id="braces"),
        pytest.param(r'"a\"}{\"b"', 'a"}{"b', id="braces_and_escaped_quotes"),
        pytest.param(r'"},{"', "},{", id="looks_like_a_separator"),
        pytest.param(r'"a\\"', "a\\", id="ends_with_a_backslash"),
        pytest.param(r'"a\nb"', "a\nb", id="escaped_newline"),
        pytest.param(r'"[1, 2"', "[1, 2", id="bracket"),
        pytest.param(r'"\u00e9"', "é", id="escaped_letter"),
    ],
)
def test__fragments__text_with_structure(spark, text, user):
    line = ANN.replace('"ann@x.io"', text)
    row = (user, *ANN_READ[1:])
    records, malformed = read(spark, ACCELEROMETER_LANDING, line, line + BEN)
    assert (records, malformed) == (sorted([row, row, BEN_READ]), [])


@pytest.mark.parametrize(
    "extra",
    [
        pytest.param("1", id="number"),
        pytest.param("[]", id="empty_array"),
        pytest.param('{"a":{}}', id="objects"),
        pytest.param('[{"a":1},{"b":[1,2,{"c":"}{"}]}]', id="nested_arrays_of_objects"),
        pytest.param("[[1,2],[3]]", id="arrays_in_an_array"),
        pytest.param('[{"user":"eve","timestamp":1,"x":1,"y":1,"z":1}]', id="looks_like_records"),
    ],
)
def test__fragments__unknown_field(spark, extra):
    line = f'{ANN[:-1]},"extra":{extra}}}'
    records, malformed = read(spark, ACCELEROMETER_LANDING, line, line + line + BEN)
    assert (records, malformed) == ([ANN_READ] * 3 + [BEN_READ], [])


@dataclass(frozen=True)
class Refused:
    """A record set aside, for a reason."""

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
    }
    line = ANN.replace('"x":1.0', '"x":$')
    assert outcomes(spark, ACCELEROMETER_LANDING, "x", line, *expected) == expected


def test__parse__double_beyond_all_doubles(spark):
    """JVM Spark's parser reads infinity and blames the field; the embedded engine's, the object."""
    line = ANN.replace('"x":1.0', '"x":$')
    found = outcomes(spark, ACCELEROMETER_LANDING, "x", line, "1e999", "-1e999")
    assert list(found) == ["1e999", "-1e999"]
    assert set(found.values()) <= {NO_DOUBLE, NO_JSON}


def test__parse__double_of_seventeen_digits(spark):
    """The embedded engine's JSON parser may be off by the last bit of a double, never by more."""
    line = ANN.replace('"x":1.0', '"x":$')
    texts = ["-2.1460971594233737", "112896.68416698319", "13.897349477489307"]
    found = outcomes(spark, ACCELEROMETER_LANDING, "x", line, *texts)
    assert list(found) == texts
    for text, value in found.items():
        assert abs(value - float(text)) <= math.ulp(float(text))


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
        '{"a":1}': NO_TEXT,
        "{}": NO_TEXT,
        '["555"]': NO_TEXT,
        "[]": NO_TEXT,
        "NaN": NO_JSON,
        '"55\ufffd"': Refused("not UTF-8"),
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


def test__parse__customer_with_only_what_is_required(spark):
    [row], _ = read(spark, CUSTOMER_LANDING, CUSTOMER)
    assert row == (None, "ann@x.io", None, None, "s-1", None, None, None, None, None)


@pytest.mark.parametrize(
    ("table", "line", "reason"),
    [
        pytest.param(
            "accelerometer_landing",
            ANN.replace('"user":"ann@x.io",', ""),
            "user is missing",
            id="user_absent",
        ),
        pytest.param(
            "accelerometer_landing",
            ANN.replace('"ann@x.io"', "null"),
            "user is missing",
            id="user_null",
        ),
        pytest.param("customer_landing", '{"email":null}', MISSING["customer"], id="email_is_null"),
        pytest.param(
            "step_trainer_landing",
            '{"sensorReadingTime":2.5,"distanceFromObject":"far"}',
            "sensorReadingTime is not of type bigint; serialNumber is missing; "
            "distanceFromObject is not of type int",
            id="every_fault_named",
        ),
        pytest.param(
            "accelerometer_landing", DEVICE, MISSING["accelerometer"], id="device_among_phones"
        ),
        pytest.param(
            "accelerometer_landing", CUSTOMER, MISSING["accelerometer"], id="person_among_phones"
        ),
        pytest.param(
            "step_trainer_landing", ANN, MISSING["step_trainer"], id="phone_among_devices"
        ),
        pytest.param("customer_landing", ANN, MISSING["customer"], id="phone_among_people"),
        pytest.param("customer_landing", DEVICE, "email is missing", id="device_among_people"),
        pytest.param("accelerometer_landing", "caf\ufffd", "not UTF-8", id="replaced_byte"),
        pytest.param(
            "accelerometer_landing",
            ANN.replace('"x"', '"x\ufffd"'),
            "not UTF-8",
            id="replaced_byte_in_a_name",
        ),
    ],
)
def test__parse__malformed(spark, table, line, reason):
    assert read(spark, TABLES[table], line) == ([], [(line, reason)])


def test__every_field_missing__is_the_reason_given(spark):
    for table in LANDING_TABLES:
        assert read(spark, table, "{}") == ([], [("{}", reader.every_field_missing(table))])
        assert reader.every_field_missing(table) == MISSING[table.source]


FAULT = r"\w+ is (missing|not of type (string|bigint|int|double))"
REASONS = re.compile(rf"not UTF-8|not a JSON object|{FAULT}(; {FAULT})*")
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


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        pytest.param([ANN, BEN], (2, 0, True), id="tidy"),
        pytest.param([ANN, ""], (1, 0, False), id="blank_line"),
        pytest.param([f"{ANN}{BEN}"], (2, 0, False), id="two_on_a_line"),
        pytest.param([f"{ANN},"], (1, 0, False), id="comma"),
        pytest.param([ANN, "{"], (2, 1, False), id="malformed"),
        pytest.param([ANN.replace("timestamp", "timeStamp")], (1, 0, False), id="alias"),
        pytest.param([ANN.replace(":1.0", ':"1.0"')], (1, 0, False), id="number_in_text"),
        pytest.param([ANN.replace(":1.0", ":[1.0]"), BEN], (2, 1, False), id="wrong_type"),
        pytest.param([], (0, 0, True), id="nothing"),
    ],
)
def test__profile(spark, lines, expected):
    assert profile(spark, ACCELEROMETER_LANDING, lines) == expected


def test__read_tidy__reads_the_columns_as_declared(spark, tmp_path):
    file = tmp_path / "a.json"
    file.write_text(f"{ANN}\n{BEN}\n")
    frame = reader.read_tidy(spark, [file.as_uri()], ACCELEROMETER_LANDING)
    assert [tuple(row) for row in frame.collect()] == [ANN_READ, BEN_READ]
    assert frame.dtypes == [(column.name, column.type) for column in ACCELEROMETER_LANDING.columns]


@pytest.mark.parametrize(
    ("line", "tidy"),
    [
        pytest.param(ANN.replace(":", " : ").replace(",", " ,\t"), True, id="spaces"),
        pytest.param(f" {ANN}\t", True, id="spaces_around"),
        pytest.param(ANN.replace("ann@x.io", "12"), True, id="number_as_quoted_text"),
        pytest.param(ANN.replace("ann@x.io", "[1]"), True, id="array_as_quoted_text"),
        pytest.param(ANN.replace("ann@x.io", "{}"), True, id="object_as_quoted_text"),
        pytest.param(ANN.replace("ann@x.io", "true"), True, id="boolean_as_quoted_text"),
        pytest.param(ANN.replace("ann@x.io", ""), True, id="empty_text"),
        pytest.param(
            ANN.replace("ann@x.io", "caf\xe9 \u2028\x85\x7f"), True, id="text_beyond_ascii"
        ),
        pytest.param(ANN.replace("1.0", "1e3"), True, id="exponent"),
        pytest.param(ANN.replace("1.0", "1e-07"), True, id="small_exponent"),
        pytest.param(ANN.replace("1.0", "-0.0"), True, id="minus_zero"),
        pytest.param(ANN.replace("1.0", "1"), True, id="integer_for_a_double"),
        pytest.param(ANN.replace("{", '{"x":7.0,'), False, id="repeated_key"),
        pytest.param(ANN.replace("}", ',"note":null}'), False, id="unknown_field"),
        pytest.param(ANN.replace("ann", "\\u0061nn"), False, id="escapes"),
        pytest.param(ANN.replace('"ann@x.io"', "null"), False, id="null_for_what_is_required"),
        pytest.param(ANN.replace('"user":"ann@x.io",', ""), False, id="required_field_missing"),
        pytest.param(ANN.replace('"user"', '"User"'), False, id="name_in_another_case"),
        pytest.param(ANN.replace('"user":', '"user"'), False, id="colon_missing"),
        pytest.param(ANN.replace(",", "", 1), False, id="comma_missing"),
        pytest.param(ANN.replace(",", ",,", 1), False, id="comma_twice"),
        pytest.param(ANN.replace("}", ",}"), False, id="comma_at_the_end"),
        pytest.param(ANN.replace('"ann@x.io"', "12"), False, id="number_for_a_text"),
        pytest.param(ANN.replace('"ann@x.io"', "1e3"), False, id="exponent_for_a_text"),
        pytest.param(ANN.replace('"ann@x.io"', "true"), False, id="boolean_for_a_text"),
        pytest.param(ANN.replace('"ann@x.io"', "[1]"), False, id="array_for_a_text"),
        pytest.param(ANN.replace('"ann@x.io"', '"ann"} '), False, id="text_after_the_object"),
        pytest.param(ANN.replace("1.0", "1e999"), False, id="double_beyond_all_doubles"),
        pytest.param(ANN.replace("1.0", "01.0"), False, id="leading_zero"),
        pytest.param(ANN.replace("1.0", ".5"), False, id="no_digit_before_the_point"),
        pytest.param(ANN.replace("1.0", "NaN"), False, id="not_a_number"),
        pytest.param(ANN.replace("1.0", '"1.0"'), False, id="text_for_a_double"),
        pytest.param(ANN.replace("361,", "361.5,"), False, id="fraction_for_an_integer"),
        pytest.param(ANN.replace("361,", "361000000000,"), False, id="integer_beyond_bigint"),
        pytest.param("\ufeff" + ANN, False, id="byte_order_mark"),
        pytest.param(ANN + "\x85", False, id="another_line_terminator_at_the_end"),
    ],
)
def test__profile__tidy_is_what_both_readers_read_alike(spark, tmp_path, line, tidy):
    assert profile(spark, ACCELEROMETER_LANDING, [line])[-1] == tidy
    if tidy:
        file = tmp_path / "a.json"
        file.write_text(line, encoding="utf-8")
        again = reader.read_tidy(spark, [file.as_uri()], ACCELEROMETER_LANDING).collect()
        assert read(spark, ACCELEROMETER_LANDING, line) == ([tuple(row) for row in again], [])


def test__profile__int_beyond_its_range_is_not_tidy(spark):
    lines = [DEVICE, DEVICE.replace(":7", ":99999999999")]
    assert profile(spark, STEP_TRAINER_LANDING, lines) == (2, 1, False)


def test__parse__reads_the_columns_as_declared(spark):
    for table in LANDING_TABLES:
        frame = reader.parse(reader.fragments(lines_of(spark, [ANN])), table)
        declared = [(column.name, column.type) for column in table.columns]
        assert frame.dtypes[: len(declared)] == declared


# Shrinking would run the engine for minutes before a failure shows.
FEW_LARGE_FRAMES = settings(
    phases=[Phase.generate],
    max_examples=12,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
# U+FFFD stands for a byte that was not UTF-8, so a record that holds it is set aside.
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\ufffd"), max_size=12)
VALUES = {
    "string": TEXT,
    "bigint": st.integers(-(2**63), 2**63 - 1),
    "int": st.integers(-(2**31), 2**31 - 1),
    "double": st.integers(-(10**12), 10**12).map(lambda millionths: millionths / 10**6),
}


def records_of(table: Table) -> st.SearchStrategy[dict[str, Any]]:
    """Well-formed records, with optional fields absent or null."""
    required = {c.name: VALUES[c.type] for c in table.columns if c.required}
    optional = {c.name: st.none() | VALUES[c.type] for c in table.columns if not c.required}
    return st.fixed_dictionaries(required, optional=optional)


@pytest.mark.parametrize("table", LANDING_TABLES, ids=lambda table: table.name)
@FEW_LARGE_FRAMES
@given(data=st.data())
def test__parse__reads_what_was_written(spark, table, data):
    """Both readers give back the values that a JSON writer was given."""
    records = data.draw(st.lists(records_of(table), min_size=1, max_size=50))
    ascii_only = data.draw(st.booleans())
    in_order = [{n: record[n] for n in table.column_names if n in record} for record in records]
    lines = [json.dumps(record, ensure_ascii=ascii_only) for record in in_order]
    written = [tuple(record.get(name) for name in table.column_names) for record in records]

    rows = rows_of(spark, table, lines)
    assert [tuple(row)[: len(table.columns)] for row in rows] == written
    assert {row[reader.REASON] for row in rows} == {None}

    # Only escapes and long integers keep a record just written from being tidy.
    longest = {"bigint": 10**18, "int": 10**9}
    short = [
        all(abs(r.get(c.name) or 0) < longest[c.type] for c in table.columns if c.type in longest)
        for r in records
    ]
    tidy = ["\\" not in line and is_short for line, is_short in zip(lines, short, strict=True)]
    plain = list(itertools.compress(lines, tidy))
    assert profile(spark, table, plain) == (len(plain), 0, True)
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", suffix=".json") as file:
        file.writelines(f"{line}\n" for line in plain)
        file.flush()
        again = reader.read_tidy(spark, [f"file://{file.name}"], table).collect()
    assert [tuple(row) for row in again] == list(itertools.compress(written, tidy))


# Structure within texts, after a letter; a cut through such a text leaves stray braces and quotes.
CONFUSING = st.text(r'ab{}[],:"\é ' + "\n", max_size=8).map(lambda text: f"u{text}")
EXTRAS = st.sampled_from([None, 1, "}{", [{"a": [1, {"b": "]"}]}, {}], {"a": {"b": [1, 2]}}])
READINGS = st.fixed_dictionaries(
    {
        "user": CONFUSING,
        "timestamp": VALUES["bigint"],
        "x": VALUES["double"],
        "y": VALUES["double"],
        "z": VALUES["double"],
    },
    optional={"extra": EXTRAS},
)
COMPLETE = READINGS.map(lambda record: (json.dumps(record), record))
# Cut before its last brace: no piece is a record, however it goes on, because what follows it is
# never a quote, a bracket or a brace that closes.
TRUNCATED = st.builds(
    lambda record, cut: (json.dumps(record)[: 1 + cut % (len(json.dumps(record)) - 1)], None),
    READINGS,
    st.integers(0, 1000),
)
# Words without quotes, braces or brackets, which could swallow a neighbour or complete it.
GARBAGE = st.text("abc 019.-é", min_size=1, max_size=8).map(lambda text: (text, None))
SEPARATORS = st.sampled_from(["", ",", " ", ", "])
LINES = st.lists(st.tuples(COMPLETE | TRUNCATED | GARBAGE, SEPARATORS), max_size=6)


@FEW_LARGE_FRAMES
@given(mixture=st.lists(LINES, min_size=1, max_size=30))
def test__fragments__mixture(spark, mixture):
    """Every complete object is read, whatever stands around it, and no text is dropped."""
    lines = ["".join(text + separator for (text, _), separator in line) for line in mixture]
    complete = [
        tuple(record.get(name) for name in ACCELEROMETER_LANDING.column_names)
        for line in mixture
        for (_, record), _ in line
        if record is not None
    ]
    rows = rows_of(spark, ACCELEROMETER_LANDING, lines)
    read_well = [tuple(row)[:5] for row in rows if row[reader.REASON] is None]
    malformed = [row for row in rows if row[reader.REASON] is not None]

    assert Counter(read_well) == Counter(complete)
    counted = reader.count(lines_of(spark, lines), ACCELEROMETER_LANDING)
    assert counted == (len(complete) + len(malformed), len(malformed))
    assert all(REASONS.fullmatch(row[reader.REASON]) for row in malformed)
    assert letters(row[reader.LINE] for row in rows) == letters(lines)


def letters(texts: Any) -> Counter[str]:
    """How often each character occurs, apart from what may stand between array elements."""
    return Counter(re.sub(r"[\s,\[\]]", "", "".join(texts)))
