"""Whatever lands, the tables are those of a model in plain Python that knows neither Spark nor us.

Few people, devices and milliseconds, so that keys repeat, devices are shared and consent falls on
the very millisecond of a reading.
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
    CUSTOMERS,
    DEVICE_READINGS,
    PHONE_READINGS,
    customer,
    device_reading,
    function_of,
    phone_reading,
)

customer_trusted = function_of(trusted.customer_trusted)
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

emails = st.sampled_from(["ann@example.com", "bob@example.com", "eve@example.com"])
devices = st.sampled_from(["device-1", "device-2"])
times = st.integers(1, 3)
consents = st.sampled_from([None, 0, 1, 2, 3])


@st.composite
def landed(draw: st.DrawFn) -> Landed:
    """Rows of the three landing tables; some of them land twice."""

    def rows_of(make: Callable[..., tuple], *fields: st.SearchStrategy, most: int) -> Rows:
        once = draw(st.lists(st.builds(make, *fields), max_size=most))
        again = draw(st.lists(st.sampled_from(once), max_size=2)) if once else []
        return once + again

    return (
        rows_of(customer, emails, devices, consents, most=5),
        rows_of(phone_reading, emails, times, st.sampled_from([0.25, 0.5]), most=7),
        rows_of(device_reading, devices, times, st.sampled_from([201, 202]), most=7),
    )


class Person(NamedTuple):
    """What the model needs to know of a customer's row."""

    email: str
    device: str
    consent: int | None

    @classmethod
    def of(cls, row: tuple) -> Person:
        """The columns e-mail, serial number and consent to research."""
        return cls(row[1], row[4], row[7])


def modelled(customers: Rows, phones: Rows, steps: Rows) -> dict[str, Counter]:
    """The rows of every table, by loops."""
    agreed = [row for row in customers if Person.of(row).consent not in (None, 0)]
    agreed_emails = {Person.of(row).email for row in agreed}
    moved = [row for row in phones if row[0] in agreed_emails]
    with_readings = {row[0] for row in moved}
    kept = {row for row in agreed if Person.of(row).email in with_readings}
    people = [Person.of(row) for row in kept]
    stepped = [row for row in steps if row[1] in {person.device for person in people}]

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
    people = [Person.of(row) for row in customers]
    agreed = [person for person in people if person.consent]
    found = made(spark, *rows)

    assert {row[1] for row in found["customer_trusted"]} <= {person.email for person in agreed}
    assert {row[1] for row in found["customer_curated"]} <= {person.email for person in agreed}
    assert {row[0] for row in found["accelerometer_trusted"]} <= {one.email for one in agreed}
    assert {row[1] for row in found["step_trainer_trusted"]} <= {one.device for one in agreed}
    permitted = {reading[1:] for reading in phones if reading[0] in {one.email for one in agreed}}
    for name in PAIRED.values():
        assert {row[1] for row in found[name]} <= {person.device for person in agreed}
        assert {row[3:] for row in found[name]} <= permitted


@settings(max_examples=25, deadline=None, database=None)
@given(landed())
def test__restricting_joins__never_multiply(spark: SparkSession, rows: Landed) -> None:
    customers, phones, steps = map(Counter, rows)
    found = made(spark, *rows)

    assert found["customer_trusted"] <= customers
    assert found["customer_curated"] <= found["customer_trusted"]
    assert set(found["customer_curated"].values()) <= {1}
    assert found["accelerometer_trusted"] <= phones
    assert found["step_trainer_trusted"] <= steps
    everything = found[PAIRED[False, False]]
    both = found[PAIRED[True, True]]
    assert both <= found[PAIRED[True, False]] <= everything
    assert both <= found[PAIRED[False, True]] <= everything
