"""What the reader makes of a line: each case shows the text, its records and its reasons."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
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
    "customer": "email is missing; serialNumber is missing",
}


def lines_of(spark: SparkSession, lines: list[str]) -> DataFrame:
    return spark.createDataFrame([(line,) for line in lines], "value string")


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
    assert read(spark, ACCELEROMETER_LANDING, line) == ([(user, *ANN_READ[1:])], [])
    assert read(spark, ACCELEROMETER_LANDING, line + BEN) == (
        sorted([(user, *ANN_READ[1:]), BEN_READ]),
        [],
    )


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
    assert read(spark, ACCELEROMETER_LANDING, line) == ([ANN_READ], [])
    assert read(spark, ACCELEROMETER_LANDING, line + BEN) == ([ANN_READ, BEN_READ], [])


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        pytest.param('"timestamp"', '"timeStamp"', 1655564376361, id="alias"),
        pytest.param(":1655564376361", ":1655564376361.0", 1655564376361, id="float"),
        pytest.param(":1655564376361", ':"1655564376361"', 1655564376361, id="in_a_string"),
        pytest.param(":1655564376361", ":1.655564376361e12", 1655564376361, id="exponent"),
        pytest.param(":1655564376361", ":1e3", 1000, id="small_exponent"),
        pytest.param(":1655564376361", ":9223372036854775807", 2**63 - 1, id="greatest"),
        pytest.param(":1655564376361", ":9007199254740993", 2**53 + 1, id="no_double_holds_it"),
        pytest.param(":1655564376361", ':"9007199254740993"', 2**53 + 1, id="nor_in_a_string"),
        pytest.param(
            '"timestamp":1655564376361',
            '"timestamp":null,"timeStamp":1655564376361',
            1655564376361,
            id="null_beside_its_alias",
        ),
    ],
)
def test__parse__integer_read(spark, old, new, expected):
    line = ANN.replace(old, new)
    assert read(spark, ACCELEROMETER_LANDING, line) == (
        [("ann@x.io", expected, 1.0, -2.5, 0.0)],
        [],
    )


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        pytest.param("2.5", "timestamp is not of type bigint", id="fraction"),
        pytest.param('"2.5"', "timestamp is not of type bigint", id="fraction_in_a_string"),
        pytest.param("9223372036854775808", "timestamp is not of type bigint", id="overflow"),
        pytest.param("9007199254740993.0", "timestamp is not of type bigint", id="inexact_float"),
        pytest.param("true", "timestamp is not of type bigint", id="boolean"),
        pytest.param('"noon"', "timestamp is not of type bigint", id="text"),
        pytest.param('""', "timestamp is not of type bigint", id="empty_text"),
        pytest.param('{"a":1}', "timestamp is not of type bigint", id="object"),
        pytest.param("[1655564376361]", "timestamp is not of type bigint", id="array"),
        pytest.param("null", "timestamp is missing", id="null"),
        pytest.param("01655564376361", NOT_AN_OBJECT, id="leading_zero"),
        pytest.param("noon", NOT_AN_OBJECT, id="bare_word"),
    ],
)
def test__parse__integer_refused(spark, text, reason):
    line = ANN.replace("1655564376361", text)
    assert read(spark, ACCELEROMETER_LANDING, line) == ([], [(line, reason)])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("1", 1.0, id="integer"),
        pytest.param("0.1", 0.1, id="fraction"),
        pytest.param("1E-2", 0.01, id="exponent"),
        pytest.param("5e-324", 5e-324, id="least"),
        pytest.param("-12.345678", -12.345678, id="six_decimals"),
        pytest.param('"1.5"', 1.5, id="in_a_string"),
    ],
)
def test__parse__double_read(spark, text, expected):
    line = ANN.replace(":1.0", f":{text}")
    assert read(spark, ACCELEROMETER_LANDING, line) == (
        [("ann@x.io", 1655564376361, expected, -2.5, 0.0)],
        [],
    )


def test__parse__double_of_seventeen_digits(spark):
    """The embedded engine's JSON parser may be off by the last bit of a double, never by more."""
    exact = [-2.1460971594233737, 112896.68416698319, 13.897349477489307]
    lines = [ANN.replace(":1.0", f":{value!r}") for value in exact]
    records, malformed = read(spark, ACCELEROMETER_LANDING, *lines)
    assert malformed == []
    for record, value in zip(records, exact, strict=True):
        assert abs(record[2] - value) <= math.ulp(value)


# JVM Spark's parser reads a number beyond all doubles as infinite and blames the field; the
# embedded engine's blames the object.
OVERFLOW = {"x is not of type double", NOT_AN_OBJECT}


@pytest.mark.parametrize(
    ("text", "reasons"),
    [
        pytest.param("NaN", {NOT_AN_OBJECT}, id="nan"),
        pytest.param("Infinity", {NOT_AN_OBJECT}, id="infinity"),
        pytest.param("-Infinity", {NOT_AN_OBJECT}, id="minus_infinity"),
        pytest.param("1e999", OVERFLOW, id="overflow"),
        pytest.param("-1e999", OVERFLOW, id="negative_overflow"),
        pytest.param('"NaN"', {"x is not of type double"}, id="nan_in_a_string"),
        pytest.param('"Infinity"', {"x is not of type double"}, id="infinity_in_a_string"),
        pytest.param('"1e999"', {"x is not of type double"}, id="overflow_in_a_string"),
        pytest.param('"1,5"', {"x is not of type double"}, id="decimal_comma"),
        pytest.param('{"a":1}', {"x is not of type double"}, id="object"),
        pytest.param("true", {"x is not of type double"}, id="boolean"),
        pytest.param("null", {"x is missing"}, id="null"),
        pytest.param(".5", {NOT_AN_OBJECT}, id="no_digit_before_the_point"),
    ],
)
def test__parse__double_refused(spark, text, reasons):
    line = ANN.replace(":1.0", f":{text}")
    records, [(fragment, reason)] = read(spark, ACCELEROMETER_LANDING, line)
    assert (records, fragment) == ([], line)
    assert reason in reasons


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("7", 7, id="int"),
        pytest.param("7.0", 7, id="float"),
        pytest.param('"7"', 7, id="in_a_string"),
        pytest.param("0", 0, id="implausible_but_an_int"),
        pytest.param("2147483647", 2**31 - 1, id="greatest"),
        pytest.param("-2147483648", -(2**31), id="least"),
        pytest.param("2147483648", None, id="one_too_great"),
        pytest.param("-2147483649", None, id="one_too_small"),
        pytest.param("99999999999", None, id="would_wrap_around"),
        pytest.param('"99999999999"', None, id="would_wrap_around_in_a_string"),
        pytest.param("99999999999999999999", None, id="beyond_long"),
        pytest.param("2.5", None, id="fraction"),
        pytest.param("true", None, id="boolean"),
    ],
)
def test__parse__distance(spark, text, expected):
    line = DEVICE.replace(":7", f":{text}")
    assert read(spark, STEP_TRAINER_LANDING, line) == (
        ([], [(line, "distanceFromObject is not of type int")])
        if expected is None
        else ([(1655564376361, "s-1", expected)], [])
    )


def customer(**fields: Any) -> tuple[Any, ...]:
    """A customer's row, all null but for the required fields and those named."""
    row = {"email": "ann@x.io", "serialNumber": "s-1"} | fields
    return tuple(row.get(name) for name in CUSTOMER_LANDING.column_names)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param('"555-1234"', "555-1234", id="text"),
        pytest.param("5551234567", "5551234567", id="integer"),
        pytest.param('"null"', "null", id="the_word_null"),
        pytest.param('"true"', "true", id="the_word_true"),
        pytest.param('""', "", id="empty"),
        pytest.param("null", None, id="null"),
        pytest.param('"{x}"', "{x}", id="looks_like_an_object"),
        pytest.param('"[x]"', "[x]", id="looks_like_an_array"),
        pytest.param(r'"{\"a\":1}"', '{"a":1}', id="is_an_object_in_a_text"),
        pytest.param(r'"[\u00e9]"', "[é]", id="escape_in_what_looks_like_an_array"),
    ],
)
def test__parse__phone_read(spark, text, expected):
    line = f'{CUSTOMER[:-1]},"phone":{text}}}'
    assert read(spark, CUSTOMER_LANDING, line) == ([customer(phone=expected)], [])


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        pytest.param("true", "phone is not of type string", id="boolean"),
        pytest.param('{"a":1}', "phone is not of type string", id="object"),
        pytest.param("{}", "phone is not of type string", id="empty_object"),
        pytest.param('["555"]', "phone is not of type string", id="array"),
        pytest.param("NaN", NOT_AN_OBJECT, id="nan"),
        pytest.param('"55\ufffd"', "not UTF-8", id="replaced_byte"),
    ],
)
def test__parse__phone_refused(spark, text, reason):
    line = f'{CUSTOMER[:-1]},"phone":{text}}}'
    assert read(spark, CUSTOMER_LANDING, line) == ([], [(line, reason)])


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        pytest.param("", None, id="absent"),
        pytest.param(',"shareWithResearchAsOfDate":null', None, id="null"),
        pytest.param(',"shareWithResearchAsOfDate":0', 0, id="zero"),
        pytest.param(',"shareWithResearchAsOfDate":1655564376361', 1655564376361, id="integer"),
        pytest.param(',"shareWithResearchAsOfDate":1655564376361.0', 1655564376361, id="float"),
        pytest.param(',"shareWithResearchAsOfDate":1.655564376361E12', 1655564376361, id="double"),
        pytest.param(',"shareWithResearchAsOfDate":"1655564376361"', 1655564376361, id="in_text"),
    ],
)
def test__parse__consent_date_read(spark, field, expected):
    line = f"{CUSTOMER[:-1]}{field}}}"
    assert read(spark, CUSTOMER_LANDING, line) == (
        [customer(shareWithResearchAsOfDate=expected)],
        [],
    )


@pytest.mark.parametrize("text", ['"yes"', '""', "true", "1655564376361.5", '{"since":1}'])
def test__parse__consent_date_refused(spark, text):
    """What may mean consent but cannot be read is never taken for the lack of it."""
    line = f'{CUSTOMER[:-1]},"shareWithResearchAsOfDate":{text}}}'
    assert read(spark, CUSTOMER_LANDING, line) == (
        [],
        [(line, "shareWithResearchAsOfDate is not of type bigint")],
    )


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
        pytest.param(
            "customer_landing", '{"email":null}', MISSING["customer"], id="both_of_a_customer"
        ),
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
        pytest.param([ANN, BEN], reader.Profile(2, 0, tidy=True), id="tidy"),
        pytest.param([ANN, ""], reader.Profile(1, 0, tidy=False), id="blank_line"),
        pytest.param([f"{ANN}{BEN}"], reader.Profile(2, 0, tidy=False), id="two_on_a_line"),
        pytest.param([f"{ANN},"], reader.Profile(1, 0, tidy=False), id="comma"),
        pytest.param([ANN, "{"], reader.Profile(2, 1, tidy=False), id="malformed"),
        pytest.param(
            [ANN.replace("timestamp", "timeStamp")], reader.Profile(1, 0, tidy=False), id="alias"
        ),
        pytest.param(
            [ANN.replace(":1.0", ':"1.0"')], reader.Profile(1, 0, tidy=False), id="number_in_text"
        ),
        pytest.param(
            [ANN.replace(":1.0", ":[1.0]"), BEN], reader.Profile(2, 1, tidy=False), id="wrong_type"
        ),
        pytest.param([], reader.Profile(0, 0, tidy=True), id="nothing"),
    ],
)
def test__profile(spark, lines, expected):
    assert reader.profile(lines_of(spark, lines), ACCELEROMETER_LANDING) == expected


def test__parse_tidy__reads_the_columns_as_declared(spark):
    frame = reader.parse_tidy(lines_of(spark, [ANN, BEN]), ACCELEROMETER_LANDING)
    assert [tuple(row) for row in frame.collect()] == [ANN_READ, BEN_READ]
    assert frame.dtypes == [(column.name, column.type) for column in ACCELEROMETER_LANDING.columns]


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
    lines = [json.dumps(record, ensure_ascii=ascii_only) for record in records]
    written = [tuple(record.get(name) for name in table.column_names) for record in records]

    assert read(spark, table, *lines) == (sorted(written, key=repr), [])
    tidy = {row[reader.LINE] for row in rows_of(spark, table, lines) if row[reader.TIDY]}
    # Braces within a text are the only thing that keeps a record just written from being tidy.
    assert tidy == {line for line in lines if line.count("{") == line.count("}") == 1}
    pairs = [(line, row) for line, row in zip(lines, written, strict=True) if line in tidy]
    again = reader.parse_tidy(lines_of(spark, [line for line, _ in pairs]), table).collect()
    assert [tuple(row) for row in again] == [row for _, row in pairs]


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
# Cut at the latest before its last brace: no piece is a record, however it goes on, because what
# follows a cut text is never a quote, and what follows a cut object is never its brace.
TRUNCATED = st.builds(
    lambda record, cut: (json.dumps(record)[: 1 + cut % (len(json.dumps(record)) - 1)], None),
    READINGS.filter(lambda record: "extra" not in record),
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
    found = reader.profile(lines_of(spark, lines), ACCELEROMETER_LANDING)
    assert (found.objects, found.malformed) == (len(complete) + len(malformed), len(malformed))
    assert all(REASONS.fullmatch(row[reader.REASON]) for row in malformed)
    assert letters(row[reader.LINE] for row in rows) == letters(lines)


def letters(texts: Any) -> Counter[str]:
    """How often each character occurs, apart from what may stand between array elements."""
    return Counter(re.sub(r"[\s,\[\]]", "", "".join(texts)))
