"""Conforming lines: records exactly as declared, which the engine's own JSON reader may read.

That reader is the fastest, but gives up on a whole file at one bad line and coerces what does not
fit. So it reads only files in which every line conforms, as a regular expression finds much faster
than a parser.
"""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from stedi_assets.landing.json_text import NOT_UTF8
from stedi_assets.tables import Column, Table

if TYPE_CHECKING:
    from pyspark.sql import Column as Expression
    from pyspark.sql import DataFrame, SparkSession

INT_RANGE = (-(2**31), 2**31 - 1)
# Values as JSON writes them that fit their type whatever their digits; no escapes in a text.
VALUES = {
    "string": rf'"[^"\\\x00-\x1f{NOT_UTF8}]*"',
    "bigint": r"(?:0|-?[1-9][0-9]{0,17})",
    "int": r"(?:0|-?[1-9][0-9]{0,8})",
    "double": r"-?(?:0|[1-9][0-9]{0,17})(?:\.[0-9]+)?(?:[eE][-+]?[0-9]{1,2})?",
}


def is_conforming(table: Table) -> Expression:
    """Whether a line `value` is one that the engine's JSON reader reads as `reader.parse` would.

    It is a record with the declared fields in the declared order, each in its own type; optional
    ones may be null or absent.
    """
    return F.col("value").rlike(rf"^{_pattern(table.columns)}\z")


def is_conforming_text(text: str, table: Table) -> bool:
    """Whether a line conforms, as `is_conforming` has it, outside of the engine."""
    return re.fullmatch(_pattern(table.columns), text) is not None


def read_conforming(spark: SparkSession, uris: list[str], table: Table) -> DataFrame:
    """A table's columns from files in which every line conforms, all compressed or none."""
    schema = ", ".join(f"`{column.name}` {parsed_type(column)}" for column in table.columns)
    # The embedded engine would look into the files for a schema besides the one it is given.
    reader = spark.read.option("schemaInferMaxRecords", 0).schema(schema)
    return reader.json(uris).select(
        *[stored(column, F.col(column.name)).alias(column.name) for column in table.columns]
    )


def parsed_type(column: Column) -> str:
    """As which type a column is parsed: one engine silently wraps what overflows an int."""
    return "bigint" if column.type == "int" else column.type


def stored(column: Column, value: Expression) -> Expression:
    """A parsed value as its column holds it."""
    if column.type == "int":
        return F.when(value.between(*INT_RANGE), value.cast("int"))
    # Some joins and hashes take -0.0 for another number than 0.0, which nothing else does.
    return value + 0.0 if column.type == "double" else value


@functools.cache
def _pattern(columns: tuple[Column, ...]) -> str:
    space = r"[ \t]*"
    line = ""
    leads = False  # whether a required field stands before, so that a comma leads to the next
    for column in columns:
        value = VALUES[column.type]
        fits = value if column.required else f"(?:{value}|null)"
        member = f'"{column.name}"{space}:{space}{fits}{space}'
        member = f",{space}{member}" if leads else member
        if column.required:
            line, leads = line + member, True
        else:
            line += f"(?:{member})?" if leads else f"(?:{member},{space})?"
    return rf"{space}\{{{space}{line}\}}{space}"
