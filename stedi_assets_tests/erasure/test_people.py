"""Of a line goes what is one of the people's; all that is others' stays byte for byte."""

from __future__ import annotations

import json
import re
import time
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from stedi_assets.erasure import text
from stedi_assets.erasure.people import People, Remainder
from stedi_assets.tables.accelerometer import ACCELEROMETER_LANDING
from stedi_assets.tables.customer import CUSTOMER_LANDING
from stedi_assets_tests.rows import PSEUDONYMS

ANN = '{"user":"ann@example.com","timestamp":1655564376361,"x":1.0,"y":0.0,"z":0.0}'
EVE = '{"user": "eve@example.com", "timestamp": 1655564376361, "x": 1.0, "y": 0.0, "z": 0.0}'
PERSON = frozenset([PSEUDONYMS.of_text("eve@example.com")])


def eve() -> People:
    """Eve, by her address, her phone, her device, one that she shares, and her name."""
    return People(
        PSEUDONYMS,
        PERSON,
        addresses=frozenset(["eve@example.com"]),
        phones=frozenset([text.phone_of("+1 (801) 555-0103")]),
        devices=frozenset(["device-eve", "12345678901234567890", "7"]),
        shared=frozenset(["device-of-all", text.phone_of("801-555-0199")]),
        names=frozenset(["Eve Everett"]),
    )


def cases(
    gone: dict[str, str], stays: dict[str, str], changed: dict[str, tuple[str, str]]
) -> list[Any]:
    """Lines, by what they show, and what is left of each."""
    left: dict[str, tuple[str, str | None]] = {name: (line, None) for name, line in gone.items()}
    left |= {name: (line, line) for name, line in stays.items()} | changed
    return [pytest.param(*each, id=name) for name, each in left.items()]


# What is left of a line by her address alone.
ADDRESS_GONE = {
    "alone": EVE,
    "byte_order_mark_and_crlf": f"\ufeff{EVE}\r",
    "other_case_and_padding": EVE.replace("eve@", " EVE@"),
    "escaped": EVE.replace("@", "\\u0040"),
    "letters_escaped": EVE.replace("eve@", "\\u0065v\\u0065@"),
    "cut_short": EVE[:40],
    "no_json": "eve@example.com was here.",
    "no_json_in_brackets": "so was <Eve@example.com>.",
    "assignment": "user=eve@example.com",
    "single_quotes": "{'user':'eve@example.com','x':1}",
    "escaped_in_no_json": "eve\\u0040example.com",
    "sixteen_bits": "\0".join(EVE),
    "deep": '{"who":{"mail":["eve@example.com"]}}',
    "name_of_a_field": '{"eve@example.com":1}',
    "other_field": '{"user":null,"email":"eve@example.com"}',
    "1500_deep": '{"a":' * 1500 + '"eve@example.com"' + "}" * 1500,
}
ADDRESS_STAYS = {
    "another": ANN,
    "cut_at_its_beginning": EVE[20:],
    "another_1500_deep": f'{ANN[:-1]},"a":{"[" * 1500}{"]" * 1500}}}',
    "steve": ANN.replace("ann@", "steve@"),
    "steve_in_no_json": "steve@example.com",
    "o_eve": "o'eve@example.com",
    "longer_domain": "eve@example.com.au",
    "plus": "mary+eve@example.com",
    "odd_address": '"a=eve@example.com"',
    "blank": "",
    "brackets": "}{][,",
}
ADDRESS_CHANGED = {
    "between_others": (f"{ANN}{EVE}{ANN}", f"{ANN}\n{ANN}"),
    "in_an_array": (f"[{ANN}, {EVE}]", ANN),
    "lines_of_an_old_mac": (f"{ANN}\r{EVE}\r{ANN}", f"{ANN}\n{ANN}"),
    "cut_short_before_another": (f"{EVE[:40]}{ANN}", ANN),
    "cut_within_a_text_before_another": (f"{EVE[:26]}{ANN}", ANN),
    "cut_short_after_another": (f"{ANN}{EVE[:40]}", ANN),
    "json_in_json_in_json": (json.dumps(json.dumps(EVE)), '"\\"'),
}


@pytest.mark.parametrize(("line", "left"), cases(ADDRESS_GONE, ADDRESS_STAYS, ADDRESS_CHANGED))
def test__without__address(line: str, left: str | None) -> None:
    assert eve().without(line, ACCELEROMETER_LANDING) == Remainder(left)
    # Who is only asked for, and landed as no customer, is known by the address alone.
    assert People(PSEUDONYMS, PERSON).without(line, ACCELEROMETER_LANDING) == Remainder(left)


CUT = '{"sensorReadingTime":1655564376361,"serialNumber":%s,"distanceFromObj'


# What is left of a line by all that is known of her.
GONE = {
    "device": '{"serialNumber":"device-eve","distanceFromObject":9}',
    "device_as_number": '{"serialNumber":12345678901234567890,"x":9}',
    "cut": CUT % '"device-eve"',
    "cut_and_escaped": CUT % '"device\\u002deve"',
    "cut_number": CUT % "12345678901234567890",
    "short": '{"serialNumber":"7","distanceFromObject":9}',
    "cut_short": CUT % '"7"',
    "phone": '{"phone":"+1 (801) 555-0103"}',
    "phone_as_number": '{"phone":18015550103}',
    "phone_anywhere": '{"any":{"field":["1-801-555-0103"]}}',
    "cut_phone": '{"customerName":"Eve","phone":"+1 (801) 555-0103","em',
    "phone_in_text": "call +1 (801) 555-0103 now",
    "phone_in_csv": "Eve;+1 (801) 555-0103;1980",
}
STAYS = {
    "like": '{"serialNumber":"device-eve-2"}',
    "shared": '{"serialNumber":"device-of-all","distanceFromObject":9}',
    "cut_like": CUT % '"my-device-eve"',
    "distance_of_7": '{"serialNumber":"8","distanceFromObject":7}',
    "cut_with_7": CUT.replace("tance", "7") % '"8"',
    "other_phone": '{"phone":"8015550103"}',
    "part_of_a_number": "99-1-801-555-0103",
    "part_of_a_name": "Steve Everett,1980",
    "word": "eve",
    "anothers_record_with_her_phone": '{"email":"bob@example.com","phone":"+1 (801) 555-0103"}',
    "namesake": '{"email":"bob@example.com","customerName":"Eve Everett"}',
}
# Such lines are counted as ambiguous.
STAYS_AMBIGUOUS = {
    "cut_shared": CUT % '"device-of-all"',
    "shared_phone": "call 801 555 0199",
    "name": "Eve Everett,1980",
    "name_alone": '{"customerName":"Eve Everett"}',
    "another_with_a_phone_that_they_share": "bob@example.com;801 555 0199",
    "another_with_her_name": "bob@example.com;Eve Everett",
}
GONE_AMBIGUOUS = {
    "another_with_her_phone": '{"email":"bob@example.com","phone":"+1 (801) 555-0103","cu',
    "another_with_her_device": "bob@example.com;device-eve",
}
CHANGED = {
    "anothers_record_with_her_address": (
        '{"email":"bob@example.com","by": "Eve\\u0040example.com","x":[{"eve@example.com":1}]}',
        '{"email":"bob@example.com","by": "","x":[{"":1}]}',
    ),
    "anothers_record_with_her_address_in_a_text": (
        '{"email":"bob@example.com","note":"met eve@example.com"}',
        '{"email":"bob@example.com","note":""}',
    ),
    "repeated_field": (
        '{"email":"eve@example.com","email":"bob@example.com"}',
        '{"email":"","email":"bob@example.com"}',
    ),
}
CHANGED_AMBIGUOUS = {
    "anothers_record_before_another_with_her_device": (
        '{"email":"bob@example.com"}' + CUT % '"device-eve"' + " of bob@example.com",
        '{"email":"bob@example.com"}',
    ),
}


@pytest.mark.parametrize(("line", "left"), cases(GONE, STAYS, CHANGED))
def test__without__phone_device_and_name(line: str, left: str | None) -> None:
    assert eve().without(line, CUSTOMER_LANDING) == Remainder(left)


@pytest.mark.parametrize(
    ("line", "left"), cases(GONE_AMBIGUOUS, STAYS_AMBIGUOUS, CHANGED_AMBIGUOUS)
)
def test__without__ambiguous(line: str, left: str | None) -> None:
    assert eve().without(line, CUSTOMER_LANDING) == Remainder(left, 1)


def test__without__record_is_its_tables_person() -> None:
    line = '{"user":"eve@example.com","email":"bob@example.com"}'
    assert eve().without(line, ACCELEROMETER_LANDING).line is None
    assert eve().without(line, CUSTOMER_LANDING).line == line.replace("eve@example.com", "")


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


REPEATED = ['{"a":', '{"a":"{', '{"', "{", '{":":"', '{"a\\"', '{"{":"}","{":{"', "a", '"', '\\"']
REPEATED += ["\\u0040", "a@", "1 ", " ", '"serialNumber":"', EVE[:40]]


@pytest.mark.parametrize("part", REPEATED)
def test__without__work_grows_as_the_length(part: str) -> None:
    """An eightfold line takes about eight times as long, where a quadratic rule takes 64 times."""
    people = eve()

    def least(line: str) -> float:
        taken = []
        for _ in range(3):
            begun = time.process_time()
            people.without(f"device-eve{line}", CUSTOMER_LANDING)
            taken.append(time.process_time() - begun)
        return min(taken)

    short, long = (least(part * (n // len(part)) + "{") for n in (2_500, 20_000))
    assert long < 30 * max(short, 0.001)


def test__people__show_no_one() -> None:
    assert not re.search("(?i)eve|801", repr(eve()))
