"""A file that its source has replaced: what it said is corrected, but no withdrawal undone."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyspark.sql import SparkSession

from stedi_assets.tables import consent
from stedi_assets.tables.columns import REPLACED, SUPERSEDED
from stedi_assets_tests import strategies
from stedi_assets_tests.model import Landed, modelled
from stedi_assets_tests.rows import CUSTOMERS, MORNING, NOON, Frame, customer, recounted, rows
from stedi_assets_tests.strategies import NOW

ANN, BEN = "ann@example.com", "ben@example.com"
SCHEMA = f"{CUSTOMERS}, `{SUPERSEDED}` boolean, `{REPLACED}` int"
IN_SECONDS = MORNING // 1000

Agreeing = Callable[..., list[str]]


@pytest.fixture
def agreeing(frame: Frame) -> Agreeing:
    """Who agrees, by records of a file's current and superseded versions, and of other files."""

    def emails(
        current: list[tuple], superseded: list[tuple], elsewhere: Sequence[tuple] = ()
    ) -> list[str]:
        landed = [(*row, False, 0) for row in current] + [(*row, True, 0) for row in superseded]
        landed += [(*row, False, None) for row in elsewhere]
        found = consent.consenting_customers(frame(SCHEMA, landed), NOW)
        recount = recounted(frame(SCHEMA, landed), NOW)
        assert recount.expected == found.count()
        assert recount.people_agreeing == found.select("email").distinct().count()
        return sorted({row.email for row in found.collect()})

    return emails


def test__withdrawal__of_a_replaced_file_still_counts(agreeing: Agreeing) -> None:
    withdrawal = customer(ANN, consent=None, updated=NOON)
    assert agreeing([customer(ANN)], [withdrawal]) == []
    assert agreeing([], [customer(ANN), withdrawal]) == []


def test__consent__of_a_replaced_file_does_not_outlive_a_withdrawal(agreeing: Agreeing) -> None:
    assert agreeing([customer(ANN, consent=None, updated=NOON)], [customer(ANN)]) == []


def test__consent__of_a_replaced_file_stays_where_nothing_is_said_since(agreeing: Agreeing) -> None:
    assert agreeing([customer(BEN)], [customer(ANN)]) == [ANN, BEN]


@pytest.mark.parametrize(
    "wrong",
    [
        customer(ANN, consent=IN_SECONDS, updated=IN_SECONDS),
        customer(ANN, consent=IN_SECONDS),
        customer(ANN, updated=IN_SECONDS),
        customer(ANN, consent=MORNING * 1000, updated=MORNING * 1000),
        customer(ANN, updated=NOW + 1),
        customer(ANN.upper(), consent=-1),
    ],
)
def test__impossible_date__is_corrected_by_a_current_record(
    wrong: tuple, agreeing: Agreeing
) -> None:
    assert agreeing([customer(ANN)], [wrong]) == [ANN]
    # Another's record corrects nothing, and a record that is as wrong does not either.
    assert agreeing([customer(BEN)], [wrong]) == [BEN]
    assert agreeing([customer(ANN), wrong], []) == []


def test__impossible_withdrawal__is_not_undone_by_another_file(agreeing: Agreeing) -> None:
    """The file that said so says nothing of her any more; an older consent was there all along."""
    withdrawal = customer(ANN, consent=None, updated=IN_SECONDS)
    assert agreeing([customer(BEN)], [withdrawal], [customer(ANN)]) == [BEN]
    assert agreeing([customer(ANN)], [withdrawal], [customer(ANN)]) == [ANN]


def test__device__of_a_replaced_file_stays_theirs(frame: Frame) -> None:
    landed = [(*customer(ANN, "device-2"), False, 0), (*customer(ANN, "device-1"), True, 0)]
    found = rows(consent.consenting_customers(frame(SCHEMA, landed), NOW))
    assert [row[4] for row in found] == ["device-1", "device-2"]


@given(st.lists(st.tuples(strategies.customers, st.booleans(), st.sampled_from([0, 1, None]))))
def test__rule__is_that_of_the_model(spark: SparkSession, landed: list[tuple]) -> None:
    landed = [(row, once and file is not None, file) for row, once, file in landed]
    frame = spark.createDataFrame([(*row, once, file) for row, once, file in landed], SCHEMA)
    current = [row for row, once, _ in landed if not once]
    replaced = [
        (
            [row for row, once, file in landed if once and file == number],
            [row for row, once, file in landed if not once and file == number],
        )
        for number in (0, 1)
    ]
    expected = modelled(Landed(current, [], [], replaced), NOW).customer_trusted
    assert rows(consent.consenting_customers(frame, NOW)) == sorted(expected.elements(), key=repr)
