"""Compares the rows of two frames, by digests of buckets of time."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from stedi_assets.tables import Table
from stedi_assets.tables.hashes import HASH, row_hash

if TYPE_CHECKING:
    from pyspark.sql import Column as Expression
    from pyspark.sql import DataFrame

MOST_BUCKETS, MOST_RANGES = 4096, 5
NO_TIME = -1  # the bucket of rows that have none
# The years that can be shown (epoch milliseconds, UTC).
SHOWN = -62_135_596_800_000, 253_402_300_799_999
BUCKET, SIGN, FIRST, LAST = "_bucket", "_sign", "_first", "_last"

# From when, included, until when, not included (epoch milliseconds, UTC).
Range = tuple[int, int]
# Ranges are of whole minutes: the time of a reading stays out of Dagster's history.
MINUTE = 60_000


@dataclass(frozen=True)
class Comparison:
    """How the rows that are stored compare with those that are expected.

    Attributes:
        rows: The rows that are expected.
        buckets: The buckets of time that were compared.
        missing: The expected rows that are not stored, duplicates counted.
        extra: The stored rows that are not expected.
        ranges: The minutes that hold those, as at most `MOST_RANGES` ranges; empty where the table
            has no time column.
    """

    rows: int
    buckets: int
    missing: int = 0
    extra: int = 0
    ranges: tuple[Range, ...] = ()

    @property
    def equal(self) -> bool:
        """Whether the same rows are stored as often as expected."""
        return not self.missing and not self.extra


def compare(table: Table, expected: DataFrame, stored: DataFrame) -> Comparison:
    """Compares the rows of a table, in whichever order, duplicates counted.

    One query reads both sides into at most 4,098 digests; only where some differ a second one looks
    for the rows. NaN equals NaN, and -0.0 equals 0.0.

    Args:
        table: The declaration.
        expected: The rows that it should have, cached.
        stored: Those that it has, with its columns.
    """
    from pyspark.sql import functions as F

    time = table.time_column
    span = [F.min(time), F.max(time)] if time else [F.lit(None), F.lit(None)]
    [(rows, first, last)] = expected.agg(F.count(F.lit(1)), *span).collect()
    width = 1 if first is None else math.ceil((last - first + 1) / MOST_BUCKETS)
    buckets = 1 if first is None else math.ceil((last - first + 1) / width)

    columns = [
        _bucket(time, first, last, width).alias(BUCKET),
        row_hash(expected, table.column_names).alias(HASH),
        (F.col(time) if time else F.lit(None).cast("bigint")).alias(FIRST),
    ]
    both = expected.select(*columns, F.lit(1).alias(SIGN)).unionAll(
        stored.select(*columns, F.lit(-1).alias(SIGN))
    )
    # The halves of a hash are summed apart, since the sum of whole ones would overflow.
    halves = {
        "_low": F.col(HASH).bitwiseAND(F.lit(2**32 - 1)),
        "_high": F.shiftrightunsigned(HASH, 32),
    }
    sums = [F.sum(SIGN).alias("_count")]
    sums += [F.sum(half * F.col(SIGN)).alias(name) for name, half in halves.items()]
    digests = both.groupBy(BUCKET).agg(*sums)
    differing = digests.where("_count <> 0 or _low <> 0 or _high <> 0").select(BUCKET).collect()
    if not differing:
        return Comparison(rows, buckets)

    suspects = both.where(F.col(BUCKET).isin([row[BUCKET] for row in differing]))
    net = F.sum(SIGN).alias(SIGN)
    each = suspects.groupBy(BUCKET, HASH).agg(net, F.min(FIRST).alias(FIRST))
    found = (
        each.where(f"{SIGN} <> 0")
        .groupBy(BUCKET)
        .agg(
            F.sum(F.when(F.col(SIGN) > 0, F.col(SIGN)).otherwise(0)).alias("_missing"),
            F.sum(F.when(F.col(SIGN) < 0, -F.col(SIGN)).otherwise(0)).alias("_extra"),
            F.min(FIRST).alias(FIRST),
            F.max(FIRST).alias(LAST),
        )
        .collect()
    )
    times = [(row[FIRST], row[LAST]) for row in found if row[FIRST] is not None]
    minutes = [(a // MINUTE * MINUTE, (b // MINUTE + 1) * MINUTE) for a, b in times]
    return Comparison(
        rows,
        buckets,
        sum(row["_missing"] for row in found),
        sum(row["_extra"] for row in found),
        joined(minutes, width),
    )


def joined(ranges: Sequence[Range], gap: int) -> tuple[Range, ...]:
    """Ranges in order, those joined that are up to a gap apart, and then those nearest together."""
    found = sorted(ranges)
    gaps = sorted((b[0] - a[1] for a, b in itertools.pairwise(found)), reverse=True)
    if len(found) > MOST_RANGES:
        gap = max(gap, gaps[MOST_RANGES - 1])
    merged: list[Range] = []
    for first, last in found:
        if merged and first - merged[-1][1] <= gap:
            merged[-1] = merged[-1][0], max(merged[-1][1], last)
        else:
            merged.append((first, last))
    return tuple(merged)


def shown(ranges: Sequence[Range]) -> str:
    """Ranges as text, in UTC."""
    return ", ".join(f"{_utc(first)} to {_utc(until)} UTC" for first, until in ranges)


def _utc(milliseconds: int) -> str:
    seconds = min(max(milliseconds, SHOWN[0]), SHOWN[1]) // 1000
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M}"


def _bucket(time: str | None, first: int | None, last: int, width: int) -> Expression:
    from pyspark.sql import functions as F

    if time is None or first is None:
        return F.lit(0).cast("bigint")
    # As doubles: a reading may claim any time, and the difference of two would overflow.
    within = F.greatest(F.least(F.col(time), F.lit(last)), F.lit(first)).cast("double")
    bucket = F.floor((within - F.lit(float(first))) / F.lit(width)).cast("bigint")
    return F.when(F.col(time).isNull(), F.lit(NO_TIME)).otherwise(bucket)
