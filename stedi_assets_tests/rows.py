"""Rows of the declared tables: a test says what matters to it, the rest is good as it is."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa
from dagster._core.definitions.decorators.op_decorator import DecoratedOpFunction
from deltalake import DeltaTable
from pyspark.sql import DataFrame, Row

from stedi_assets.lakehouse import delta
from stedi_assets.orchestration.clock import Clock
from stedi_assets.pseudonyms import Pseudonyms
from stedi_assets.tables import recount
from stedi_assets.tables.accelerometer import ACCELEROMETER_LANDING
from stedi_assets.tables.customer import CUSTOMER_LANDING
from stedi_assets.tables.machine_learning import MACHINE_LEARNING_CURATED
from stedi_assets.tables.step_trainer import STEP_TRAINER_LANDING

# When readings are taken and when people consent, unless a test says otherwise.
NOON = 1_700_000_000_000
MORNING = NOON - 4 * 3_600_000

CUSTOMERS = CUSTOMER_LANDING.ddl
PHONE_READINGS = ACCELEROMETER_LANDING.ddl
DEVICE_READINGS = STEP_TRAINER_LANDING.ddl
PAIRS = MACHINE_LEARNING_CURATED.ddl

# Where and when text was quarantined, which differs between two lakehouses of the same files.
PLACE = {"file", "lineNumber", "byteOffset", "quarantinedAt"}

# Makes a frame of a DDL schema and rows.
Frame = Callable[[str, list[tuple]], DataFrame]

CLOCK = Clock()
PSEUDONYMS = Pseudonyms("only-for-tests-" + "0123456789" * 3)


def customer(
    email: str | None,
    serial: str | None = "device-1",
    consent: int | None = MORNING,
    *,
    name: str | None = "Example Person",
    phone: str | None = "8015550100",
    updated: int | None = MORNING,
) -> tuple:
    """A row of any customer table."""
    return (name, email, phone, "1980-02-29", serial, MORNING, updated, consent, None, None)


def phone_reading(user: str | None, time: int | None = NOON, x: float = 1.0) -> tuple:
    """A row of any accelerometer table."""
    return (user, time, x, 0.0, -1.0)


def device_reading(serial: str | None, time: int | None = NOON, distance: int = 250) -> tuple:
    """A row of any step trainer table."""
    return (time, serial, distance)


def pair(serial: str | None, time: int | None = NOON, x: float = 1.0, distance: int = 250) -> tuple:
    """A row of machine_learning_curated."""
    return (time, serial, distance, time, x, 0.0, -1.0)


def rows(frame: DataFrame) -> list[tuple]:
    """The rows of a frame in an order that does not depend on the engine."""
    return sorted((tuple(row) for row in frame.collect()), key=repr)


def function_of(definition: dg.AssetsDefinition) -> Callable[..., Any]:
    """The function itself: Dagster's own direct invocation makes an instance at every call."""
    compute = definition.op.compute_fn
    assert isinstance(compute, DecoratedOpFunction)
    return inspect.unwrap(compute.decorated_fn)


def stored_rows(
    uri: Path | str, version: int | None = None, columns: list[str] | None = None
) -> pa.Table:
    """The rows of a Delta table, or those of one of its versions."""
    opened = DeltaTable(str(uri), version=version)
    return delta.dataset(str(uri), opened).to_table(columns)


def recounted(customer_landing: DataFrame, at: int) -> Row:
    """What a recount of the customers finds in records, judged by a time."""
    people, devices = recount.people(customer_landing, at), recount.devices(customer_landing, at)
    return recount.customers(people, devices).collect()[0]
