"""Only rows of people who agreed to research become trusted."""

from __future__ import annotations

import functools

import pytest

from stedi_assets import tables
from stedi_assets.tables.accelerometer import ACCELEROMETER_TRUSTED, accelerometer_trusted
from stedi_assets.tables.customer import CUSTOMER_TRUSTED
from stedi_assets.tables.step_trainer import STEP_TRAINER_TRUSTED, step_trainer_trusted
from stedi_assets_tests.rows import (
    CLOCK,
    CUSTOMERS,
    DEVICE_READINGS,
    MORNING,
    NOON,
    PHONE_READINGS,
    Frame,
    customer,
    device_reading,
    phone_reading,
    rows,
)

customer_trusted = functools.partial(tables.customer.customer_trusted, as_of=CLOCK.now)


def test__customer_trusted__consent_is_there(frame: Frame) -> None:
    landed = frame(CUSTOMERS, [customer("ann@example.com", consent=MORNING)])
    assert rows(customer_trusted(landed)) == [customer("ann@example.com", consent=MORNING)]


def test__customer_trusted__consent_is_null(frame: Frame) -> None:
    landed = frame(
        CUSTOMERS,
        [
            customer("ann@example.com", consent=MORNING),
            customer("bob@example.com", consent=None),
        ],
    )
    assert rows(customer_trusted(landed)) == [customer("ann@example.com", consent=MORNING)]


def test__customer_trusted__consent_is_zero(frame: Frame) -> None:
    landed = frame(
        CUSTOMERS,
        [
            customer("ann@example.com", consent=MORNING),
            customer("bob@example.com", consent=0),
        ],
    )
    assert rows(customer_trusted(landed)) == [customer("ann@example.com", consent=MORNING)]


def test__customer_trusted__consent_to_others_is_no_consent_to_research(frame: Frame) -> None:
    *others, _, _ = customer("bob@example.com", consent=None)
    landed = frame(CUSTOMERS, [(*others, MORNING, MORNING)])
    assert rows(customer_trusted(landed)) == []


def test__accelerometer_trusted__user_is_not_a_trusted_customer(frame: Frame) -> None:
    landed = frame(
        PHONE_READINGS,
        [
            phone_reading("ann@example.com", NOON),
            phone_reading("ann@example.com", NOON + 1),
            phone_reading("bob@example.com", NOON),
            phone_reading(None, NOON),
        ],
    )
    customers = frame(CUSTOMERS, [customer("ann@example.com"), customer("eve@example.com")])
    assert rows(accelerometer_trusted(landed, customers)) == [
        phone_reading("ann@example.com", NOON),
        phone_reading("ann@example.com", NOON + 1),
    ]


def test__accelerometer_trusted__email_differs_in_case_and_padding(frame: Frame) -> None:
    landed = frame(PHONE_READINGS, [phone_reading(" Ann@Example.com\t")])
    customers = frame(CUSTOMERS, [customer("ann@example.com")])
    assert rows(accelerometer_trusted(landed, customers)) == [phone_reading("ann@example.com")]


def test__accelerometer_trusted__customer_without_email_lets_no_reading_in(frame: Frame) -> None:
    landed = frame(PHONE_READINGS, [phone_reading(None)])
    customers = frame(CUSTOMERS, [customer(None)])
    assert rows(accelerometer_trusted(landed, customers)) == []


def test__accelerometer_trusted__repeated_customer_does_not_multiply(frame: Frame) -> None:
    landed = frame(PHONE_READINGS, [phone_reading("ann@example.com")])
    customers = frame(
        CUSTOMERS,
        [
            customer("ann@example.com", "device-1"),
            customer("ann@example.com", "device-1"),
            customer("ann@example.com", "device-2"),
        ],
    )
    assert rows(accelerometer_trusted(landed, customers)) == [phone_reading("ann@example.com")]


def test__trusted_readings__repeated_reading_once(frame: Frame) -> None:
    phone, device = phone_reading("ann@example.com"), device_reading("device-1")
    customers = frame(CUSTOMERS, [customer("ann@example.com", "device-1")])
    phones = frame(PHONE_READINGS, [phone, phone, phone_reading("ANN@example.com")])
    devices = frame(DEVICE_READINGS, [device, device, device_reading("device-1", distance=1)])
    assert rows(accelerometer_trusted(phones, customers)) == [phone]
    assert rows(step_trainer_trusted(devices, customers)) == [
        device_reading("device-1", distance=1),
        device,
    ]


def test__step_trainer_trusted__device_is_not_a_curated_customers(frame: Frame) -> None:
    landed = frame(
        DEVICE_READINGS,
        [
            device_reading("device-1", NOON),
            device_reading("device-1", NOON + 1),
            device_reading("device-2", NOON),
            device_reading(None, NOON),
        ],
    )
    customers = frame(CUSTOMERS, [customer("ann@example.com", "device-1")])
    assert rows(step_trainer_trusted(landed, customers)) == [
        device_reading("device-1", NOON),
        device_reading("device-1", NOON + 1),
    ]


def test__step_trainer_trusted__shared_device_does_not_multiply(frame: Frame) -> None:
    landed = frame(DEVICE_READINGS, [device_reading("device-1")])
    customers = frame(
        CUSTOMERS,
        [customer("ann@example.com", "device-1"), customer("bob@example.com", "device-1")],
    )
    assert rows(step_trainer_trusted(landed, customers)) == [device_reading("device-1")]


def test__step_trainer_trusted__thirty_devices_of_609_people(frame: Frame) -> None:
    landed = [device_reading(f"device-{n}", NOON + n % 2) for n in range(30)]
    people = [customer(f"{n}@example.com", f"device-{n % 30}") for n in range(609)]
    readings = frame(DEVICE_READINGS, landed)
    assert rows(step_trainer_trusted(readings, frame(CUSTOMERS, people))) == sorted(landed)


@pytest.mark.parametrize("empty", ["landing", "customers", "both"])
def test__trusted_readings__empty_input(empty: str, frame: Frame) -> None:
    people = [] if empty in ("customers", "both") else [customer("ann@example.com", "device-1")]
    phone = [] if empty in ("landing", "both") else [phone_reading("ann@example.com")]
    device = [] if empty in ("landing", "both") else [device_reading("device-1")]
    customers = frame(CUSTOMERS, people)
    assert rows(accelerometer_trusted(frame(PHONE_READINGS, phone), customers)) == []
    assert rows(step_trainer_trusted(frame(DEVICE_READINGS, device), customers)) == []


def test__customer_trusted__empty_input(frame: Frame) -> None:
    assert rows(customer_trusted(frame(CUSTOMERS, []))) == []


def test__trusted_tables__columns_are_those_declared(frame: Frame) -> None:
    customers = frame(CUSTOMERS, [])
    phones, devices = frame(PHONE_READINGS, []), frame(DEVICE_READINGS, [])
    for table, made in [
        (CUSTOMER_TRUSTED, customer_trusted(customers)),
        (ACCELEROMETER_TRUSTED, accelerometer_trusted(phones, customers)),
        (STEP_TRAINER_TRUSTED, step_trainer_trusted(devices, customers)),
    ]:
        assert made.dtypes == [(column.name, column.type) for column in table.columns]
