"""How lines are split into records, and which of them conform."""

from __future__ import annotations

import json

import pytest

from stedi_assets.landing import conforming, reader
from stedi_assets.tables import LANDING_TABLES
from stedi_assets.tables.accelerometer import ACCELEROMETER_LANDING
from stedi_assets.tables.step_trainer import STEP_TRAINER_LANDING
from stedi_assets_tests.lines import (
    ANN,
    ANN_READ,
    BEN,
    BEN_READ,
    DEVICE,
    NOT_AN_OBJECT,
    count,
    lines_of,
    profile,
    read,
)


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param([ANN, BEN], id="well_formed"),
        pytest.param([f"{ANN}{BEN}"], id="two_objects_on_a_line"),
        pytest.param([f"{ANN},{BEN}"], id="comma_between_objects"),
        pytest.param([f"{ANN} {BEN}"], id="space_between_objects"),
        pytest.param([f"{ANN},", f"{BEN},"], id="comma_after_every_line"),
        pytest.param([f"[{ANN},{BEN}]"], id="array_on_one_line"),
        pytest.param([f"[{ANN}]", f"[{BEN}]"], id="arrays_of_one"),
        pytest.param(["[", f"{ANN},", BEN, "]"], id="array_over_lines"),
        pytest.param([f"[{ANN},", f"{BEN}]"], id="array_closed_after_last"),
        pytest.param([f"[{ANN}][{BEN}]"], id="two_arrays_on_a_line"),
        pytest.param([f"{ANN}][{BEN}"], id="array_ends_where_next_begins"),
        pytest.param(["", ANN, "   ", "\t", "\r", BEN, ""], id="blank"),
        pytest.param([",", ANN, " , ", "[", "]", BEN, "[]"], id="lone_commas_and_brackets"),
        pytest.param([f"{ANN}\r", f"  {BEN}\t"], id="carriage_return_and_padding"),
        pytest.param(["\ufeff" + ANN, "\ufeff", BEN], id="byte_order_marks"),
    ],
)
def test__split__records_however_framed(spark, lines):
    assert read(spark, ACCELEROMETER_LANDING, *lines) == ([ANN_READ, BEN_READ], [])


@pytest.mark.parametrize("line", [ANN * 1000, f"[{','.join([ANN] * 1000)}]"])
def test__split__thousand_objects_on_a_line(spark, line):
    assert read(spark, ACCELEROMETER_LANDING, line) == ([ANN_READ] * 1000, [])


CUT = [
    '{"user":"ben@x.io","timestamp":16555',  # in a number
    '{"user":"ben',  # in a text
    '{"user":',
    '{"user":"ben@x.io","x"',
    '{"user":"ben@x.io","extra":[1655564376361,1655564376361,1655564376361',
    "{",
]


def test__split__objects_cut_short(spark):
    """Alone, before a complete one, and between complete ones."""
    malformed = sorted((cut, NOT_AN_OBJECT) for cut in CUT)
    anns, bens = [ANN_READ] * len(CUT), [BEN_READ] * len(CUT)
    assert read(spark, ACCELEROMETER_LANDING, *CUT) == ([], malformed)
    before = [cut + ANN for cut in CUT]
    assert read(spark, ACCELEROMETER_LANDING, *before) == (anns, malformed)
    between = [BEN + cut + ANN for cut in CUT]
    assert read(spark, ACCELEROMETER_LANDING, *between) == (anns + bens, malformed)


@pytest.mark.parametrize(
    ("lines", "records", "malformed"),
    [
        pytest.param([f"hello{ANN}"], [ANN_READ], ["hello"], id="text_before"),
        pytest.param([f"{ANN}hello"], [ANN_READ], ["hello"], id="text_after"),
        pytest.param([f"{ANN}] hello"], [ANN_READ], ["] hello"], id="text_after_an_array"),
        pytest.param([f"{ANN}}}{BEN}"], [ANN_READ, BEN_READ], ["}"], id="object_after_a_brace"),
        pytest.param([f"{ANN}}}"], [ANN_READ], ["}"], id="brace_after"),
        pytest.param(["hello", "5", "null"], [], ["5", "hello", "null"], id="no_objects"),
        pytest.param([ANN.replace('"', "'")], [], [ANN.replace('"', "'")], id="single_quotes"),
        pytest.param([ANN[:-1] + ",}"], [], [ANN[:-1] + ",}"], id="comma_before_brace"),
        pytest.param(["{", '"a":1', "}"], [], ['"a":1', "{", "}"], id="object_over_lines"),
    ],
)
def test__split__text_that_is_no_object(spark, lines, records, malformed):
    expected = (records, [(text, NOT_AN_OBJECT) for text in malformed])
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
def test__split__text_with_structure(spark, text, user):
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
def test__split__unknown_field(spark, extra):
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
def test__split__unknown_field_however_deep(spark, depth, opening, closing):
    deep = f"{opening * depth}{'' if opening == '[' else 1}{closing * depth}"
    last, first = f'{ANN[:-1]},"extra":{deep}}}', f'{{"extra":{deep},{BEN[1:]}'
    within_a_text = f'{ANN[:-1]},"extra":{json.dumps(deep)}}}'
    records, malformed = read(spark, ACCELEROMETER_LANDING, last, first, within_a_text)
    assert (records, malformed) == ([ANN_READ, ANN_READ, BEN_READ], [])


@pytest.mark.parametrize("depth", [10, 127, 128, 1_000, 100_000])
def test__split__deep_value_that_is_no_unknown_field(spark, depth):
    deep = "[" * depth + "]" * depth
    declared = ANN.replace('"x":1.0', f'"x":{deep}')
    found = read(spark, ACCELEROMETER_LANDING, declared)
    assert found == ([], [(declared, "x is not of type double")])
    unclosed, closed_twice = f'{ANN[:-1]},"e":{"[" * depth}}}', f'{ANN[:-1]},"e":{deep}]}}'
    records, malformed = read(spark, ACCELEROMETER_LANDING, unclosed, closed_twice)
    assert records == []
    assert "".join(text for text, _ in malformed).count("ann@x.io") == 2  # something of each


def test__split__nested_in_objects_that_share_a_line(spark):
    line = f'{ANN[:-1]},"extra":{"[" * 30}{{"a":"]"}}{"]" * 30}}}'
    records, malformed = read(spark, ACCELEROMETER_LANDING, f"[{line},{BEN}]", f"{line}{BEN}")
    assert (records, malformed) == ([ANN_READ, ANN_READ, BEN_READ, BEN_READ], [])


@pytest.mark.parametrize("depth", [32, 33, 1_500])
@pytest.mark.parametrize(
    ("opening", "closing"),
    [
        pytest.param("[", "]", id="arrays"),
        pytest.param('{"a":', "}", id="objects"),
        pytest.param('[[1],{"a":', ',"b":["]"]}]', id="both"),
    ],
)
def test__split__however_deep_in_objects_that_share_a_line(spark, depth, opening, closing):
    deep = f'{opening * depth}"[{{{chr(92)}"["{closing * depth}'
    last, first = f'{ANN[:-1]},"extra":{deep}}}', f'{{"extra":{deep},{BEN[1:]}'
    lines = (
        f"{last}{first}{ANN}{BEN}",
        f"{ANN} {BEN} {last} {first}",
        f"[{ANN}, {last}, {BEN}, {first}]",
        f"[{last}][{first},{ANN}],{BEN},",
    )
    found = read(spark, ACCELEROMETER_LANDING, *lines)
    assert found == (sorted([ANN_READ, BEN_READ] * 2 * len(lines)), [])


def test__split__deep_object_beside_what_is_none(spark):
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
def test__split__line_of_300_kilobytes(spark, line, records, objects):
    found, malformed = count(spark, ACCELEROMETER_LANDING, [line])
    assert found - malformed == records
    assert objects in (None, found)


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        pytest.param([ANN, BEN], (2, 0, True), id="conforming"),
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


CONFORMING = [
    ANN.replace(":", " : ").replace(",", " ,\t"),
    f" {ANN}\t",
    *(ANN.replace("ann@x.io", text) for text in ("12", "[1]", "{}", "true", "")),
    ANN.replace("ann@x.io", "caf\xe9 \u2028\x85\x7f"),
    *(ANN.replace("1.0", number) for number in ("1e3", "1e-07", "-0.0", "1")),
]
NOT_CONFORMING = [
    ANN.replace("{", '{"x":7.0,'),  # a key twice
    ANN.replace("}", ',"note":null}'),  # an unknown field
    ANN.replace("ann", "\\u0061nn"),
    *(ANN.replace('"ann@x.io"', value) for value in ("null", "12", "1e3", "true", "[1]")),
    ANN.replace('"ann@x.io"', '"ann"} '),
    ANN.replace('"user":"ann@x.io",', ""),
    ANN.replace('"user"', '"User"'),
    ANN.replace('"user":', '"user"'),
    ANN.replace(",", "", 1),
    ANN.replace(",", ",,", 1),
    ANN.replace("}", ",}"),
    *(ANN.replace("1.0", number) for number in ("1e999", "01.0", ".5", "NaN", '"1.0"')),
    ANN.replace("361,", "361.5,"),
    ANN.replace("361,", "361000000000,"),  # beyond a bigint
    "\ufeff" + ANN,
    ANN + "\x85",  # another line terminator
]


def test__conforming__is_what_both_readers_read_alike(spark, tmp_path):
    lines = lines_of(spark, [*CONFORMING, *NOT_CONFORMING])
    found = lines.where(conforming.is_conforming(ACCELEROMETER_LANDING)).collect()
    assert sorted(row.value for row in found) == sorted(CONFORMING)
    assert [
        conforming.is_conforming_text(line, ACCELEROMETER_LANDING)
        for line in (*CONFORMING, *NOT_CONFORMING)
    ] == [True] * len(CONFORMING) + [False] * len(NOT_CONFORMING)
    file = tmp_path / "a.json"
    file.write_text("\n".join(CONFORMING), encoding="utf-8")
    frame = conforming.read_conforming(spark, [file.as_uri()], ACCELEROMETER_LANDING)
    again = sorted((tuple(row) for row in frame.collect()), key=repr)
    assert read(spark, ACCELEROMETER_LANDING, *CONFORMING) == (again, [])
    assert frame.dtypes == [(column.name, column.type) for column in ACCELEROMETER_LANDING.columns]


def test__profile__int_beyond_its_range_does_not_conform(spark):
    lines = [DEVICE, DEVICE.replace(":7", ":99999999999")]
    assert profile(spark, STEP_TRAINER_LANDING, lines) == (2, 1, False)


def test__parse__reads_the_columns_as_declared(spark):
    for table in LANDING_TABLES:
        frame = reader.parse(reader.split(lines_of(spark, [ANN])), table)
        declared = [(column.name, column.type) for column in table.columns]
        assert frame.dtypes[: len(declared)] == declared
