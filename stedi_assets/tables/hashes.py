"""A hash of a row's values, equal where the values are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

if TYPE_CHECKING:
    from pyspark.sql import Column as Expression
    from pyspark.sql import DataFrame

HASH = "_hash"


def row_hash(frame: DataFrame, columns: Sequence[str]) -> Expression:
    """A hash of 64 bits of some values of a row. NaN equals NaN, -0.0 equals 0.0, null equals null.

    Two rows with other values have the same one once in 18 quintillion.

    Args:
        frame: The rows.
        columns: The names of the columns.
    """
    types = dict(frame.dtypes)
    values = []
    for name in columns:
        value = F.col(name)
        if types[name] in ("double", "float"):
            value = F.when(F.isnan(value), F.lit(math.nan)).otherwise(value + F.lit(0.0))
        # By itself the function skips nulls, wherever they are.
        values += [value, F.col(name).isNull()]
    return F.xxhash64(*values)
