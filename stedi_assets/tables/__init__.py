"""Every table of the lakehouse, declared once.

Spark schemas, Dagster metadata, checks and documentation derive from these declarations. Field
names are those of the JSON that lands. Timestamps are epoch milliseconds, UTC.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum


class Zone(StrEnum):
    """How far a table has come, from raw files to what models train on."""

    LANDING = "landing"
    QUARANTINE = "quarantine"
    TRUSTED = "trusted"
    CURATED = "curated"


@dataclass(frozen=True)
class Column:
    """A column and what its values may be.

    Attributes:
        name: The field's name in the JSON that lands.
        type: Its Spark SQL type.
        description: What it means, with its unit.
        required: Whether a record without it is malformed.
        personal: Whether it identifies a person. Such a column never leaves the lakehouse in
            logs, metadata or check results.
        minimum: The least plausible value, or None for no bound.
        maximum: The greatest plausible value, or None for no bound.
        aliases: Other names that devices have used for the field.
    """

    name: str
    type: str
    description: str
    required: bool = True
    personal: bool = False
    minimum: int | None = None
    maximum: int | None = None
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True)
class Table:
    """A table and where it is kept.

    Attributes:
        name: The asset's and the catalog's name for it.
        source: The source of its rows, the first folder of its location.
        zone: The zone, the second folder of its location.
        description: What one row is.
        columns: Its columns, in order.
        key: The columns that no two rows share, or empty where rows have no key.
        time_column: The column that says when, by which a change can be limited in time.
        superseded_count: Whether records of files that their source has replaced still count.
        references: Column name to (table, column) that must hold its value.
    """

    name: str
    source: str
    zone: Zone
    description: str
    columns: tuple[Column, ...]
    key: tuple[str, ...] = ()
    time_column: str | None = None
    superseded_count: bool = False
    references: Mapping[str, tuple[str, str]] = field(default_factory=dict)

    @property
    def location(self) -> str:
        """The table's folder, relative to the lakehouse."""
        return f"{self.source}/{self.zone}"

    @property
    def personal(self) -> bool:
        """Whether any column identifies a person."""
        return any(column.personal for column in self.columns)

    @property
    def column_names(self) -> list[str]:
        """The names of the columns, in order."""
        return [column.name for column in self.columns]

    @property
    def ddl(self) -> str:
        """The columns as a Spark DDL schema."""
        return ", ".join(f"`{column.name}` {column.type}" for column in self.columns)


# Readings outside these years are a wrong unit (seconds, microseconds) or a clock never set.
YEAR_2000 = 946_684_800_000
YEAR_2100 = 4_102_444_800_000


def _time(
    name: str, description: str, *, required: bool = True, aliases: tuple[str, ...] = ()
) -> Column:
    return Column(
        name,
        "bigint",
        f"{description} (epoch milliseconds, UTC)",
        required=required,
        minimum=YEAR_2000,
        maximum=YEAR_2100,
        aliases=aliases,
    )


SERIAL_NUMBER = Column("serialNumber", "string", "Serial number of a Step Trainer")
# What withdraws consent must not be refused for want of anything but the person.
ANY_DEVICE = replace(SERIAL_NUMBER, required=False)

CUSTOMER_COLUMNS = (
    Column("customerName", "string", "Full name", required=False, personal=True),
    Column("email", "string", "E-mail address, which names the person", personal=True),
    Column("phone", "string", "Phone number", required=False, personal=True),
    Column("birthDay", "string", "Date of birth, as typed in", required=False, personal=True),
    ANY_DEVICE,
    _time("registrationDate", "When the customer registered", required=False),
    _time("lastUpdateDate", "When this record last changed", required=False),
    _time("shareWithResearchAsOfDate", "Since when research may use the data", required=False),
    _time("shareWithPublicAsOfDate", "Since when the public may see the data", required=False),
    _time("shareWithFriendsAsOfDate", "Since when friends may see the data", required=False),
)

READING_COLUMNS = (
    _time("timestamp", "When the phone took the reading", aliases=("timeStamp",)),
    Column("x", "double", "Acceleration along the phone's x axis, as the phone reports it"),
    Column("y", "double", "Acceleration along the phone's y axis, as the phone reports it"),
    Column("z", "double", "Acceleration along the phone's z axis, as the phone reports it"),
)

ACCELEROMETER_COLUMNS = (
    Column("user", "string", "E-mail address of the phone's owner", personal=True),
    *READING_COLUMNS,
)

STEP_TRAINER_COLUMNS = (
    _time("sensorReadingTime", "When the device took the reading"),
    SERIAL_NUMBER,
    Column(
        "distanceFromObject", "int", "Distance to the object, as the device reports it", minimum=1
    ),
)

QUARANTINE_COLUMNS = (
    Column(
        "line",
        "string",
        "What could not be read, as it landed; blank once erased",
        personal=True,
    ),
    Column("reason", "string", "Why: the field and the fault, without its value"),
    Column("file", "string", "Id of the landed file that it is in, by the ledger of landing"),
    Column("lineNumber", "bigint", "Number of its line in that file, from 1", minimum=1),
    Column("byteOffset", "bigint", "Where that line begins, in bytes of uncompressed content"),
    Column("quarantinedAt", "timestamp", "When it was quarantined (UTC)"),
)

# A column that a landing table has besides its own where some of its records are of files that
# their source has replaced: whether a record is one of those; and which replaced file of the source
# a record is of, current or superseded, by a number.
SUPERSEDED = "_superseded"
REPLACED = "_replaced"

CUSTOMER_LANDING = Table(
    "customer_landing",
    "customer",
    Zone.LANDING,
    "A customer record as it landed, with or without consent to research.",
    CUSTOMER_COLUMNS,
    # What a person said once is said: to replace a file must not bring a consent back.
    superseded_count=True,
)

ACCELEROMETER_LANDING = Table(
    "accelerometer_landing",
    "accelerometer",
    Zone.LANDING,
    "A phone's accelerometer reading as it landed.",
    ACCELEROMETER_COLUMNS,
    time_column="timestamp",
)

STEP_TRAINER_LANDING = Table(
    "step_trainer_landing",
    "step_trainer",
    Zone.LANDING,
    "A Step Trainer's distance reading as it landed.",
    STEP_TRAINER_COLUMNS,
    time_column="sensorReadingTime",
)

CUSTOMER_TRUSTED = Table(
    "customer_trusted",
    "customer",
    Zone.TRUSTED,
    "A customer who agrees to share data for research, with one of their devices.",
    CUSTOMER_COLUMNS,
    key=("email", "serialNumber"),
)

ACCELEROMETER_TRUSTED = Table(
    "accelerometer_trusted",
    "accelerometer",
    Zone.TRUSTED,
    "An accelerometer reading of a customer who agreed to research.",
    ACCELEROMETER_COLUMNS,
    key=("user", "timestamp", "x", "y", "z"),
    references={"user": ("customer_trusted", "email")},
)

CUSTOMER_CURATED = Table(
    "customer_curated",
    "customer",
    Zone.CURATED,
    "A customer who agrees to research and has accelerometer readings, with one of their devices.",
    CUSTOMER_COLUMNS,
    key=("email", "serialNumber"),
    references={"email": ("accelerometer_trusted", "user")},
)

STEP_TRAINER_TRUSTED = Table(
    "step_trainer_trusted",
    "step_trainer",
    Zone.TRUSTED,
    "A Step Trainer reading of a curated customer's device.",
    STEP_TRAINER_COLUMNS,
    key=("serialNumber", "sensorReadingTime"),
    references={"serialNumber": ("customer_curated", "serialNumber")},
)

MACHINE_LEARNING_CURATED = Table(
    "machine_learning_curated",
    "machine_learning",
    Zone.CURATED,
    "A device's and a phone's readings of the same millisecond, for training; names no one.",
    (*STEP_TRAINER_COLUMNS, *READING_COLUMNS),
    references={
        "serialNumber": ("step_trainer_trusted", "serialNumber"),
        "timestamp": ("accelerometer_trusted", "timestamp"),
    },
)

LANDING_TABLES = (CUSTOMER_LANDING, ACCELEROMETER_LANDING, STEP_TRAINER_LANDING)

DELTA_TABLES = (
    CUSTOMER_TRUSTED,
    ACCELEROMETER_TRUSTED,
    CUSTOMER_CURATED,
    STEP_TRAINER_TRUSTED,
    MACHINE_LEARNING_CURATED,
)


def quarantine_of(landing: Table) -> Table:
    """The table that holds what of a landing table could not be read."""
    return Table(
        f"{landing.source}_quarantine",
        landing.source,
        Zone.QUARANTINE,
        f"A piece of {landing.location} that could not be read.",
        QUARANTINE_COLUMNS,
    )


def files_of(landing: Table) -> str:
    """The name of the files that land as a table, which a source makes."""
    return f"{landing.source}_files"


QUARANTINE_TABLES = tuple(quarantine_of(table) for table in LANDING_TABLES)

TABLES: Mapping[str, Table] = {
    table.name: table for table in (*LANDING_TABLES, *QUARANTINE_TABLES, *DELTA_TABLES)
}
