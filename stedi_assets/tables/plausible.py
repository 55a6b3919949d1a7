"""Which values cannot be: the bounds that a column's declaration gives, as expressions."""

from __future__ import annotations

from pyspark.sql import Column as Expression
from pyspark.sql import functions as F

from stedi_assets.tables import Column


def implausible(column: Column) -> Expression:
    """Whether a value is missing though required, not finite, or out of its column's bounds.

    An optional date that is absent, null or 0 is not implausible: it was never given.
    """
    value = F.col(column.name)
    if column.type == "bigint" and not column.required:
        value = F.nullif(value, F.lit(0))
    faults = value.isNull() if column.required else F.lit(False)
    if column.type == "double":
        faults = faults | F.isnan(value) | (F.abs(value) == float("inf"))
    if column.minimum is not None:
        faults = faults | (value < column.minimum)
    if column.maximum is not None:
        faults = faults | (value > column.maximum)
    return F.coalesce(faults, F.lit(False))
