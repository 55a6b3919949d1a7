"""The Step Trainers' distance readings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from stedi_assets.tables import recount
from stedi_assets.tables.columns import Column, ColumnType, time
from stedi_assets.tables.customer import SERIAL_NUMBER
from stedi_assets.tables.schema import INGEST_TEAM, Check, Device, Table, Zone

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


def of_shared_devices(
    step_trainer_trusted: DataFrame, customer_landing: DataFrame, as_of: int
) -> int:
    """Counts the readings of devices that a person without consent has registered too."""
    others = recount.people(customer_landing, as_of).where("not agrees")
    theirs = recount.devices(customer_landing, as_of).join(others, "email", "left_semi")
    serials = theirs.select(F.col("serialNumber").alias("_shared")).distinct()
    same_device = step_trainer_trusted.serialNumber == serials["_shared"]
    return step_trainer_trusted.join(serials, same_device, "left_semi").count()


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
