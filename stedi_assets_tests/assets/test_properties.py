"""Whatever lands, the tables are those of a model in plain Python."""

from __future__ import annotations

import functools
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from stedi_assets import tables
from stedi_assets.policy import Options
from stedi_assets.split import DEFAULT_SPLIT
from stedi_assets.tables import Table
from stedi_assets.tables.accelerometer import ACCELEROMETER_TRUSTED, accelerometer_trusted
from stedi_assets.tables.customer import (
    CUSTOMER_CURATED,
    CUSTOMER_TRAINING,
    CUSTOMER_TRUSTED,
    customer_curated,
    customer_training,
)
from stedi_assets.tables.machine_learning import (
    TRAINING_SET,
    machine_learning_curated,
    training_set,
)
from stedi_assets.tables.step_trainer import STEP_TRAINER_TRUSTED, step_trainer_trusted
from stedi_assets_tests import strategies
from stedi_assets_tests.model import (
    OPTIONS,
    Landed,
    Rows,
    Tables,
    agreeing,
    modelled,
    owned,
    person,
)
from stedi_assets_tests.rows import (
    CUSTOMERS,
    DEVICE_READINGS,
    PHONE_READINGS,
)
from stedi_assets_tests.strategies import NOW

customer_trusted = functools.partial(tables.customer.customer_trusted, as_of=NOW)


@st.composite
def landed(draw: st.DrawFn) -> Landed:
    """Rows of the three landing tables; some of them land twice."""

    def rows_of(each: st.SearchStrategy, most: int) -> Rows:
        once = draw(st.lists(each, max_size=most))
        again = draw(st.lists(st.sampled_from(once), max_size=2)) if once else []
        return once + again

    return Landed(
        rows_of(strategies.customers, 6),
        rows_of(strategies.phone_readings, 7),
        rows_of(strategies.device_readings, 7),
    )


def made(spark: SparkSession, landed: Landed) -> Tables:
    """The rows of every table, by the assets, each of them kept before the next reads it."""
    found = {}

    def keep(table: Table, frame: DataFrame) -> DataFrame:
        rows = [tuple(row[name] for name in table.column_names) for row in frame.collect()]
        found[table.name] = Counter(rows)
        return spark.createDataFrame(rows, table.ddl)

    customers = spark.createDataFrame(landed.customers, CUSTOMERS)
    phones = spark.createDataFrame(landed.phones, PHONE_READINGS)
    devices = spark.createDataFrame(landed.devices, DEVICE_READINGS)
    agreed = keep(CUSTOMER_TRUSTED, customer_trusted(customers))
    moved = keep(ACCELEROMETER_TRUSTED, accelerometer_trusted(phones, agreed))
    kept = keep(CUSTOMER_CURATED, customer_curated(agreed, moved))
    stepped = keep(STEP_TRAINER_TRUSTED, step_trainer_trusted(devices, kept))
    pairs = [
        machine_learning_curated(
            stepped, moved, kept, Options(after_consent_only=after, match_device=match)
        ).select(F.lit(number), "*")
        for number, (after, match) in enumerate(OPTIONS)
    ]
    owners = keep(CUSTOMER_TRAINING, customer_training(kept))
    keep(TRAINING_SET, training_set(stepped, moved, owners, DEFAULT_SPLIT))
    training: list[Counter] = [Counter() for _ in OPTIONS]
    # One query for all options.
    for number, *pair in functools.reduce(DataFrame.union, pairs).collect():
        training[number][tuple(pair)] += 1
    return Tables(**found, machine_learning_curated=dict(zip(OPTIONS, training, strict=True)))


@given(landed())
def test__all_tables__are_those_of_the_model(spark: SparkSession, landed: Landed) -> None:
    assert made(spark, landed) == modelled(landed, NOW)


@given(landed())
def test__all_tables__no_person_without_consent(spark: SparkSession, landed: Landed) -> None:
    agreed = set(agreeing(landed.customers, NOW))
    devices = {
        device for email, of in owned(landed.customers).items() if email in agreed for device in of
    }
    found = made(spark, landed)

    assert {row[1] for row in found.customer_trusted} == agreed
    assert {row[1] for row in found.customer_curated} <= agreed
    assert {row[0] for row in found.accelerometer_trusted} <= agreed
    assert {row[1] for row in found.step_trainer_trusted} <= devices
    permitted = {tuple(reading) for user, *reading in landed.phones if person(user) in agreed}
    for training in found.machine_learning_curated.values():
        assert {row[1] for row in training} <= devices
        assert {row[3:] for row in training} <= permitted


@given(landed())
def test__restricting_joins__never_multiply(spark: SparkSession, landed: Landed) -> None:
    customers, phones, devices = map(Counter, landed[:3])
    found = made(spark, landed)

    assert found.customer_trusted.total() <= customers.total()
    assert found.customer_curated <= found.customer_trusted
    assert found.accelerometer_trusted.total() <= phones.total()
    assert found.step_trainer_trusted <= devices
    for rows in (*found[:4], found.customer_training):
        assert set(rows.values()) <= {1}
    training = found.machine_learning_curated
    both = training[True, True]
    assert Counter(row[:-1] for row in found.training_set.elements()) == both
    assert both <= training[True, False] <= training[False, False]
    assert both <= training[False, True] <= training[False, False]
