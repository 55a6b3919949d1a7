"""Buckets of time: the least parts of a table that are made anew, or counted, apart from others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import functions as F

if TYPE_CHECKING:
    from pyspark.sql import Column as Expression

BUCKET = "bucket"
BUCKET_MILLISECONDS = 5 * 60_000


def number(column: str) -> str:
    """As Spark SQL, the number of the bucket that a time is in: it begins at as many lengths."""
    # Division rounds towards zero, and no time is so early that it must not be added to.
    before_1970 = f"(`{column}` + 1) div {BUCKET_MILLISECONDS} - 1"
    since = f"`{column}` div {BUCKET_MILLISECONDS}"
    return f"case when `{column}` < 0 then {before_1970} else {since} end"


def time_in() -> Expression:
    """A time in a `bucket`, of those times that there are: not its first, nor its last."""
    before_1970 = f"({BUCKET} + 1) * {BUCKET_MILLISECONDS} - 1"
    return F.expr(
        f"case when {BUCKET} < 0 then {before_1970} else {BUCKET} * {BUCKET_MILLISECONDS} end"
    )


def bucket(column: str) -> Expression:
    """The number of the bucket that a time is in."""
    return F.expr(number(column)).alias(BUCKET)
