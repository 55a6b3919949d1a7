"""Of a line goes what is one of the people's; all that is others' stays byte for byte."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from stedi_assets.erasure import text
from stedi_assets.erasure.people import Left, People
from stedi_assets.tables import Table
from stedi_assets.tables.accelerometer import ACCELEROMETER_LANDING
from stedi_assets.tables.customer import CUSTOMER_LANDING
from stedi_assets_tests.rows import PSEUDONYMS

ANN = '{"user":"ann@example.com","timestamp":1655564376361,"x":1.0,"y":0.0,"z":0.0}'
EVE = '{"user": "eve@example.com", "timestamp": 1655564376361, "x": 1.0, "y": 0.0, "z": 0.0}'
PERSON = frozenset([PSEUDONYMS.of_text("eve@example.com")])


def eve(**known: frozenset[str]) -> People:
    """Eve, by her address, her phone, her device, one that she shares, and her name."""
    all_known = {
        "addresses": frozenset(["eve@example.com"]),
        "phones": frozenset([text.phone_of("+1 (801) 555-0103")]),
        "devices": frozenset(["device-eve", "12345678901234567890", "7"]),
        "shared": frozenset(["device-of-all", text.phone_of("801-555-0199")]),
        "names": frozenset(["Eve Everett"]),
    }
    return People(PSEUDONYMS, PERSON, **{**all_known, **known})


def stays(line: str, ambiguous: int = 0) -> Left:
    return Left(line, ambiguous)


GONE = Left(None)
GONE_COUNTED = Left(None, 1)


@pytest.mark.parametrize(
    ("line", "left"),
    [
        pytest.param(ANN, stays(ANN), id="another"),
        pytest.param(EVE, GONE, id="alone"),
        pytest.param(f"\ufeff{EVE}\r", GONE, id="byte_order_mark_and_crlf"),
        pytest.param(EVE.replace("eve@", " EVE@"), GONE, id="other_case_and_padding"),
        pytest.param(EVE.replace("@", "\\u0040"), GONE, id="escaped"),
        pytest.param(EVE.replace("eve@", "\\u0065v\\u0065@"), GONE, id="letters_escaped"),
        pytest.param(f"{ANN}{EVE}{ANN}", stays(f"{ANN}\n{ANN}"), id="between_others"),
        pytest.param(f"[{ANN}, {EVE}]", stays(ANN), id="in_an_array"),
        pytest.param(f"{ANN}\r{EVE}\r{ANN}", stays(f"{ANN}\n{ANN}"), id="lines_of_an_old_mac"),
        pytest.param(EVE[:40], GONE, id="cut_short"),
        pytest.param(EVE[20:], stays(EVE[20:]), id="cut_at_its_beginning"),
        pytest.param(f"{EVE[:40]}{ANN}", stays(ANN), id="cut_short_before_another"),
        pytest.param(f"{EVE[:26]}{ANN}", stays(ANN), id="cut_within_a_text_before_another"),
        pytest.param(f"{ANN}{EVE[:40]}", stays(ANN), id="cut_short_after_another"),
        pytest.param("eve@example.com was here.", GONE, id="no_json"),
        pytest.param("so was <Eve@example.com>.", GONE, id="no_json_in_brackets"),
        pytest.param("user=eve@example.com", GONE, id="assignment"),
        pytest.param("{'user':'eve@example.com','x':1}", GONE, id="single_quotes"),
        pytest.param("eve\\u0040example.com", GONE, id="escaped_in_no_json"),
        pytest.param(json.dumps(json.dumps(EVE)), stays('"\\"'), id="json_in_json_in_json"),
        pytest.param("\0".join(EVE), GONE, id="sixteen_bits"),
        pytest.param('{"who":{"mail":["eve@example.com"]}}', GONE, id="deep"),
        pytest.param('{"eve@example.com":1}', GONE, id="name_of_a_field"),
        pytest.param('{"user":null,"email":"eve@example.com"}', GONE, id="other_field"),
        pytest.param('{"a":' * 1500 + '"eve@example.com"' + "}" * 1500, GONE, id="1500_deep"),
        pytest.param(
            f'{ANN[:-1]},"a":{"[" * 1500}{"]" * 1500}}}',
            stays(f'{ANN[:-1]},"a":{"[" * 1500}{"]" * 1500}}}'),
            id="another_1500_deep",
        ),
        pytest.param(
            ANN.replace("ann@", "steve@"), stays(ANN.replace("ann@", "steve@")), id="steve"
        ),
        pytest.param("steve@example.com", stays("steve@example.com"), id="steve_in_no_json"),
        pytest.param("o'eve@example.com", stays("o'eve@example.com"), id="o_eve"),
        pytest.param("eve@example.com.au", stays("eve@example.com.au"), id="longer_domain"),
        pytest.param("mary+eve@example.com", stays("mary+eve@example.com"), id="plus"),
        pytest.param('"a=eve@example.com"', stays('"a=eve@example.com"'), id="odd_address"),
        pytest.param("", stays(""), id="blank"),
        pytest.param("}{][,", stays("}{][,"), id="brackets"),
    ],
)
def test__without__address(line: str, left: Left) -> None:
    assert eve().without(line, ACCELEROMETER_LANDING) == left
    # Who is only asked for, and landed as no customer, is known by the address alone.
    assert People(PSEUDONYMS, PERSON).without(line, ACCELEROMETER_LANDING) == left


CUT = '{"sensorReadingTime":1655564376361,"serialNumber":%s,"distanceFromObj'


@pytest.mark.parametrize(
    ("line", "left"),
    [
        pytest.param('{"serialNumber":"device-eve","distanceFromObject":9}', GONE, id="device"),
        pytest.param('{"serialNumber":12345678901234567890,"x":9}', GONE, id="device_as_number"),
        pytest.param('{"serialNumber":"device-eve-2"}', None, id="like"),
        pytest.param('{"serialNumber":"device-of-all","distanceFromObject":9}', None, id="shared"),
        pytest.param(CUT % '"device-eve"', GONE, id="cut"),
        pytest.param(CUT % '"device\\u002deve"', GONE, id="cut_and_escaped"),
        pytest.param(CUT % "12345678901234567890", GONE, id="cut_number"),
        pytest.param(CUT % '"device-of-all"', stays(CUT % '"device-of-all"', 1), id="cut_shared"),
        pytest.param(CUT % '"my-device-eve"', None, id="cut_like"),
        pytest.param('{"serialNumber":"7","distanceFromObject":9}', GONE, id="short"),
        pytest.param('{"serialNumber":"8","distanceFromObject":7}', None, id="distance_of_7"),
        pytest.param(CUT % '"7"', GONE, id="cut_short"),
        pytest.param(CUT.replace("tance", "7") % '"8"', None, id="cut_with_7"),
        pytest.param('{"phone":"8015550103"}', None, id="other_phone"),
        pytest.param('{"phone":"+1 (801) 555-0103"}', GONE, id="phone"),
        pytest.param('{"phone":18015550103}', GONE, id="phone_as_number"),
        pytest.param('{"any":{"field":["1-801-555-0103"]}}', GONE, id="phone_anywhere"),
        pytest.param('{"customerName":"Eve","phone":"+1 (801) 555-0103","em', GONE, id="cut_phone"),
        pytest.param("call +1 (801) 555-0103 now", GONE, id="phone_in_text"),
        pytest.param("Eve;+1 (801) 555-0103;1980", GONE, id="phone_in_csv"),
        pytest.param("99-1-801-555-0103", None, id="part_of_a_number"),
        pytest.param("call 801 555 0199", stays("call 801 555 0199", 1), id="shared_phone"),
        pytest.param("Eve Everett,1980", stays("Eve Everett,1980", 1), id="name"),
        pytest.param("Steve Everett,1980", None, id="part_of_a_name"),
        pytest.param(
            '{"customerName":"Eve Everett"}',
            stays('{"customerName":"Eve Everett"}', 1),
            id="name_alone",
        ),
        pytest.param("eve", None, id="word"),
        pytest.param(
            '{"email":"bob@example.com","phone":"+1 (801) 555-0103","cu',
            GONE_COUNTED,
            id="another_with_her_phone",
        ),
        pytest.param("bob@example.com;device-eve", GONE_COUNTED, id="another_with_her_device"),
        pytest.param(
            '{"email":"bob@example.com"}' + CUT % '"device-eve"' + " of bob@example.com",
            Left('{"email":"bob@example.com"}', 1),
            id="anothers_record_before_another_with_her_device",
        ),
        pytest.param(
            "bob@example.com;801 555 0199",
            stays("bob@example.com;801 555 0199", 1),
            id="another_with_a_phone_that_they_share",
        ),
        pytest.param(
            "bob@example.com;Eve Everett",
            stays("bob@example.com;Eve Everett", 1),
            id="another_with_her_name",
        ),
        pytest.param(
            '{"email":"bob@example.com","phone":"+1 (801) 555-0103"}',
            None,
            id="anothers_record_with_her_phone",
        ),
        pytest.param(
            '{"email":"bob@example.com","customerName":"Eve Everett"}', None, id="namesake"
        ),
        pytest.param(
            '{"email":"bob@example.com","by": "Eve\\u0040example.com","x":[{"eve@example.com":1}]}',
            stays('{"email":"bob@example.com","by": "","x":[{"":1}]}'),
            id="anothers_record_with_her_address",
        ),
        pytest.param(
            '{"email":"bob@example.com","note":"met eve@example.com"}',
            stays('{"email":"bob@example.com","note":""}'),
            id="anothers_record_with_her_address_in_a_text",
        ),
        pytest.param(
            '{"email":"eve@example.com","email":"bob@example.com"}',
            stays('{"email":"","email":"bob@example.com"}'),
            id="repeated_field",
        ),
    ],
)
def test__without__phone_device_and_name(line: str, left: Left | None) -> None:
    assert eve().without(line, CUSTOMER_LANDING) == (left or stays(line))


@pytest.mark.parametrize(
    ("table", "left"),
    [
        (CUSTOMER_LANDING, stays('{"user":"","email":"bob@example.com"}')),
        (ACCELEROMETER_LANDING, GONE),
    ],
)
def test__without__record_is_its_tables_person(table: Table, left: Left) -> None:
    line = '{"user":"eve@example.com","email":"bob@example.com"}'
    assert eve().without(line, table) == left


RECORDS = st.one_of(
    st.builds(
        json.dumps,
        st.fixed_dictionaries(
            {"user": st.sampled_from(["ann@example.com", "o'eve@example.com", "zoë@example.com"])},
            optional={
                "x": st.floats(),
                "note": st.text(max_size=9),
                "more": st.recursive(
                    st.none() | st.integers() | st.text(max_size=5),
                    lambda inner: (
                        st.lists(inner, max_size=3)
                        | st.dictionaries(st.text(max_size=5), inner, max_size=3)
                    ),
                    max_leaves=5,
                ),
            },
        ),
        ensure_ascii=st.booleans(),
    )
)
HERS = st.sampled_from(
    [
        EVE,
        EVE.replace("@", "\\u0040"),
        '{"serialNumber":"device-eve"}',
        '{"phone":18015550103,"customerName":"Eve Everett"}',
        EVE[:40],
    ]
)
NOISE = st.one_of(
    st.binary(max_size=40),
    st.text(alphabet='{}[]":,\\ u0a@.\ud800\udfff', max_size=40).map(
        lambda given: given.encode("utf-8", "surrogatepass")
    ),
    st.integers(900, 3000).map(lambda depth: b'{"a":' * depth),
    st.integers(900, 3000).map(lambda depth: b"[" * depth + b"]" * depth),
    st.just(EVE.replace("eve@", "\\ud800@").encode()),
)


def _line(line: bytes) -> str:
    return line.decode("utf-8", "surrogateescape")


@given(st.lists(st.tuples(RECORDS, st.integers(0, 200)), max_size=3), st.lists(NOISE, max_size=3))
@settings(max_examples=150)
@example([], [b'{"a":"{\\"' * 50])
def test__without__any_bytes(cut: list[tuple[str, int]], noise: list[bytes]) -> None:
    """Nothing raises, what is left is found to be without her, and to erase again changes none."""
    line = b"".join(
        each
        for pair in zip([text[:end].encode() for text, end in cut] + [b""] * 3, noise, strict=False)
        for each in pair
    ).replace(b"\n", b"")
    for people in (eve(), People(PSEUDONYMS, PERSON)):
        left = people.without(_line(line), ACCELEROMETER_LANDING)
        for each in (left.line or "").split("\n"):
            assert people.without(each, ACCELEROMETER_LANDING).line == each
        if left.line is not None:
            left.line.encode("utf-8", "surrogateescape")


@given(st.lists(RECORDS, min_size=1, max_size=4), HERS, st.integers(0, 4))
@settings(max_examples=150)
def test__without__others_stay_byte_for_byte(others: list[str], hers: str, place: int) -> None:
    people = eve()
    for record in others:
        assert people.without(record, ACCELEROMETER_LANDING).line == record
    line = "".join([*others[:place], hers, *others[place:]])
    left = people.without(line, ACCELEROMETER_LANDING)
    assert (left.line or "").split("\n") == others
    assert (
        not re.search("eve@example.com|device-eve|18015550103", left.line or "") or "o'eve" in line
    )


@pytest.mark.parametrize(
    "make",
    [
        lambda n: '{"a":' * n,
        lambda n: '{"a":"{' * n,
        lambda n: '{"' * n,
        lambda n: "{" * n,
        lambda n: '{":":"' * n,
        lambda n: '{"a\\"' * n,
        lambda n: '{"{":"}","{":{"' * n,
        lambda n: "a" * n,
        lambda n: '"' * n,
        lambda n: '\\"' * n,
        lambda n: "\\u0040" * n,
        lambda n: "a@" * n,
        lambda n: "1 " * n,
        lambda n: " " * n + "{",
        lambda n: '"serialNumber":"' * n,
        lambda n: EVE[:40] * (n // 40),
    ],
)
def test__without__work_grows_as_the_length(make: Callable[[int], str]) -> None:
    """An eightfold line takes about eight times as long, where a quadratic rule takes 64 times."""
    people = eve()

    def least(line: str) -> float:
        taken = []
        for _ in range(3):
            begun = time.process_time()
            people.without(f"device-eve{line}", CUSTOMER_LANDING)
            taken.append(time.process_time() - begun)
        return min(taken)

    short, long = least(make(500)), least(make(4_000))
    assert long < 30 * max(short, 0.001)


def test__people__show_no_one() -> None:
    assert not re.search("(?i)eve|801", repr(eve()))
