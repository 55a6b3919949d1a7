"""How lines are cut into records, and which of them are tidy."""

from __future__ import annotations

import json
from typing import Any

import pytest

from stedi_assets.landing import reader
from stedi_assets.tables import LANDING_TABLES
from stedi_assets.tables.accelerometer import ACCELEROMETER_LANDING
from stedi_assets.tables.step_trainer import STEP_TRAINER_LANDING
from stedi_assets_tests.lines import (
    ANN,
    ANN_READ,
    BEN,
    BEN_READ,
    DEVICE,
    MISSING,
    NOT_AN_OBJECT,
    lines_of,
    profile,
    read,
)


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


@pytest.mark.parametrize("depth", [10, 127, 128, 1_000, 100_000])
@pytest.mark.parametrize(
    ("opening", "closing"),
    [
        pytest.param("[", "]", id="arrays"),
        pytest.param('{"a":', "}", id="objects"),
        pytest.param('[1,{"a":', ',"b":"]"}]', id="both"),
    ],
)
def test__fragments__unknown_field_however_deep(spark, depth, opening, closing):
    deep = f"{opening * depth}{'' if opening == '[' else 1}{closing * depth}"
    last, first = f'{ANN[:-1]},"extra":{deep}}}', f'{{"extra":{deep},{BEN[1:]}'
    within_a_text = f'{ANN[:-1]},"extra":{json.dumps(deep)}}}'
    records, malformed = read(spark, ACCELEROMETER_LANDING, last, first, within_a_text)
    assert (records, malformed) == ([ANN_READ, ANN_READ, BEN_READ], [])


@pytest.mark.parametrize("depth", [10, 127, 128, 1_000, 100_000])
def test__fragments__deep_value_that_is_no_unknown_field(spark, depth):
    deep = "[" * depth + "]" * depth
    declared = ANN.replace('"x":1.0', f'"x":{deep}')
    found = read(spark, ACCELEROMETER_LANDING, declared)
    assert found == ([], [(declared, "x is not of type double")])
    unclosed, closed_twice = f'{ANN[:-1]},"e":{"[" * depth}}}', f'{ANN[:-1]},"e":{deep}]}}'
    for line in (unclosed, closed_twice):
        records, malformed = read(spark, ACCELEROMETER_LANDING, line)
        assert records == []
        assert malformed


def test__fragments__nested_in_objects_that_share_a_line(spark):
    line = f'{ANN[:-1]},"extra":{"[" * 30}{{"a":"]"}}{"]" * 30}}}'
    records, malformed = read(spark, ACCELEROMETER_LANDING, f"[{line},{BEN}]", f"{line}{BEN}")
    assert (records, malformed) == ([ANN_READ, ANN_READ, BEN_READ, BEN_READ], [])


@pytest.mark.parametrize("depth", [31, 32, 33, 127, 1_500, 5_000])
@pytest.mark.parametrize(
    ("opening", "closing"),
    [
        pytest.param("[", "]", id="arrays"),
        pytest.param('{"a":', "}", id="objects"),
        pytest.param('[[1],{"a":', ',"b":["]"]}]', id="both"),
    ],
)
def test__fragments__however_deep_in_objects_that_share_a_line(spark, depth, opening, closing):
    deep = f'{opening * depth}"[{{{chr(92)}"["{closing * depth}'
    last, first = f'{ANN[:-1]},"extra":{deep}}}', f'{{"extra":{deep},{BEN[1:]}'
    for line in (
        f"{last}{first}{ANN}{BEN}",
        f"{ANN} {BEN} {last} {first}",
        f"[{ANN}, {last}, {BEN}, {first}]",
        f"[{last}][{first},{ANN}],{BEN},",
    ):
        found = read(spark, ACCELEROMETER_LANDING, line)
        assert (sorted(found[0]), found[1]) == (sorted([ANN_READ, BEN_READ] * 2), [])


def test__fragments__deep_object_beside_what_is_none(spark):
    deep = f'{ANN[:-1]},"extra":{"[" * 200}{"]" * 200}}}'
    wrong = deep.replace(":1.0", ":true")
    records, malformed = read(spark, ACCELEROMETER_LANDING, f"{deep}}}{BEN} hello, {wrong}{BEN}")
    assert records == [BEN_READ, BEN_READ]
    assert len(malformed) == 3
    not_json = f"{deep}\x01{BEN}\x02"
    assert read(spark, ACCELEROMETER_LANDING, not_json)[0] == [BEN_READ]
    cut_in_a_text = f'{{"user":"ben{ANN * 40}'
    assert read(spark, ACCELEROMETER_LANDING, cut_in_a_text)[0] == [ANN_READ] * 40


@pytest.mark.parametrize(
    ("line", "records", "objects"),
    [
        pytest.param(f'{ANN[:-1]},"e":[{",".join(["1"] * 60_000)}', 0, 1, id="array_cut_short"),
        pytest.param(
            f'{ANN[:-1]},"e":[{",".join([BEN] * 4_000)}', 4_000, 4_001, id="objects_in_it"
        ),
        pytest.param('{"a":' * 60_000, 0, 1, id="objects_cut_short"),
        pytest.param('{"a":[' * 50_000, 0, 1, id="both_cut_short"),
        pytest.param(f'{{"a":"{chr(92)}n' * 40_000, 0, None, id="texts_cut_short"),
        pytest.param('{"' * 150_000, 0, None, id="quotes"),
        pytest.param(
            f'{ANN[:-1]},"e":[{",".join(["{}"] * 100_000)}]}}{BEN}',
            2,
            2,
            id="wide_on_a_shared_line",
        ),
        pytest.param(
            f'{ANN[:-1]},"e":{"[" * 99}{",".join(["{}"] * 100_000)}{"]" * 99}}}{BEN}',
            2,
            2,
            id="wide_and_deep_on_a_shared_line",
        ),
        pytest.param(ANN * 16_000, 16_000, 16_000, id="objects"),
        pytest.param(
            f'{ANN[:-1]},"e":{"[" * 40}{"]" * 40}}}' * 4_000, 4_000, 4_000, id="deep_objects"
        ),
    ],
)
@pytest.mark.timeout(120)
def test__fragments__line_of_300_kilobytes(spark, line, records, objects):
    found, malformed = reader.count(lines_of(spark, [line]), ACCELEROMETER_LANDING)
    assert found - malformed == records
    assert objects in (None, found)


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
