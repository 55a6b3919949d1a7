"""Buckets of time: the least parts of a table that are made anew, or counted, apart from others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import functions as F

if TYPE_CHECKING:
    from pyspark.sql import Column as Expression

BUCKET = "bucket"
BUCKET_MILLISECONDS = 5 * 60_000


def bucket(column: str) -> Expression:
    """The number of the bucket that a time is in, which begins at as many times their length."""
    # Division rounds towards zero, and no time is so early that it must not be added to.
    before_1970 = f"(`{column}` + 1) div {BUCKET_MILLISECONDS} - 1"
    since = f"`{column}` div {BUCKET_MILLISECONDS}"
    return F.expr(f"case when `{column}` < 0 then {before_1970} else {since} end").alias(BUCKET)
