"""Measures the landing readers beside one that trusts every line, taking turns.

Usage: python -m benchmarks.readers [SOURCE_DATA]
"""

from __future__ import annotations

import statistics
import sys
import time
from pathlib import Path

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from benchmarks.contenders import PROJECT
from stedi_assets.engine.spark import SparkResource
from stedi_assets.landing import conforming, reader
from stedi_assets.tables.accelerometer import ACCELEROMETER_LANDING

ROUNDS = 3
COPIES = 30


def main(source: str = str(PROJECT / "data")) -> None:
    """Prints each reader's median and its ratio to the trusting one's."""
    table = ACCELEROMETER_LANDING
    spark = SparkResource()
    files = [path.absolute().as_uri() for path in Path(source, table.location).glob("*.json")]
    files *= COPIES
    lines = spark.spark_session.read.text(files)

    def trusting() -> None:
        consume(lines.select(F.from_json("value", table.ddl).alias("of")).select("of.*"))

    def profile() -> None:
        lines.agg(F.count_if(conforming.is_conforming(table))).collect()

    def read_once_profiled() -> None:
        consume(conforming.read_conforming(spark.spark_session, files, table))

    def parsed_with_care() -> None:
        reader.count(lines, table)

    def consume(frame: DataFrame) -> None:
        frame.agg(F.count("user"), *[F.sum(name) for name in table.column_names[1:]]).collect()

    readers = (trusting, profile, read_once_profiled, parsed_with_care)
    seconds: dict[str, list[float]] = {read.__name__: [] for read in readers}
    for _ in range(ROUNDS + 1):
        for read in readers:
            began = time.perf_counter()
            read()
            seconds[read.__name__].append(time.perf_counter() - began)
    spark.stop()
    base = statistics.median(seconds["trusting"][1:])  # the first round does not count
    for name, taken in seconds.items():
        median = statistics.median(taken[1:])
        print(f"{name:20} {median:6.2f} s, ratio {median / base:.2f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
