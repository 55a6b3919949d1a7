"""Rows of people without consent fail their table's checks, whatever its parents hold."""

from __future__ import annotations

import pytest

from stedi_assets.lakehouse.commit import Commit
from stedi_assets.lakehouse.lakehouse import Lakehouse
from stedi_assets.tables.customer import CUSTOMER_TRUSTED
from stedi_assets_tests.checks.conftest import (
    ANN,
    ANNS_DEVICE,
    ANNS_PHONE,
    BOB,
    BOBS_DEVICE,
    BOBS_PAIR,
    BOBS_PHONE,
    EVE,
    EVES_DEVICE,
    EVES_PHONE,
    LATER,
    ZOE,
    Check,
    faults,
)
from stedi_assets_tests.rows import CUSTOMERS, MORNING, NOON, Frame, customer, device_reading, pair


def test__consent__customer_trusted_holds_one_who_never_agreed(check: Check) -> None:
    results = check("customer_trusted", customer_trusted=[ANN, BOB, EVE])
    assert faults(results) == {"consent": 1, "counts": (3, 2)}


def test__consent__customer_trusted_holds_one_whose_consent_is_zero(check: Check) -> None:
    results = check("customer_trusted", customer_trusted=[ANN, BOB, ZOE])
    assert faults(results) == {"consent": 1, "counts": (3, 2)}


def test__consent__accelerometer_trusted_after_a_tampered_parent(check: Check) -> None:
    results = check(
        "accelerometer_trusted",
        accelerometer_trusted=[ANNS_PHONE, BOBS_PHONE, EVES_PHONE],
        customer_trusted=[ANN, BOB, EVE],
    )
    assert faults(results) == {"consent": 1}


def test__consent__customer_curated_after_tampered_parents(check: Check) -> None:
    results = check(
        "customer_curated",
        customer_curated=[ANN, BOB, EVE],
        customer_trusted=[ANN, BOB, EVE],
        accelerometer_trusted=[ANNS_PHONE, BOBS_PHONE, EVES_PHONE],
    )
    assert faults(results) == {"consent": 1}


def test__consent__step_trainer_trusted_after_a_tampered_parent(check: Check) -> None:
    results = check(
        "step_trainer_trusted",
        step_trainer_trusted=[ANNS_DEVICE, BOBS_DEVICE, EVES_DEVICE],
        customer_curated=[ANN, BOB, EVE],
    )
    assert faults(results) == {"consent": 1, "devices_shared_without_consent": 1}


def test__consent__machine_learning_curated_after_tampered_parents(check: Check) -> None:
    eve = {
        "step_trainer_trusted": [BOBS_DEVICE, EVES_DEVICE],
        "accelerometer_trusted": [BOBS_PHONE, EVES_PHONE],
        "customer_curated": [BOB, (*EVE[:7], 1, *EVE[8:])],
    }
    pairs = [BOBS_PAIR, pair("device-eve", NOON, x=0.125)]
    assert faults(check("machine_learning_curated", machine_learning_curated=pairs, **eve)) == {
        "consent": 1
    }


def test__consent__machine_learning_curated_holds_a_phone_reading_without(check: Check) -> None:
    """The device is Ann's, whose phone was at rest: the acceleration is Eve's."""
    pairs = [pair("device-ann", NOON, x=0.125), BOBS_PAIR]
    results = check("machine_learning_curated", machine_learning_curated=pairs)
    assert faults(results) == {"consent": 1}


def test__consent__person_who_never_landed(check: Check) -> None:
    results = check("customer_trusted", customer_trusted=[ANN, customer("who@example.com")])
    assert faults(results) == {"consent": 1}


def test__devices_shared_without_consent__are_counted(check: Check) -> None:
    eve = customer("eve@example.com", "device-ann", None)
    results = check("step_trainer_trusted", customer_landing=[ANN, BOB, eve])
    assert faults(results) == {"devices_shared_without_consent": 1}


def test__consent__withdrawn_by_a_later_record(check: Check) -> None:
    withdrawal = (*ANN[:1], " Ann@Example.com", *ANN[2:6], LATER, None, *ANN[8:])
    withdrawn = {"customer_landing": [ANN, BOB, withdrawal]}
    assert faults(check("customer_trusted", **withdrawn)) == {"consent": 1, "counts": (2, 1)}
    assert faults(check("accelerometer_trusted", **withdrawn)) == {"consent": 1}
    assert faults(check("customer_curated", **withdrawn)) == {"consent": 1}
    assert faults(check("step_trainer_trusted", **withdrawn)) == {
        "consent": 1,
        "devices_shared_without_consent": 1,
    }
    assert faults(check("machine_learning_curated", **withdrawn)) == {"consent": 1}


@pytest.mark.parametrize("consent", [NOON // 1000, -NOON, 253_370_764_800_000])
def test__impossible_consent__warns(consent: int, check: Check) -> None:
    eve = customer("eve@example.com", "device-eve", consent)
    results = check("customer_trusted", customer_landing=[ANN, BOB, eve])
    assert faults(results) == {"impossible_consent": 1}
    assert str(results["impossible_consent"].description).startswith(
        "1 of 3 people have a latest record"
    )


@pytest.mark.parametrize(
    ("other", "alike"),
    [
        pytest.param("\uff41nn@example.com", 2, id="full_width"),
        pytest.param("a\u200bnn@example.com", 2, id="zero_width_within"),
        pytest.param("anne@example.com", 0, id="another"),
        pytest.param("\u00e5nn@example.com", 0, id="another_beyond_ascii"),
    ],
)
def test__near_duplicate_people__warns(other: str, alike: int, check: Check) -> None:
    lookalike = customer(other, None, None)
    results = check("customer_trusted", customer_landing=[ANN, BOB, lookalike])
    assert faults(results) == ({"near_duplicate_people": alike} if alike else {})
    told = str(results["near_duplicate_people"].description)
    assert told.startswith("2 of 3 people have") == bool(alike)


def test__near_duplicate_people__of_addresses_that_are_all_beyond_ascii(check: Check) -> None:
    landed = [
        ANN,
        BOB,
        *[customer(one, None, None) for one in ("jos\u00e9@x.es", "jose\u0301@x.es")],
    ]
    assert faults(check("customer_trusted", customer_landing=landed)) == {
        "near_duplicate_people": 2
    }


def test__counts__are_of_the_time_at_which_the_table_was_made(
    check: Check, landed: Lakehouse, frame: Frame
) -> None:
    """Zoe's consent has come true since; she is in the table from the next run on."""
    landed.write(CUSTOMER_TRUSTED, frame(CUSTOMERS, [ANN, BOB]), Commit(as_of=NOON))
    zoe = customer("zoe@example.com", "device-zoe", NOON + 1)
    results = check("customer_trusted", customer_landing=[ANN, BOB, zoe])
    assert faults(results) == {"impossible_consent": 1}


def test__devices_shared_without_consent__thirty_devices_of_609_people(check: Check) -> None:
    """Every other device is also somebody's who does not agree: who used it cannot be told."""
    people = [
        customer(f"{n}@example.com", f"device-{n % 30}", MORNING if n % 4 else None)
        for n in range(609)
    ]
    readings = [device_reading(f"device-{n % 30}", NOON + n) for n in range(60)]
    results = check(
        "step_trainer_trusted",
        customer_landing=people,
        customer_curated=[one for number, one in enumerate(people) if number % 4],
        step_trainer_landing=readings,
        step_trainer_trusted=readings,
    )
    assert faults(results) == {"devices_shared_without_consent": 30}
    assert results["counts"].metadata["expected"].value == 60
