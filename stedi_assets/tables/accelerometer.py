"""The phones' accelerometer readings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stedi_assets.tables.columns import Column, ColumnType, time
from stedi_assets.tables.consent import person
from stedi_assets.tables.schema import INGEST_TEAM, Person, Table, Zone

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

READING_COLUMNS = (
    time("timestamp", "When the phone took the reading", aliases=("timeStamp",)),
    Column(
        "x", ColumnType.DOUBLE, "Acceleration along the phone's x axis, as the phone reports it"
    ),
    Column(
        "y", ColumnType.DOUBLE, "Acceleration along the phone's y axis, as the phone reports it"
    ),
    Column(
        "z", ColumnType.DOUBLE, "Acceleration along the phone's z axis, as the phone reports it"
    ),
)
COLUMNS = (
    Column("user", ColumnType.STRING, "E-mail address of the phone's owner", personal=True),
    *READING_COLUMNS,
)


def accelerometer_trusted(
    accelerometer_landing: DataFrame, customer_trusted: DataFrame
) -> DataFrame:
    """Keeps the readings whose user is the e-mail of a trusted customer, unique."""
    readings = accelerometer_landing.withColumn("user", person("user"))
    same_person = readings.user == customer_trusted.email
    return readings.join(customer_trusted, same_person, "left_semi").distinct()


ACCELEROMETER_LANDING = Table(
    "accelerometer",
    Zone.LANDING,
    "A phone's accelerometer reading as it landed.",
    COLUMNS,
    subjects=(Person("user"),),
    time_column="timestamp",
    owner=INGEST_TEAM,
)

ACCELEROMETER_TRUSTED = Table(
    "accelerometer",
    Zone.TRUSTED,
    "An accelerometer reading of a customer who agreed to research.",
    COLUMNS,
    subjects=(Person("user"),),
    key=("user", "timestamp", "x", "y", "z"),
    references={"user": ("customer_trusted", "email")},
    time_column="timestamp",
    rule=accelerometer_trusted,
)
