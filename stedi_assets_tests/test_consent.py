"""The latest word counts, whoever it is written as, and in doubt it is no."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from stedi_assets.tables import consent
from stedi_assets.tables.customer import CUSTOMER_LANDING
from stedi_assets_tests.rows import CUSTOMERS, MORNING, NOON, Frame, customer, recounted, rows

ANN = "ann@example.com"
NOW = NOON + 3_600_000
YEAR_2000 = 946_684_800_000


@pytest.fixture
def agreeing(frame: Frame) -> Callable[[list[tuple]], list[tuple]]:
    """The rows of the people who agree."""
    return lambda landed: rows(consent.consenting_customers(frame(CUSTOMERS, landed), NOW))


Agreeing = Callable[[list[tuple]], list[tuple]]


@pytest.mark.parametrize(
    "written",
    ["Ann@Example.COM", "  ann@example.com", "ann@example.com\t\r\n", "\u00a0ANN@EXAMPLE.COM "],
)
def test__person__is_one_however_written(written: str, frame: Frame) -> None:
    [[found]] = frame(CUSTOMERS, [customer(written)]).select(consent.person("email")).collect()
    assert found == ANN


def test__person__whatever_is_not_seen_at_its_ends(frame: Frame, agreeing: Agreeing) -> None:
    unseen = [chr(c) for c in range(0x10000) if chr(c).isspace()]
    unseen += list(
        "\u00ad\u061c\u180e\u200b\u200c\u200d\u200e\u200f\u202a\u202e\u2060\u2066\u2069\ufe0f\ufeff"
    )
    spellings = [f"{one}{ANN}" for one in unseen] + [f"{ANN}{one} \ufeff{one}" for one in unseen]
    people = frame(CUSTOMERS, [customer(written) for written in spellings])
    assert {row[0] for row in people.select(consent.person("email")).collect()} == {ANN}
    assert {consent.person_of(written) for written in spellings} == {ANN}
    for written in spellings:
        assert consent.person_of(written.replace(ANN, "")) == ""
    withdrawal = customer(f"{ANN}\u2003\u200b", consent=None, updated=NOON)
    assert agreeing([customer(ANN), withdrawal]) == []


def test__person__whatever_is_seen_at_its_ends_is_another() -> None:
    # Letters, numbers, punctuation and symbols.
    seen = (c for c in map(chr, range(0x10000)) if unicodedata.category(c)[0] in "LNPS")
    assert [c for c in seen if consent.person_of(f"{c}{ANN}") == ANN] == []


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param("JÜRGEN@x.de", "jürgen@x.de", id="umlaut"),
        pytest.param("ΝΊΚΟΣ@x.gr", "νίκος@x.gr", id="final_sigma"),
        pytest.param("İ@x.tr", "i\u0307@x.tr", id="dotted_capital"),
        pytest.param("STRAẞE@x.de", "straße@x.de", id="capital_sharp_s"),
    ],
)
def test__person__case_beyond_ascii(one: str, other: str, agreeing: Agreeing) -> None:
    assert consent.person_of(one) == consent.person_of(other)
    withdrawal = customer(one, consent=None, updated=NOON)
    assert agreeing([customer(other), withdrawal]) == []


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param("jose\u0301@x.es", "jos\u00e9@x.es", id="composition"),
        pytest.param("ann@x.io", "\uff41nn@x.io", id="full_width"),
        pytest.param("strasse@x.de", "straße@x.de", id="sharp_s"),
        pytest.param("a\u200bnn@x.io", "ann@x.io", id="zero_width_within"),
        pytest.param("ann@münchen.de", "ann@xn--mnchen-3ya.de", id="international_domain"),
        pytest.param("ann+shop@x.io", "ann@x.io", id="plus_address"),
        pytest.param("a.nn@mail.example", "ann@mail.example", id="dots"),
    ],
)
def test__person__is_another(one: str, other: str, agreeing: Agreeing) -> None:
    assert len(agreeing([customer(one), customer(other)])) == 2


@settings(
    phases=[Phase.generate],
    max_examples=10,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
@given(addresses=st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=200))
def test__person__is_the_same_in_the_engine_and_outside(
    spark: SparkSession, addresses: list[str]
) -> None:
    landed = spark.createDataFrame(list(enumerate(addresses)), "number int, email string")
    found = landed.select("number", consent.person("email")).collect()
    expected = {number: consent.person_of(each) or None for number, each in enumerate(addresses)}
    assert dict(map(tuple, found)) == expected


def test__person__every_character(spark: SparkSession) -> None:
    surrogates = range(0xD800, 0xE000)
    addresses = [f"a{chr(code)}b" for code in range(0x110000) if code not in surrogates]
    landed = spark.createDataFrame(
        [(each,) for each in addresses[: 0x20000 - len(surrogates)]], "e string"
    )
    for [email, found] in landed.select("e", consent.person("e")).collect():
        assert found == consent.person_of(email)


@pytest.mark.parametrize("blank", ["", " ", "\t\u00a0", "\u200b"])
def test__devices__blank_serial_number_is_none(
    blank: str, frame: Frame, agreeing: Agreeing
) -> None:
    landed = [customer(ANN, blank), customer("bob@example.com", blank)]
    assert rows(consent.devices(frame(CUSTOMERS, landed))) == []
    assert [row[4] for row in agreeing(landed)] == [None, None]
    assert recounted(frame(CUSTOMERS, landed), NOW).expected == 2


@pytest.mark.parametrize("written", ["", "  ", "\t\u00a0", None])
def test__person__blank_is_no_one(written: str | None, agreeing: Agreeing) -> None:
    assert agreeing([customer(written), customer(ANN)]) == [customer(ANN)]


@pytest.mark.parametrize("word", [None, 0])
def test__last_word__withdraws(word: int | None, agreeing: Agreeing) -> None:
    landed = [customer(ANN, updated=MORNING), customer(ANN, consent=word, updated=NOON)]
    assert agreeing(landed) == agreeing(landed[::-1]) == []


def test__last_word__withdraws_without_a_device_or_anything_else(agreeing: Agreeing) -> None:
    withdrawal = (None, ANN.upper(), None, None, None, None, NOON, None, None, None)
    assert agreeing([customer(ANN), withdrawal]) == []


def test__last_word__consents_again(agreeing: Agreeing) -> None:
    again = customer(ANN, consent=NOON, updated=NOON + 1)
    landed = [customer(ANN), customer(ANN, consent=None, updated=NOON), again]
    assert agreeing(landed) == [again]


def test__last_word__holds_for_every_device(agreeing: Agreeing) -> None:
    latest = customer(ANN, "device-3", NOON, updated=NOON, phone="8015550199")
    landed = [customer(ANN, "device-1"), customer(f" {ANN}", "device-2", None), latest]
    assert agreeing(landed) == [
        (*latest[:4], device, *latest[5:]) for device in ("device-1", "device-2", "device-3")
    ]


def test__last_word__of_one_who_has_no_device(agreeing: Agreeing) -> None:
    assert agreeing([customer(ANN, None)]) == [customer(ANN, None)]
    assert agreeing([customer(ANN, None), customer(ANN)]) == [customer(ANN)]


def test__last_word__record_without_a_time_is_the_oldest(agreeing: Agreeing) -> None:
    no, yes = customer(ANN, consent=None, updated=None), customer(ANN, updated=MORNING)
    assert agreeing([no, yes]) == [yes]
    no, yes = customer(ANN, consent=None, updated=MORNING), customer(ANN, updated=None)
    assert agreeing([no, yes]) == []


def test__last_word__time_of_0_is_as_no_time(agreeing: Agreeing) -> None:
    no, yes = customer(ANN, consent=None, updated=None), customer(ANN, updated=0)
    assert agreeing([no, yes]) == agreeing([yes, no]) == []
    no, yes = customer(ANN, consent=None, updated=0), customer(ANN, updated=None)
    assert agreeing([no, yes]) == agreeing([yes, no]) == []
    timed = customer(ANN, updated=MORNING)
    assert agreeing([no, timed]) == [timed]


@pytest.mark.parametrize("odd", [NOON // 1000, YEAR_2000 - 1, 1, -1, -NOON, NOW + 1])
def test__last_word__of_a_time_that_cannot_be_may_be_the_latest(
    odd: int, agreeing: Agreeing
) -> None:
    """Seconds instead of milliseconds must not lose a withdrawal."""
    yes, no = customer(ANN, updated=NOON), customer(ANN, consent=None, updated=odd)
    assert agreeing([yes, no]) == agreeing([no, yes]) == []
    assert agreeing([yes, customer(ANN, updated=odd)]) == []


def test__last_word__of_records_without_a_time_is_always_the_same(agreeing: Agreeing) -> None:
    landed = [customer(ANN, updated=updated) for updated in (None, 0)]
    assert agreeing(landed) == agreeing(landed[::-1]) == landed[1:]


def test__last_word__of_two_of_one_time_is_no(agreeing: Agreeing) -> None:
    landed = [customer(ANN), customer(ANN, consent=None)]
    assert agreeing(landed) == agreeing(landed[::-1]) == []


def test__last_word__of_two_consents_of_one_time_is_the_later(agreeing: Agreeing) -> None:
    landed = [customer(ANN, consent=MORNING), customer(ANN, consent=MORNING + 1)]
    assert agreeing(landed) == agreeing(landed[::-1]) == landed[1:]


def test__last_word__of_records_that_differ_in_nothing_else_is_always_the_same(
    agreeing: Agreeing,
) -> None:
    landed = [customer(ANN, name="Ann"), customer(ANN, name="Anne"), customer(ANN, name=None)]
    assert agreeing(landed) == agreeing(landed[::-1]) == landed[:1]


@pytest.mark.parametrize(
    "impossible",
    [NOW + 1, 253_370_764_800_000, 2**63 - 1, -MORNING, MORNING // 1000, YEAR_2000 - 1, 1],
)
def test__agrees__time_at_which_no_one_can_have_agreed(impossible: int, agreeing: Agreeing) -> None:
    assert agreeing([customer(ANN, consent=impossible)]) == []
    assert agreeing([customer(ANN), customer(ANN, consent=impossible, updated=NOON)]) == []


@pytest.mark.parametrize("possible", [NOW, NOON, YEAR_2000])
def test__agrees__time_at_which_one_can(possible: int, agreeing: Agreeing) -> None:
    assert agreeing([customer(ANN, consent=possible)]) == [customer(ANN, consent=possible)]


@pytest.mark.parametrize("impossible", [NOON // 1000, YEAR_2000 - 1, 1, -1, NOW + 1])
def test__agrees__record_of_a_time_at_which_no_one_can_have_written(
    impossible: int, agreeing: Agreeing
) -> None:
    assert agreeing([customer(ANN, updated=impossible)]) == []


def test__agrees__record_of_the_future_does_not_undo_a_withdrawal(agreeing: Agreeing) -> None:
    withdrawal = customer(ANN, consent=None, updated=NOON)
    assert agreeing([withdrawal, customer(ANN, updated=NOW + 1)]) == []
    assert agreeing([withdrawal, customer(ANN, updated=NOW)]) == [customer(ANN, updated=NOW)]


def test__consenting_customers__of_a_multitude_of_records(spark: SparkSession) -> None:
    """Everybody agrees and withdraws in turns, with one of thirty devices each time."""
    records, people, devices = 758_715, 957, 30
    number = F.col("id")
    turn = F.floor(number / people)
    # The columns are made in the engine; a row of Python each would take far longer than the rule.
    columns = dict(zip(CUSTOMER_LANDING.column_names, map(F.lit, customer(ANN)), strict=True))
    columns |= {
        "email": F.concat(F.lit("person-"), number % people, F.lit("@example.com")),
        "serialNumber": F.concat(F.lit("device-"), number % devices),
        "lastUpdateDate": F.lit(MORNING) + turn,
        "shareWithResearchAsOfDate": F.when(turn % 2 == 0, F.lit(MORNING)),
    }
    landed = spark.range(records).select(
        *[columns[c.name].cast(c.type).alias(c.name) for c in CUSTOMER_LANDING.columns]
    )

    found = consent.consenting_customers(landed, NOW).select("email", "serialNumber").collect()

    last_turn, of_last_turn = divmod(records, people)
    assert last_turn % 2 == 0
    owned = {
        (f"person-{n % people}@example.com", f"device-{n % devices}")
        for n in range(records)
        if n % people < of_last_turn
    }
    assert len(found) == len(owned) == 7_710
    assert set(map(tuple, found)) == owned
    recount = recounted(landed, NOW)
    assert (recount.expected, recount.people, recount.records) == (len(owned), people, records)
