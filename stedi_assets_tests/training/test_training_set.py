"""The training set: its rows, the checks of its split, and runs that make as much as is new."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from stedi_assets.engine.spark import SparkResource
from stedi_assets.errors import Code, LakehouseError
from stedi_assets.lakehouse.plan import Mode
from stedi_assets.policy import Options
from stedi_assets.split import DEFAULT_SPLIT, Split
from stedi_assets.tables.customer import CUSTOMER_TRAINING
from stedi_assets.tables.machine_learning import (
    TRAINING_SET,
    in_two_parts,
    out_of_balance,
    training_set,
)
from stedi_assets.tables.value_counts import value_counts
from stedi_assets_tests.incremental import Runs, rows_of
from stedi_assets_tests.model import part
from stedi_assets_tests.rows import (
    CUSTOMERS,
    DEVICE_READINGS,
    MORNING,
    NOON,
    PHONE_READINGS,
    Frame,
    customer,
    device_reading,
    pair,
    phone_reading,
    rows,
)

pytestmark = pytest.mark.slow

ANN, BOB, CAT = "ann@example.com", "bob@example.com", "cat@example.com"
HOUR = 3_600_000


def owner(email: str, serial: str, first: str, consent: int = MORNING) -> tuple:
    """A row of customer_training."""
    return (email, serial, consent, first)


def test__training_set__own_device_after_consent(frame: Frame) -> None:
    made = training_set(
        frame(DEVICE_READINGS, [device_reading("device-ann"), device_reading("device-bob")]),
        frame(PHONE_READINGS, [phone_reading(ANN), phone_reading(BOB), phone_reading(CAT)]),
        frame(
            CUSTOMER_TRAINING.ddl,
            [owner(ANN, "device-ann", ANN), owner(BOB, "device-bob", BOB, consent=NOON)],
        ),
        DEFAULT_SPLIT,
    )
    assert made.columns == TRAINING_SET.column_names
    assert [row[:-1] for row in rows(made)] == [pair("device-ann")]


def test__training_set__a_shared_device_is_in_one_part(frame: Frame) -> None:
    made = training_set(
        frame(DEVICE_READINGS, [device_reading("shared"), device_reading("device-bob")]),
        frame(PHONE_READINGS, [phone_reading(ANN, x=0.5), phone_reading(BOB, x=0.25)]),
        frame(
            CUSTOMER_TRAINING.ddl,
            [owner(ANN, "shared", ANN), owner(BOB, "shared", ANN), owner(BOB, "device-bob", ANN)],
        ),
        DEFAULT_SPLIT,
    )
    found = rows(made)
    assert Counter(row[1] for row in found) == {"shared": 2, "device-bob": 1}
    assert len({row[-1] for row in found}) == 1


def unchanged(rows, column):
    return rows


@pytest.mark.parametrize(
    ("parts", "faults"),
    [
        ([("device-ann", "train"), ("device-bob", "test")], 0),
        ([("device-ann", "train"), ("device-ann", "test"), ("device-bob", "test")], 2),
        # Bob has another device too.
        ([("device-bob", "train"), ("device-2", "test"), ("device-ann", "test")], 2),
        # A device of no one.
        ([("stray", "train"), ("stray", "test"), ("device-ann", "test")], 2),
        ([], 0),
    ],
)
def test__split_leakage(parts: list, faults: int, frame: Frame) -> None:
    training = frame(TRAINING_SET.ddl, [(*pair(serial), part) for serial, part in parts])
    people = [customer(ANN, "device-ann"), customer(BOB, "device-bob"), customer(BOB, "device-2")]
    counts = value_counts(TRAINING_SET, training)
    assert in_two_parts(counts, frame(CUSTOMERS, people), unchanged) == faults


@pytest.mark.parametrize(
    ("counts", "is_balanced"),
    [
        ({"train": 80, "validation": 10, "test": 10}, True),
        ({"train": 76, "validation": 13, "test": 11}, True),
        ({"train": 60, "validation": 20, "test": 20}, False),
        ({"train": 88, "validation": 12}, False),
        ({}, True),
    ],
)
def test__split_balance(counts: dict, is_balanced: bool, frame: Frame) -> None:
    of = [(*pair(f"{part}-{n}"), part) for part, count in counts.items() for n in range(count)]
    found = value_counts(TRAINING_SET, frame(TRAINING_SET.ddl, of))
    faults = out_of_balance(found, DEFAULT_SPLIT)
    assert (faults == 0) is is_balanced


@pytest.mark.parametrize(
    "values",
    [
        {"train": 90},
        {"train": 0, "validation": 90},
        {"test": -10, "validation": 30},
        {"seed": ""},
        {"seed": "ann@example.com"},
    ],
)
def test__split__that_cannot_be_used(values: dict) -> None:
    with pytest.raises(LakehouseError) as raised:
        Split.of(values)
    assert raised.value.code is Code.SETTING


# Runs


@pytest.fixture
def runs(tmp_path: Path, spark_resource: SparkResource) -> Runs:
    """Three people, each with a device, recorded an hour apart."""
    found = Runs(tmp_path, spark_resource)
    for number, who in enumerate((ANN, BOB, CAT)):
        time = NOON + number * HOUR
        found.land("customer_landing", [customer(who, f"device-{number}")])
        found.land("accelerometer_landing", [phone_reading(who, time)])
        found.land("step_trainer_landing", [device_reading(f"device-{number}", time)])
    return found


def parts(runs: Runs) -> dict[str, str]:
    return {row[1]: row[-1] for row in rows_of(runs.lakehouse)["training_set"]}


def test__runs__who_comes_to_share_a_device_moves_with_their_rows(runs: Runs) -> None:
    seed = next(
        split
        for split in (Split(seed=str(n), train=50, validation=25, test=25) for n in range(99))
        if part(ANN, split.seed, 50, 25) != part(BOB, split.seed, 50, 25)
    )
    assert runs.run_equal(split=seed).failing() == set()
    before = parts(runs)
    assert before["device-0"] != before["device-1"]

    runs.land("customer_landing", [customer(BOB, "device-0", updated=MORNING + 1)])
    made = runs.run_equal(split=seed)

    assert made.modes["customer_training"] is Mode.WHOLE
    assert made.modes["training_set"] is Mode.RANGES
    after = parts(runs)
    assert after["device-1"] == after["device-0"] == before["device-0"]
    assert after["device-2"] == before["device-2"]
    assert runs.run(split=seed).modes["training_set"] is Mode.UNCHANGED


def test__runs__another_split_or_option_makes_it_anew(runs: Runs) -> None:
    runs.run()
    other = Split(seed="other", train=40, validation=30, test=30)
    made = runs.run_equal(split=other)
    assert (made.modes["training_set"], made.modes["machine_learning_curated"]) == (
        Mode.WHOLE,
        Mode.UNCHANGED,
    )
    made = runs.run_equal(split=other, options=Options(pseudonymise_devices=True))
    assert made.modes["training_set"] is Mode.WHOLE
    assert made.failing() == set()
    assert not parts(runs).keys() & {"device-0", "device-1", "device-2"}


def test__runs__who_withdraws_leaves_the_training_set(runs: Runs) -> None:
    runs.run()
    runs.land("customer_landing", [customer(BOB, "device-1", None, updated=NOON)])
    made = runs.run_equal()
    assert made.modes["training_set"] is Mode.RANGES
    assert parts(runs).keys() == {"device-0", "device-2"}
