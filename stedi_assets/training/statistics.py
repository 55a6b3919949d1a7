"""Figures of a version of the training set for its card, counted by the engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

GAPS = (0.05, 0.5, 0.95)


@dataclass(frozen=True)
class Values:
    """What values a column has."""

    least: float
    most: float
    mean: float
    deviation: float


@dataclass(frozen=True)
class Statistics:
    """What a version of the training set is like, without personal data.

    Attributes:
        stages: Table to its rows, on the way from landing to the training set.
        values: Column of numbers to what values it has.
        moments: How many different (device, millisecond) pairs there are.
        repeated: How many of these have several rows.
        gaps: The 5th, 50th and 95th percentile of the time from a device's moment to its next, in
            milliseconds.
        fewest_rows: The rows of the person who has the fewest.
        median_rows: The rows that half of the people have at least.
    """

    stages: Mapping[str, int]
    values: Mapping[str, Values]
    moments: int
    repeated: int
    gaps: tuple[int, int, int]
    fewest_rows: int
    median_rows: int


def count(
    rows: DataFrame, people: DataFrame, stages: Mapping[str, int], columns: Sequence[str]
) -> Statistics:
    """Counts the figures: three queries, of one row each.

    Args:
        rows: The version's rows.
        people: A column `rows`: for each person with rows, how many.
        stages: Table to its rows, on the way from landing to the training set.
        columns: The columns of numbers to describe.
    """
    from pyspark.sql import Window
    from pyspark.sql import functions as F

    measures = {"least": F.min, "most": F.max, "mean": F.mean, "deviation": F.stddev_pop}
    of_values = rows.agg(
        *(
            measure(column).cast("double").alias(f"{column} {name}")
            for column in columns
            for name, measure in measures.items()
        )
    )
    # Not count: the embedded engine fails to plan it where a table has one value of a key only.
    moments = rows.groupBy("serialNumber", "timestamp").agg(F.sum(F.lit(1)).alias("rows"))
    before = F.lag("timestamp").over(Window.partitionBy("serialNumber").orderBy("timestamp"))
    of_moments = moments.withColumn("gap", F.col("timestamp") - before).agg(
        F.count(F.lit(1)).alias("moments"),
        F.count_if(F.col("rows") > 1).alias("repeated"),
        *(F.percentile_approx("gap", share).alias(f"gap {share}") for share in GAPS),
    )
    of_people = people.agg(
        F.min("rows").alias("fewest"), F.percentile_approx("rows", 0.5).alias("median")
    )
    [value], [moment], [person] = (each.collect() for each in (of_values, of_moments, of_people))
    low, median, high = (int(moment[f"gap {share}"] or 0) for share in GAPS)
    return Statistics(
        stages=dict(stages),
        values={
            column: Values(**{name: value[f"{column} {name}"] or 0.0 for name in measures})
            for column in columns
        },
        moments=moment["moments"],
        repeated=moment["repeated"],
        gaps=(low, median, high),
        fewest_rows=int(person["fewest"] or 0),
        median_rows=int(person["median"] or 0),
    )
