"""The customers: who they are, which devices they have, and whether they agree to research."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from stedi_assets.tables import recount
from stedi_assets.tables.columns import Column, ColumnType, time
from stedi_assets.tables.consent import consenting_customers
from stedi_assets.tables.groups import FIRST, with_first_of_group
from stedi_assets.tables.lookalikes import near_duplicates
from stedi_assets.tables.schema import INGEST_TEAM, Check, Person, Table, Zone

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

SERIAL_NUMBER = Column("serialNumber", ColumnType.STRING, "Serial number of a Step Trainer")
COLUMNS = (
    Column("customerName", ColumnType.STRING, "Full name", required=False, personal=True),
    Column("email", ColumnType.STRING, "E-mail address, which names the person", personal=True),
    Column("phone", ColumnType.STRING, "Phone number", required=False, personal=True),
    Column(
        "birthDay", ColumnType.STRING, "Date of birth, as typed in", required=False, personal=True
    ),
    # What withdraws consent must not be refused for want of anything but the person.
    replace(SERIAL_NUMBER, required=False),
    time("registrationDate", "When the customer registered", required=False),
    time("lastUpdateDate", "When this record last changed", required=False),
    time("shareWithResearchAsOfDate", "Since when research may use the data", required=False),
    time("shareWithPublicAsOfDate", "Since when the public may see the data", required=False),
    time("shareWithFriendsAsOfDate", "Since when friends may see the data", required=False),
)


def customer_trusted(customer_landing: DataFrame, as_of: int) -> DataFrame:
    """Keeps the people whose latest record consents to research, once for each device they have.

    Their e-mail addresses are trimmed and in lower case from here on.
    """
    return consenting_customers(customer_landing, as_of)


def customer_curated(customer_trusted: DataFrame, accelerometer_trusted: DataFrame) -> DataFrame:
    """Keeps the trusted customers who have accelerometer readings, unique."""
    same_person = customer_trusted.email == accelerometer_trusted.user
    return customer_trusted.join(accelerometer_trusted, same_person, "left_semi").distinct()


def customer_training(customer_curated: DataFrame) -> DataFrame:
    """Keeps the devices of the curated customers, and says which people they connect."""
    names = ["email", "serialNumber", "shareWithResearchAsOfDate"]
    return with_first_of_group(customer_curated.select(names).dropna(subset=["serialNumber"]))


def owners(customer_curated: DataFrame) -> DataFrame:
    """The rows of customer_training: `expected`, one for each device of a person."""
    owned = customer_curated.groupBy("email").agg(F.count("serialNumber").alias("_devices"))
    return owned.agg(recount.total("_devices").alias("expected"))


CUSTOMER_LANDING = Table(
    "customer",
    Zone.LANDING,
    "A customer record as it landed, with or without consent to research.",
    COLUMNS,
    subjects=(Person("email"),),
    # A statement stays made: to replace a file must not bring a consent back.
    superseded_count=True,
    owner=INGEST_TEAM,
)

CUSTOMER_TRUSTED = Table(
    "customer",
    Zone.TRUSTED,
    "A customer who agrees to share data for research, with one of their devices.",
    COLUMNS,
    subjects=(Person("email"),),
    key=("email", "serialNumber"),
    dates={"customer_landing": ("shareWithResearchAsOfDate", "lastUpdateDate")},
    rule=customer_trusted,
    recount=recount.customers,
    checks=(
        Check(
            "impossible_consent",
            "No one's latest record dates their consent, or itself, at a time that cannot be: "
            "before 2000 or later than now.",
            "have a latest record that dates their consent, or itself, before 2000 or later than "
            "now. It does not count as consent: correct the date at its source.",
            warns=True,
            of="people",
        ),
        Check(
            "near_duplicate_people",
            "No one's e-mail address looks like another person's: equal after NFKC and full case "
            "folding, without characters that are not seen.",
            "have an e-mail address that looks like another person's. If they are one person, a "
            "withdrawal under one address does not reach the other: correct the address at its "
            "source.",
            warns=True,
            of="people",
            count=near_duplicates,
        ),
    ),
)

CUSTOMER_CURATED = Table(
    "customer",
    Zone.CURATED,
    "A customer who agrees to research and has accelerometer readings, with one of their devices.",
    COLUMNS,
    subjects=(Person("email"),),
    key=("email", "serialNumber"),
    references={"email": ("accelerometer_trusted", "user")},
    rule=customer_curated,
)

CUSTOMER_TRAINING = Table(
    "customer",
    Zone.TRAINING,
    "A curated customer's device, and the smallest address of those who share devices with them.",
    (
        *(
            replace(column, required=True)
            for column in COLUMNS
            if column.name in ("email", "serialNumber", "shareWithResearchAsOfDate")
        ),
        Column(
            FIRST,
            ColumnType.STRING,
            "The smallest e-mail address of those who share devices, however indirectly",
            personal=True,
        ),
    ),
    subjects=(Person("email"), Person(FIRST)),
    key=("email", "serialNumber"),
    references={
        "email": ("accelerometer_trusted", "user"),
        "serialNumber": ("customer_curated", "serialNumber"),
    },
    rule=customer_training,
    recount=owners,
    derived={FIRST: ("customer_curated", "email")},
)
