"""Lines of landing files, and what the reader makes of them."""

from __future__ import annotations

import re
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from stedi_assets.landing import conforming, reader
from stedi_assets.tables import Table
from stedi_assets.tables.columns import BATCH

ANN = '{"user":"ann@x.io","timestamp":1655564376361,"x":1.0,"y":-2.5,"z":0.0}'
ANN_READ = ("ann@x.io", 1655564376361, 1.0, -2.5, 0.0)
BEN = '{"user":"ben@x.io","timestamp":1655564376362,"x":2.0,"y":0.5,"z":3.0}'
BEN_READ = ("ben@x.io", 1655564376362, 2.0, 0.5, 3.0)
DEVICE = '{"sensorReadingTime":1655564376361,"serialNumber":"s-1","distanceFromObject":7}'
CUSTOMER = '{"email":"ann@x.io","serialNumber":"s-1"}'

NOT_AN_OBJECT = "not a JSON object"
MISSING = {
    "accelerometer": "user is missing; timestamp is missing; x is missing; y is missing; "
    "z is missing",
    "step_trainer": "sensorReadingTime is missing; serialNumber is missing; "
    "distanceFromObject is missing",
    "customer": "email is missing",
}
FAULT = r"\w+ is (missing|not of type (string|bigint|int|double))"
REASONS = re.compile(rf"not UTF-8|not a JSON object|{FAULT}(; {FAULT})*")


def lines_of(spark: SparkSession, lines: list[str]) -> DataFrame:
    """A frame of lines, as a text file is read."""
    return spark.createDataFrame([(line,) for line in lines], "value string")


def profile(spark: SparkSession, table: Table, lines: list[str]) -> tuple[int, int, bool]:
    """Objects, malformed ones, and whether every line conforms."""
    other = lines_of(spark, lines).where(~conforming.is_conforming(table)).count()
    return (*count(spark, table, lines), other == 0)


def count(spark: SparkSession, table: Table, lines: list[str]) -> tuple[int, int]:
    """Objects, and malformed ones of those."""
    frame = lines_of(spark, lines).withColumn(BATCH, F.lit(1).cast("bigint"))
    return next(((objects, bad) for _, objects, bad in reader.count(frame, table)), (0, 0))


def rows_of(spark: SparkSession, table: Table, lines: list[str]) -> list[Any]:
    """What each text in some lines is parsed as."""
    return reader.parse(reader.split(lines_of(spark, lines)), table).collect()


def read(
    spark: SparkSession, table: Table, *lines: str
) -> tuple[list[tuple[Any, ...]], list[tuple[str, str]]]:
    """The records of some lines, and the malformed ones with their reasons, both in order."""
    rows = rows_of(spark, table, list(lines))
    width = len(table.columns)
    records = [tuple(row)[:width] for row in rows if row[reader.REASON] is None]
    malformed = [(row[reader.LINE], row[reader.REASON]) for row in rows if row[reader.REASON]]
    return sorted(records, key=repr), sorted(malformed)
