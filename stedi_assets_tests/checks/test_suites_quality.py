"""Keys, references, schema, values and personal data: rows that break the rule are counted."""

from __future__ import annotations

import pytest

from stedi_assets_tests.checks.conftest import (
    ANN,
    ANNS_DEVICE,
    ANNS_PHONE,
    BOB,
    BOBS_DEVICE,
    BOBS_PAIR,
    BOBS_PHONE,
    GOOD,
    LATER,
    Check,
    faults,
)
from stedi_assets_tests.rows import (
    CUSTOMERS,
    NOON,
    PAIRS,
    Frame,
    device_reading,
    pair,
    phone_reading,
)

# Keys and references


@pytest.mark.parametrize(
    ("table", "landing_table", "repeated", "further"),
    [
        # The first two are not kept twice by the rules; of the last neither is known to be wrong.
        (
            "customer_trusted",
            "customer_landing",
            (*ANN[:6], LATER, *ANN[7:]),
            {"counts": (3, 2)},
        ),
        ("accelerometer_trusted", "accelerometer_landing", ANNS_PHONE, {"counts": (3, 2)}),
        ("step_trainer_trusted", "step_trainer_landing", device_reading("device-ann", NOON, 1), {}),
    ],
)
def test__keys__two_rows_share_one(
    table: str, landing_table: str, repeated: tuple, further: dict, check: Check
) -> None:
    changed = {name: [repeated, *GOOD[name]] for name in (table, landing_table)}
    assert faults(check(table, **changed)) == {"keys": 1, **further}


def test__keys__a_customer_is_curated_twice(check: Check) -> None:
    people = [ANN, (*ANN[:6], LATER, *ANN[7:]), BOB]
    results = check("customer_curated", customer_curated=people, customer_trusted=people)
    assert faults(results) == {"keys": 1}


@pytest.mark.parametrize(
    ("table", "parent"),
    [
        ("accelerometer_trusted", {"customer_trusted": [ANN]}),
        ("customer_curated", {"accelerometer_trusted": [ANNS_PHONE]}),
        ("step_trainer_trusted", {"customer_curated": [ANN]}),
        ("machine_learning_curated", {"step_trainer_trusted": [ANNS_DEVICE]}),
        ("machine_learning_curated", {"accelerometer_trusted": [ANNS_PHONE]}),
    ],
)
def test__references__row_has_no_parent(table: str, parent: dict, check: Check) -> None:
    assert faults(check(table, **parent)) == {"references": 1, "counts": (2, 1)}


# Schema and values


def test__schema__column_is_not_declared(check: Check, frame: Frame) -> None:
    made = frame(f"{CUSTOMERS}, score double", [(*ANN, 0.5), (*BOB, 0.5)])
    results = check("customer_trusted", customer_trusted=made)
    assert faults(results) == {"schema": ["score is not declared"]}


def test__schema__column_has_another_type(check: Check, frame: Frame) -> None:
    made = frame(PAIRS.replace("`x` double", "`x` float"), GOOD["machine_learning_curated"])
    results = check("machine_learning_curated", machine_learning_curated=made)
    assert faults(results) == {"schema": ["x is float instead of double"]}


def test__schema__column_is_missing(check: Check, frame: Frame) -> None:
    made = frame(CUSTOMERS, [ANN, BOB]).drop("phone", "registrationDate")
    results = check("customer_trusted", customer_trusted=made)
    assert faults(results)["schema"] == ["phone is missing", "registrationDate is missing"]


@pytest.mark.parametrize("table", ["accelerometer_trusted", "machine_learning_curated"])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test__values__acceleration_is_not_finite(table: str, value: float, check: Check) -> None:
    phones = [phone_reading("ann@example.com", NOON, value), BOBS_PHONE]
    changed = {
        "accelerometer_landing": phones,
        "accelerometer_trusted": phones,
        "machine_learning_curated": [pair("device-ann", NOON, value), BOBS_PAIR],
    }
    assert faults(check(table, **changed)) == {"values": 1}


@pytest.mark.parametrize("table", ["step_trainer_trusted", "machine_learning_curated"])
def test__values__distance_is_zero(table: str, check: Check) -> None:
    devices = [device_reading("device-ann", NOON, 0), BOBS_DEVICE]
    changed = {
        "step_trainer_landing": devices,
        "step_trainer_trusted": devices,
        "machine_learning_curated": [pair("device-ann", NOON, distance=0), BOBS_PAIR],
    }
    assert faults(check(table, **changed)) == {"values": 1}


@pytest.mark.parametrize("table", ["customer_trusted", "customer_curated"])
def test__values__customer_may_have_no_device(table: str, check: Check) -> None:
    people = [(*ANN[:4], None, *ANN[5:]), BOB]
    changed = dict.fromkeys(("customer_landing", "customer_trusted", "customer_curated"), people)
    assert faults(check(table, **changed)) == {}


# Personal data


@pytest.mark.parametrize(
    "serial", ["ann@example.com", "Eve Everett", "8015550104"], ids=["e-mail", "name", "phone"]
)
def test__no_personal_data__serial_number_names_a_customer(serial: str, check: Check) -> None:
    pairs = [pair(serial, NOON), BOBS_PAIR]
    results = check("machine_learning_curated", machine_learning_curated=pairs)
    assert faults(results) == {"no_personal_data": 1, "consent": 1, "references": 1}


def test__no_personal_data__number_is_a_phone(check: Check) -> None:
    ann = (*ANN[:2], str(NOON), *ANN[3:])
    results = check("machine_learning_curated", customer_landing=[ann, BOB])
    assert faults(results) == {"no_personal_data": 1}


def test__no_personal_data__whole_number_as_a_double_is_a_phone(check: Check) -> None:
    phones = [phone_reading("ann@example.com", NOON, 8015550103.0), BOBS_PHONE]
    results = check(
        "machine_learning_curated",
        machine_learning_curated=[pair("device-ann", NOON, 8015550103.0), BOBS_PAIR],
        accelerometer_landing=phones,
        accelerometer_trusted=phones,
    )
    assert faults(results) == {"no_personal_data": 1}
