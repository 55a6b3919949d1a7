"""How many rows a table has of each of its texts, by bucket of time: what people and devices have.

A table with times has many rows of each person and device, and few buckets of each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from stedi_assets.tables.buckets import BUCKET, bucket
from stedi_assets.tables.columns import ColumnType
from stedi_assets.tables.schema import Table

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

ROWS = "rows"


def texts_of(table: Table) -> list[str]:
    """The columns of a table that hold text."""
    return [each.name for each in table.columns if each.type is ColumnType.STRING]


def value_counts(table: Table, frame: DataFrame) -> DataFrame:
    """Counts the rows of a table with times.

    Args:
        table: The table.
        frame: Its rows.

    Returns:
        For each `bucket` and each combination of the table's texts in it, how many `rows`.
    """
    assert table.time_column is not None
    by = bucket(table.time_column)
    return frame.groupBy(by, *texts_of(table)).agg(F.sum(F.lit(1)).alias(ROWS))


def ddl_of(table: Table) -> str:
    """The columns of a table's value counts as a Spark DDL schema."""
    texts = "".join(f", `{name}` string" for name in texts_of(table))
    return f"`{BUCKET}` bigint{texts}, `{ROWS}` bigint"
