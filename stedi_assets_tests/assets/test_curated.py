"""Curated tables hold customers with readings and pairs of readings that name no one."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from stedi_assets.lakehouse.making import made
from stedi_assets.policy import Options
from stedi_assets.tables.accelerometer import accelerometer_trusted
from stedi_assets.tables.customer import CUSTOMER_CURATED, customer_curated, customer_trusted
from stedi_assets.tables.machine_learning import MACHINE_LEARNING_CURATED, machine_learning_curated
from stedi_assets_tests.rows import (
    CLOCK,
    CUSTOMERS,
    DEVICE_READINGS,
    MORNING,
    NOON,
    PHONE_READINGS,
    PSEUDONYMS,
    Frame,
    customer,
    device_reading,
    pair,
    phone_reading,
    rows,
)

ANN, BOB = "ann@example.com", "bob@example.com"


def test__customer_curated__keeps_those_with_readings(frame: Frame) -> None:
    customers = frame(CUSTOMERS, [customer(ANN), customer(BOB)])
    readings = frame(PHONE_READINGS, [phone_reading(ANN)])
    assert rows(customer_curated(customers, readings)) == [customer(ANN)]


def test__customer_curated__many_readings_give_one_row(frame: Frame) -> None:
    customers = frame(CUSTOMERS, [customer(ANN)])
    readings = frame(
        PHONE_READINGS,
        [phone_reading(ANN, NOON), phone_reading(ANN, NOON), phone_reading(ANN, NOON + 1)],
    )
    assert rows(customer_curated(customers, readings)) == [customer(ANN)]


def test__customer_curated__repeated_record_once(frame: Frame) -> None:
    customers = frame(CUSTOMERS, [customer(ANN), customer(ANN)])
    readings = frame(PHONE_READINGS, [phone_reading(ANN)])
    assert rows(customer_curated(customers, readings)) == [customer(ANN)]


def test__customer_curated__different_records_of_one_person_all_stay(frame: Frame) -> None:
    people = [customer(ANN, updated=MORNING), customer(ANN, updated=NOON)]
    readings = frame(PHONE_READINGS, [phone_reading(ANN)])
    assert rows(customer_curated(frame(CUSTOMERS, people), readings)) == people


@pytest.mark.parametrize("empty", ["customers", "readings", "both"])
def test__customer_curated__empty_input(empty: str, frame: Frame) -> None:
    customers = frame(CUSTOMERS, [] if empty != "readings" else [customer(ANN)])
    readings = frame(PHONE_READINGS, [] if empty != "customers" else [phone_reading(ANN)])
    assert rows(customer_curated(customers, readings)) == []


@pytest.fixture
def paired(frame: Frame) -> Callable[..., list[tuple]]:
    """The rows of machine_learning_curated for rows of its parents and options."""

    def make(
        devices: list[tuple], phones: list[tuple], customers: list[tuple], **options: bool
    ) -> list[tuple]:
        parents = {
            "step_trainer_trusted": frame(DEVICE_READINGS, devices),
            "accelerometer_trusted": frame(PHONE_READINGS, phones),
            "customer_curated": frame(CUSTOMERS, customers),
        }
        chosen = Options(**options)
        found = made(MACHINE_LEARNING_CURATED, parents.__getitem__, NOON, chosen, PSEUDONYMS)
        return rows(found)

    return make


Paired = Callable[..., list[tuple]]


def test__machine_learning_curated__same_millisecond(paired: Paired) -> None:
    assert paired(
        [device_reading("device-1", NOON, 201), device_reading("device-1", NOON + 1, 202)],
        [phone_reading(ANN, NOON, 0.5), phone_reading(ANN, NOON - 1, 0.25)],
        [customer(ANN, "device-1")],
    ) == [pair("device-1", NOON, 0.5, 201)]


def test__machine_learning_curated__every_reading_of_the_millisecond(paired: Paired) -> None:
    assert paired(
        [device_reading("device-1", distance=201), device_reading("device-1", distance=202)],
        [phone_reading(ANN, x=0.25), phone_reading(ANN, x=0.5)],
        [customer(ANN, "device-1")],
    ) == [
        pair("device-1", x=0.25, distance=201),
        pair("device-1", x=0.5, distance=201),
        pair("device-1", x=0.25, distance=202),
        pair("device-1", x=0.5, distance=202),
    ]


def test__machine_learning_curated__user_is_not_a_curated_customer(paired: Paired) -> None:
    devices = [device_reading("device-1")]
    phones = [phone_reading(ANN, x=0.25), phone_reading(BOB, x=0.5)]
    assert paired(devices, phones, [customer(ANN)]) == [pair("device-1", x=0.25)]


def test__machine_learning_curated__repeated_customer_does_not_multiply(paired: Paired) -> None:
    assert paired(
        [device_reading("device-1")],
        [phone_reading(ANN)],
        [customer(ANN, "device-1", updated=MORNING), customer(ANN, "device-1", updated=NOON)],
    ) == [pair("device-1")]


TWO_DEVICES = [device_reading("device-1"), device_reading("device-2")]
TWO_PHONES = [phone_reading(ANN, x=0.25), phone_reading(BOB, x=0.5)]
TWO_OWNERS = [customer(ANN, "device-1"), customer(BOB, "device-2")]


def test__machine_learning_curated__two_people_in_one_millisecond(paired: Paired) -> None:
    assert paired(TWO_DEVICES, TWO_PHONES, TWO_OWNERS) == [
        pair("device-1", x=0.25),
        pair("device-1", x=0.5),
        pair("device-2", x=0.25),
        pair("device-2", x=0.5),
    ]


def test__machine_learning_curated__match_device(paired: Paired) -> None:
    assert paired(TWO_DEVICES, TWO_PHONES, TWO_OWNERS, match_device=True) == [
        pair("device-1", x=0.25),
        pair("device-2", x=0.5),
    ]


def test__machine_learning_curated__match_device_of_a_person_with_two(paired: Paired) -> None:
    owner = [customer(ANN, "device-1"), customer(ANN, "device-2")]
    phones = [phone_reading(ANN, x=0.25)]
    assert paired(TWO_DEVICES, phones, owner, match_device=True) == [
        pair("device-1", x=0.25),
        pair("device-2", x=0.25),
    ]


@pytest.mark.parametrize(
    ("match_device", "kept"),
    [(True, [NOON, NOON + 1, NOON + 3]), (False, [NOON, NOON + 1, NOON + 2, NOON + 3])],
)
def test__machine_learning_curated__device_shared_with_one_who_does_not_agree(
    match_device: bool, kept: list[int], paired: Paired, frame: Frame
) -> None:
    """Strictly, a reading stays only beside the phone of an owner of the device who agrees."""
    eve, zoe = "eve@example.com", "zoe@example.com"
    landed = [
        customer(ANN, "shared"),
        customer(BOB, "shared"),
        customer(eve, "shared", None),
        customer(zoe, "device-2"),
    ]
    moved = [
        phone_reading(ANN, NOON),
        phone_reading(BOB, NOON + 1),
        # It was Eve who moved and stepped; Zoe, who has another device, happened to move as well.
        phone_reading(eve, NOON + 2),
        phone_reading(zoe, NOON + 2),
        # Who of the two stepped cannot be told.
        phone_reading(ANN, NOON + 3),
        phone_reading(eve, NOON + 3),
        phone_reading(eve, NOON + 4),
    ]
    agreeing = customer_trusted(frame(CUSTOMERS, landed), as_of=CLOCK.now)
    phones = accelerometer_trusted(frame(PHONE_READINGS, moved), agreeing)
    devices = [device_reading("shared", NOON + later) for later in range(6)]

    made = paired(devices, rows(phones), rows(agreeing), match_device=match_device)

    assert made == [pair("shared", time) for time in kept]


def test__machine_learning_curated__after_consent_only_is_strictly_later(paired: Paired) -> None:
    times = [NOON - 1, NOON, NOON + 1]
    assert paired(
        [device_reading("device-1", time) for time in times],
        [phone_reading(ANN, time) for time in times],
        [customer(ANN, "device-1", consent=NOON)],
        after_consent_only=True,
    ) == [pair("device-1", NOON + 1)]


def test__machine_learning_curated__consent_is_that_of_the_phones_owner(paired: Paired) -> None:
    owners = [customer(ANN, "device-1", consent=MORNING), customer(BOB, "device-2", consent=NOON)]
    assert paired(TWO_DEVICES, TWO_PHONES, owners, after_consent_only=True) == [
        pair("device-1", x=0.25),
        pair("device-2", x=0.25),
    ]


def test__machine_learning_curated__both_options(paired: Paired) -> None:
    owners = [customer(ANN, "device-1", consent=MORNING), customer(BOB, "device-2", consent=NOON)]
    assert paired(TWO_DEVICES, TWO_PHONES, owners, after_consent_only=True, match_device=True) == [
        pair("device-1", x=0.25)
    ]


def test__machine_learning_curated__both_options_hold_of_one_record(paired: Paired) -> None:
    owner = [customer(ANN, "device-1", consent=NOON), customer(ANN, "device-2", consent=MORNING)]
    phones = [phone_reading(ANN, x=0.25)]
    assert paired(TWO_DEVICES, phones, owner, after_consent_only=True, match_device=True) == [
        pair("device-2", x=0.25)
    ]


@pytest.mark.parametrize("empty", [0, 1, 2])
@pytest.mark.parametrize("options", [{}, {"after_consent_only": True, "match_device": True}])
def test__machine_learning_curated__empty_input(
    empty: int, options: dict[str, bool], paired: Paired
) -> None:
    parents = [[device_reading("device-1")], [phone_reading(ANN)], [customer(ANN, "device-1")]]
    assert paired(*parents, **options) == [pair("device-1")]
    parents[empty] = []
    assert paired(*parents, **options) == []


def test__curated_tables__columns_are_those_declared(frame: Frame) -> None:
    customers, phones = frame(CUSTOMERS, []), frame(PHONE_READINGS, [])
    pairs = machine_learning_curated(frame(DEVICE_READINGS, []), phones, customers, Options())
    for table, found in [
        (CUSTOMER_CURATED, customer_curated(customers, phones)),
        (MACHINE_LEARNING_CURATED, pairs),
    ]:
        assert found.dtypes == [(column.name, column.type) for column in table.columns]


def test__machine_learning_curated__no_column_is_personal() -> None:
    assert MACHINE_LEARNING_CURATED.column_names == [
        "sensorReadingTime",
        "serialNumber",
        "distanceFromObject",
        "timestamp",
        "x",
        "y",
        "z",
    ]
    assert not MACHINE_LEARNING_CURATED.personal


def test__machine_learning_curated__devices_have_pseudonyms(paired: Paired) -> None:
    """Which reveal no device, but that the same is the same."""
    devices = [
        device_reading("device-1"),
        device_reading("device-2"),
        device_reading("device-1", NOON + 1),
    ]
    phones = [phone_reading(ANN), phone_reading(ANN, NOON + 1)]
    people = [customer(ANN, "device-1")]
    plain = paired(devices, phones, people, match_device=True)
    hidden = paired(devices, phones, people, match_device=True, pseudonymise_devices=True)
    assert [row[:1] + row[2:] for row in hidden] == [row[:1] + row[2:] for row in plain]
    [pseudonym] = {row[1] for row in hidden}
    assert len(pseudonym) == 64
    assert "device" not in pseudonym
