"""Readings of machine_learning_curated over time and distance, by how strongly the phone moved.

The data has no labels, and none are derived: a class says how large one reading's acceleration is,
√(x² + y² + z²), not what the person did. If the phone reports in g with gravity included, that
is 1 while it rests or moves evenly. The tables do not say which unit it is.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from stedi_assets.pictures import chart
from stedi_assets.pictures.chart import Picture
from stedi_assets.pictures.figures import Figures

if TYPE_CHECKING:
    from pyspark.sql import Column as Expression
    from pyspark.sql import DataFrame

# Steady is 1 plus or minus a tenth, so that a sensor's noise does not change the class.
BELOW, ABOVE = 0.9, 1.1
CLASSES = (f"slight (< {BELOW})", f"steady ({BELOW} to {ABOVE})", f"strong (> {ABOVE})")
BINS = 12
# Bins begin and end at multiples of these, so that their bounds are no single reading's values.
TIME_STEP, DISTANCE_STEP = 10_000, 10
TIME, DISTANCE = "from (UTC)", "distance from"
CAPTION = (
    "A class is the size of one reading's acceleration, √(x² + y² + z²), in the phone's own unit. "
    "The data has no labels: a class does not say what the person did. In g, with gravity "
    "included, a phone at rest reads 1. Of more than a million readings a sample is counted."
)


def figures(readings: DataFrame, one_in: int = 1) -> tuple[Figures, Figures]:
    """Counts the readings of each class in bins of time, and of distance.

    Args:
        readings: The rows of machine_learning_curated.
        one_in: Of how many milliseconds one is looked at, and counted as many times.

    Returns:
        For each bin of time, and of distance, its start and the readings by class; empty if there
        are no readings.
    """
    from pyspark.sql import functions as F

    [(t0, time, d0, distance)] = readings.agg(
        *_ends("timestamp", TIME_STEP, "t0", "time"),
        *_ends("distanceFromObject", DISTANCE_STEP, "d0", "distance"),
    ).collect()
    if t0 is None:
        return [], []
    size = F.sqrt(F.col("x") ** 2 + F.col("y") ** 2 + F.col("z") ** 2)
    if one_in > 1:
        readings = readings.where(F.pmod(F.xxhash64("timestamp"), F.lit(one_in)) == 0)
    counted = (
        readings.groupBy(
            F.when(size < BELOW, 0).when(size <= ABOVE, 1).otherwise(2).alias("movement"),
            F.floor((F.col("timestamp") - t0) * BINS / time).alias("time_bin"),
            F.floor((F.col("distanceFromObject") - d0) * BINS / distance).alias("distance_bin"),
        )
        .agg((F.count(F.lit(1)) * one_in).alias("readings"))
        .collect()
    )
    over_time = _by_class(counted, "time_bin")
    by_distance = _by_class(counted, "distance_bin")
    return (
        [{TIME: _utc(t0 + i * time // BINS), **over_time[i]} for i in range(BINS)],
        [{DISTANCE: d0 + i * distance // BINS, **by_distance[i]} for i in range(BINS)],
    )


def _ends(name: str, step: int, start: str, length: str) -> tuple[Expression, Expression]:
    """Where the bins of a column begin, and their total length, both multiples of the step."""
    from pyspark.sql import functions as F

    begin = F.floor(F.min(name) / step) * step
    whole = F.ceil((F.max(name) - begin + 1) / (step * BINS)) * (step * BINS)
    return begin.alias(start), whole.alias(length)


def pictures_over_time(figures: Figures) -> list[Picture]:
    """Stacked columns of the readings in each bin of time, by class."""
    axes = chart.Axes("from (UTC)", "readings")
    title = "Readings over time, by size of acceleration"
    return [chart.columns(title, axes, *_columns(TIME, figures))]


def pictures_by_distance(figures: Figures) -> list[Picture]:
    """A line for each class: the share of its readings in each bin of distance."""
    labels, series = _columns(DISTANCE, figures)
    shares = {
        name: [round(100 * value / (sum(values) or 1), 1) for value in values]
        for name, values in series.items()
    }
    axes = chart.Axes("distance from object, as the device reports it", "% of the class")
    return [chart.lines("Distance from object, by size of acceleration", axes, labels, shares)]


def _by_class(counted: list[Any], span: str) -> dict[int, dict[str, int]]:
    found: defaultdict[int, dict[str, int]] = defaultdict(lambda: dict.fromkeys(CLASSES, 0))
    for row in counted:
        found[row[span]][CLASSES[row.movement]] += row.readings
    return found


def _columns(span: str, figures: Figures) -> tuple[list[str], dict[str, list[int]]]:
    return (
        [str(each[span]) for each in figures],
        {name: [each[name] for each in figures] for name in CLASSES},
    )


def _utc(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
