"""Columns and their types."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

# Readings outside these years are a wrong unit (seconds, microseconds) or a clock never set.
YEAR_2000 = 946_684_800_000
YEAR_2100 = 4_102_444_800_000
# Columns that a landing table has besides its own where some of its records are of files that
# their source has replaced: whether a record is one of those; and which replaced file of the source
# a record is of, current or superseded, by a number.
SUPERSEDED, REPLACED = "_superseded", "_replaced"
# The number of the batch of files that a record was read with.
BATCH = "_batch"
# The tag of columns and tables with data about a person.
PERSONAL_DATA = "personal_data"


class ColumnType(StrEnum):
    """A column's type, by its name in Spark SQL, Glue, Athena and DuckDB alike."""

    STRING = "string"
    BIGINT = "bigint"
    INT = "int"
    DOUBLE = "double"
    TIMESTAMP = "timestamp"

    @property
    def arrow(self) -> pa.DataType:
        """The type in Arrow, and so in Delta."""
        import pyarrow as pa

        return {
            ColumnType.STRING: pa.string(),
            ColumnType.BIGINT: pa.int64(),
            ColumnType.INT: pa.int32(),
            ColumnType.DOUBLE: pa.float64(),
            ColumnType.TIMESTAMP: pa.timestamp("us", "UTC"),
        }[self]

    @property
    def logical(self) -> str:
        """The type in data contracts (ODCS)."""
        return {
            ColumnType.STRING: "string",
            ColumnType.BIGINT: "integer",
            ColumnType.INT: "integer",
            ColumnType.DOUBLE: "number",
            ColumnType.TIMESTAMP: "timestamp",
        }[self]


@dataclass(frozen=True)
class Column:
    """A column and what its values may be.

    Attributes:
        name: The field's name in the JSON that lands.
        type: Its type.
        description: What it means, with its unit.
        required: Whether a record without it is malformed.
        personal: Whether it is data about a person. Such a column never leaves the lakehouse in
            logs, metadata or check results.
        minimum: The least plausible value, or None for no bound.
        maximum: The greatest plausible value, or None for no bound.
        aliases: Other names that devices have used for the field.
    """

    name: str
    type: ColumnType
    description: str
    required: bool = True
    personal: bool = False
    minimum: int | None = None
    maximum: int | None = None
    aliases: tuple[str, ...] = ()

    @property
    def is_time(self) -> bool:
        """Whether its numbers are times (epoch milliseconds, UTC)."""
        return (self.minimum, self.maximum) == (YEAR_2000, YEAR_2100)


def time(
    name: str, description: str, *, required: bool = True, aliases: tuple[str, ...] = ()
) -> Column:
    """A column of times (epoch milliseconds, UTC)."""
    return Column(
        name,
        ColumnType.BIGINT,
        f"{description} (epoch milliseconds, UTC)",
        required=required,
        minimum=YEAR_2000,
        maximum=YEAR_2100,
        aliases=aliases,
    )


QUARANTINE_COLUMNS = (
    Column(
        "line",
        ColumnType.STRING,
        "What could not be read, as it landed; empty once erased",
        personal=True,
    ),
    Column("reason", ColumnType.STRING, "Why: the field and the fault, without its value"),
    Column(
        "file", ColumnType.STRING, "Id of the landed file that it is in, by the ledger of landing"
    ),
    Column("lineNumber", ColumnType.BIGINT, "Number of its line in that file, from 1", minimum=1),
    Column(
        "byteOffset",
        ColumnType.BIGINT,
        "Where that line begins, in bytes of uncompressed content",
    ),
    Column("quarantinedAt", ColumnType.TIMESTAMP, "When it was quarantined (UTC)"),
)
BATCH_COLUMN = Column(
    BATCH, ColumnType.BIGINT, "Number of the batch of files that the record was read with"
)
