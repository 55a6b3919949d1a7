"""Whatever lands, the tables are those of a model in plain Python that knows neither Spark nor us.

Few people, devices and milliseconds, so that keys repeat, devices are shared, people take their
consent back and consent falls on the very millisecond of a reading.
"""

from __future__ import annotations

import functools
import itertools
from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from stedi_assets import tables
from stedi_assets.assets import curated, trusted
from stedi_assets.assets.curated import MachineLearningConfig
from stedi_assets.tables import Table
from stedi_assets_tests.rows import (
    CLOCK,
    CUSTOMERS,
    DEVICE_READINGS,
    NOON,
    PHONE_READINGS,
    PSEUDONYMS,
    customer,
    device_reading,
    function_of,
    phone_reading,
)

customer_trusted = functools.partial(function_of(trusted.customer_trusted), clock=CLOCK)
accelerometer_trusted = function_of(trusted.accelerometer_trusted)
customer_curated = function_of(curated.customer_curated)
step_trainer_trusted = function_of(trusted.step_trainer_trusted)
machine_learning_curated = function_of(curated.machine_learning_curated)

Rows = list[tuple]
Landed = tuple[Rows, Rows, Rows]
OPTIONS = list(itertools.product([False, True], repeat=2))
PAIRED = {
    (after, match): f"machine_learning_curated after_consent_only={after} match_device={match}"
    for after, match in OPTIONS
}

YEAR_9999 = 253_370_764_800_000

emails = st.sampled_from(["ann@example.com", "Ann@example.com ", "bob@example.com", "eve@x.io"])
devices = st.sampled_from(["device-1", "device-2"])
times = st.integers(NOON, NOON + 2)
consents = st.sampled_from([None, 0, NOON, NOON + 1, NOON + 2, -NOON, NOON // 1000, YEAR_9999])
updates = st.sampled_from([None, NOON, NOON + 1, YEAR_9999])


def customer_of(email: str, device: str, consent: int | None, updated: int | None) -> tuple:
    """A customer's record."""
    return customer(email, device, consent, updated=updated)


@st.composite
def landed(draw: st.DrawFn) -> Landed:
    """Rows of the three landing tables; some of them land twice."""

    def rows_of(make: Callable[..., tuple], *fields: st.SearchStrategy, most: int) -> Rows:
        once = draw(st.lists(st.builds(make, *fields), max_size=most))
        again = draw(st.lists(st.sampled_from(once), max_size=2)) if once else []
        return once + again

    return (
        rows_of(customer_of, emails, devices, consents, updates, most=6),
        rows_of(phone_reading, emails, times, st.sampled_from([0.25, 0.5]), most=7),
        rows_of(device_reading, devices, times, st.sampled_from([201, 202]), most=7),
    )


class Person(NamedTuple):
    """What the model needs to know of a customer's row."""

    email: str
    device: str
    updated: int | None
    consent: int | None

    @classmethod
    def of(cls, row: tuple) -> Person:
        """The columns e-mail, serial number, last update and consent to research."""
        return cls(row[1].strip().lower(), row[4], row[6], row[7])

    @property
    def agrees(self) -> bool:
        """Whether the record gives consent that can be: in these years, by a record of the past."""
        given = self.consent in (NOON, NOON + 1, NOON + 2)
        return given and self.updated != YEAR_9999


def last_words(customers: Rows) -> dict[str, Person]:
    """Each person's latest record; of those of one time the one that says no, or else later."""
    found: dict[str, Person] = {}
    for one in map(Person.of, customers):
        ranked = [
            (-1 if p.updated is None else p.updated, not p.agrees, p.consent or 0)
            for p in (one, found.get(one.email, one))
        ]
        if ranked[0] >= ranked[1]:
            found[one.email] = one
    return found


def modelled(customers: Rows, phones: Rows, steps: Rows) -> dict[str, Counter]:
    """The rows of every table, by loops."""
    agreeing = {email: word for email, word in last_words(customers).items() if word.agrees}
    agreed = {
        customer(word.email, one.device, word.consent, updated=word.updated)
        for one in map(Person.of, customers)
        for word in agreeing.values()
        if one.email == word.email
    }
    moved = {(row[0].strip().lower(), *row[1:]) for row in phones}
    moved = {row for row in moved if row[0] in agreeing}
    with_readings = {row[0] for row in moved}
    kept = {row for row in agreed if row[1] in with_readings}
    people = [Person.of(row) for row in kept]
    stepped = {row for row in steps if row[1] in {person.device for person in people}}

    def paired(after_consent_only: bool, match_device: bool) -> Rows:
        return [
            (*step, *phone[1:])
            for step in stepped
            for phone in moved
            if step[0] == phone[1]
            and any(
                person.email == phone[0]
                and (not match_device or person.device == step[1])
                and (not after_consent_only or person.consent < step[0])
                for person in people
            )
        ]

    return {
        "customer_trusted": Counter(agreed),
        "accelerometer_trusted": Counter(moved),
        "customer_curated": Counter(kept),
        "step_trainer_trusted": Counter(stepped),
        **{name: Counter(paired(*options)) for options, name in PAIRED.items()},
    }


def made(spark: SparkSession, customers: Rows, phones: Rows, steps: Rows) -> dict[str, Counter]:
    """The rows of every table, by the assets, each of them kept before the next reads it."""
    found = {}

    def keep(table: Table, frame: DataFrame) -> DataFrame:
        rows = [tuple(row[name] for name in table.column_names) for row in frame.collect()]
        found[table.name] = Counter(rows)
        return spark.createDataFrame(rows, table.ddl)

    customers_landed = spark.createDataFrame(customers, CUSTOMERS)
    phones_landed = spark.createDataFrame(phones, PHONE_READINGS)
    steps_landed = spark.createDataFrame(steps, DEVICE_READINGS)
    agreed = keep(tables.CUSTOMER_TRUSTED, customer_trusted(customers_landed))
    moved = keep(tables.ACCELEROMETER_TRUSTED, accelerometer_trusted(phones_landed, agreed))
    kept = keep(tables.CUSTOMER_CURATED, customer_curated(agreed, moved))
    stepped = keep(tables.STEP_TRAINER_TRUSTED, step_trainer_trusted(steps_landed, kept))
    pairs = [
        machine_learning_curated(
            MachineLearningConfig(after_consent_only=after, match_device=match),
            stepped,
            moved,
            kept,
            PSEUDONYMS,
        ).select(F.lit(name), "*")
        for (after, match), name in PAIRED.items()
    ]
    found |= {name: Counter() for name in PAIRED.values()}
    # One query for all options.
    for name, *pair in functools.reduce(DataFrame.union, pairs).collect():
        found[name][tuple(pair)] += 1
    return found


@settings(max_examples=25, deadline=None, database=None)
@given(landed())
def test__all_tables__are_those_of_the_model(spark: SparkSession, rows: Landed) -> None:
    assert made(spark, *rows) == modelled(*rows)


@settings(max_examples=25, deadline=None, database=None)
@given(landed())
def test__all_tables__no_person_without_consent(spark: SparkSession, rows: Landed) -> None:
    customers, phones, _ = rows
    agreed = {email for email, word in last_words(customers).items() if word.agrees}
    devices = {one.device for one in map(Person.of, customers) if one.email in agreed}
    found = made(spark, *rows)

    assert {row[1] for row in found["customer_trusted"]} == agreed
    assert {row[1] for row in found["customer_curated"]} <= agreed
    assert {row[0] for row in found["accelerometer_trusted"]} <= agreed
    assert {row[1] for row in found["step_trainer_trusted"]} <= devices
    permitted = {reading[1:] for reading in phones if reading[0].strip().lower() in agreed}
    for name in PAIRED.values():
        assert {row[1] for row in found[name]} <= devices
        assert {row[3:] for row in found[name]} <= permitted


@settings(max_examples=25, deadline=None, database=None)
@given(landed())
def test__restricting_joins__never_multiply(spark: SparkSession, rows: Landed) -> None:
    customers, phones, steps = map(Counter, rows)
    found = made(spark, *rows)

    assert found["customer_trusted"].total() <= customers.total()
    assert found["customer_curated"] <= found["customer_trusted"]
    assert found["accelerometer_trusted"].total() <= phones.total()
    assert found["step_trainer_trusted"] <= steps
    for name in ("customer_trusted", "accelerometer_trusted", "step_trainer_trusted"):
        assert set(found[name].values()) <= {1}
    everything = found[PAIRED[False, False]]
    both = found[PAIRED[True, True]]
    assert both <= found[PAIRED[True, False]] <= everything
    assert both <= found[PAIRED[False, True]] <= everything
