"""The Step Trainers' distance readings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stedi_assets.tables import recount
from stedi_assets.tables.columns import Column, ColumnType, time
from stedi_assets.tables.customer import SERIAL_NUMBER
from stedi_assets.tables.schema import INGEST_TEAM, Check, Device, Table, Zone
from stedi_assets.tables.value_counts import ROWS

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

COLUMNS = (
    time("sensorReadingTime", "When the device took the reading"),
    SERIAL_NUMBER,
    Column(
        "distanceFromObject",
        ColumnType.INT,
        "Distance to the object, as the device reports it",
        minimum=1,
    ),
)


def step_trainer_trusted(step_trainer_landing: DataFrame, customer_curated: DataFrame) -> DataFrame:
    """Keeps the readings of devices that belong to a curated customer, unique."""
    same_device = step_trainer_landing.serialNumber == customer_curated.serialNumber
    return step_trainer_landing.join(customer_curated, same_device, "left_semi").distinct()


def of_shared_devices(value_counts: DataFrame, people: DataFrame, devices: DataFrame) -> int:
    """Counts the readings of devices that a person without consent has registered too."""
    theirs = devices.join(people.where("not agrees"), "email", "left_semi")
    readings = value_counts.join(theirs, "serialNumber", "left_semi")
    return int(readings.agg(recount.total(ROWS)).collect()[0][0])


STEP_TRAINER_LANDING = Table(
    "step_trainer",
    Zone.LANDING,
    "A Step Trainer's distance reading as it landed.",
    COLUMNS,
    subjects=(Device("serialNumber"),),
    time_column="sensorReadingTime",
    owner=INGEST_TEAM,
)

STEP_TRAINER_TRUSTED = Table(
    "step_trainer",
    Zone.TRUSTED,
    "A Step Trainer reading of a curated customer's device.",
    COLUMNS,
    subjects=(Device("serialNumber"),),
    key=("serialNumber", "sensorReadingTime"),
    references={"serialNumber": ("customer_curated", "serialNumber")},
    time_column="sensorReadingTime",
    rule=step_trainer_trusted,
    checks=(
        Check(
            "devices_shared_without_consent",
            "The share of readings of devices that are also registered to a person without consent "
            "is about what it was.",
            "are of a device that is also registered to a person without consent, so that nobody "
            "can say whose they are. The option match_device of machine_learning_curated keeps "
            "only those that go with the phone of an owner who agrees.",
            warns=True,
            bound=0.05,
            count=of_shared_devices,
        ),
    ),
)
