"""Who hangs together by shared devices, held against networkx, and into which part they fall."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyspark.sql import SparkSession

from stedi_assets.split import Split
from stedi_assets.tables.groups import with_first_of_group
from stedi_assets.tables.machine_learning import part_of
from stedi_assets_tests.model import first_of, part
from stedi_assets_tests.rows import Frame, rows

OWNERS = "email string, serialNumber string"


@given(
    st.sets(
        st.tuples(st.integers(0, 11).map("p{:02}".format), st.integers(0, 9).map("d{}".format)),
        max_size=16,
    )
)
def test__groups__are_those_of_networkx(spark: SparkSession, owned: set[tuple[str, str]]) -> None:
    found = with_first_of_group(spark.createDataFrame(sorted(owned), OWNERS)).collect()
    expected = first_of({(person, device) for person, device in owned})
    assert sorted(map(tuple, found)) == sorted((p, d, expected[p]) for p, d in owned)


def test__groups__a_long_chain(frame: Frame) -> None:
    """Each shares a device with the next, in an order that carries the smallest far."""
    people = [f"p{number * 37 % 101:03}" for number in range(101)]
    owned = [(who, f"d{n + beside}") for n, who in enumerate(people) for beside in (0, 1)]
    found = rows(with_first_of_group(frame(OWNERS, owned)))
    assert {(first) for _, _, first in found} == {"p000"}
    assert len(found) == len(owned)


def test__part_of__is_that_of_a_hash(frame: Frame) -> None:
    split = Split(seed="another", train=50, validation=30, test=20)

    people = [f"person{number}@example.com" for number in range(400)]
    found = frame("email string", [(each,) for each in people])
    got = dict(rows(found.select("email", part_of("email", split))))
    assert got == {email: part(email, "another", 50, 30) for email in people}
    assert Counter(got.values()).keys() == {"train", "validation", "test"}


@pytest.mark.parametrize("left", [0, 3, 7])
def test__groups__who_leaves_moves_no_one_outside_the_group(frame: Frame, left: int) -> None:
    owned = [(f"p{n}", f"d{n // 4}") for n in range(12)]
    before = {p: f for p, _, f in rows(with_first_of_group(frame(OWNERS, owned)))}
    stay = [each for each in owned if each[0] != f"p{left}"]
    after = {p: f for p, _, f in rows(with_first_of_group(frame(OWNERS, stay)))}
    moved = {person for person in after if after[person] != before[person]}
    assert moved <= {f"p{n}" for n in range(12) if n // 4 == left // 4}
