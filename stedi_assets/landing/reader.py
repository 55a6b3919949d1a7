"""Reads JSON lines as a declared table: every complete object, and a reason for the rest.

The engine's own JSON reader is the fastest, but gives up on a whole file at one bad line and
coerces what does not fit. So it reads only files in which every line is tidy, as a regular
expression finds much faster than a parser. All others are parsed here: nothing is inferred and
nothing is dropped, each piece of text becomes one row, either a record or a fragment with the
reason why it is none.
"""

from __future__ import annotations

import functools
import re
from itertools import zip_longest
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from stedi_assets.landing import json_text
from stedi_assets.landing.json_text import NOT_UTF8, OBJECT
from stedi_assets.tables import Column, Table

if TYPE_CHECKING:
    from pyspark.sql import Column as Expression
    from pyspark.sql import DataFrame, SparkSession

LINE = "_line"
REASON = "_reason"
REWRITTEN = "_rewritten"
TIDY = "_tidy"

# Whitespace, the byte-order mark that one engine keeps, and the commas between array elements.
PADDING = " \t\r\n,\ufeff"
FRAMING = r"^[\s,\[\]]*$"
NUMBER = r"-?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?"
# Of whole doubles below this each stands for one integer, and numbers of as many digits differ.
EXACT_DOUBLE, EXACT_DIGITS = 2**53, 16
INT_RANGE = (-(2**31), 2**31 - 1)
MAX_LENGTH = 2**31 - 1
# Values as JSON writes them that fit their type whatever their digits; no escapes in a text.
TIDY_VALUES = {
    "string": rf'"[^"\\\x00-\x1f{NOT_UTF8}]*"',
    "bigint": r"(?:0|-?[1-9][0-9]{0,17})",
    "int": r"(?:0|-?[1-9][0-9]{0,8})",
    "double": r"-?(?:0|[1-9][0-9]{0,17})(?:\.[0-9]+)?(?:[eE][-+]?[0-9]{1,2})?",
}


def fragments(lines: DataFrame) -> DataFrame:
    """Cuts lines into the objects they hold and the text that belongs to none.

    Args:
        lines: A column `value` of text lines.

    Returns:
        A column `value`, one row an object or a piece of text between objects, nothing for blank
        lines, commas and brackets; and whatever other columns the lines have.
    """
    line = F.col("value")
    text = F.btrim(line, F.lit(PADDING))
    flat = _is_one_flat_object(line)
    objects, between = F.when(~flat, _objects(text)), F.when(~flat, _between(text))
    parts = F.when(F.size("between") > 0, json_text.deep_apart(text))
    besides = _besides(lines)
    return (
        lines.select(
            *besides, "value", _once(objects).alias("objects"), _once(between).alias("between")
        )
        .select(*besides, "value", "objects", "between", _once(parts).alias("parts"))
        .select(
            *besides,
            F.explode(
                F.when(flat, F.array(line))
                .when(
                    F.exists("parts", json_text.is_deep), F.flatten(F.transform("parts", _pieces))
                )
                .otherwise(F.concat("objects", "between"))
            ).alias("value"),
        )
    )


def _objects(text: Expression) -> Expression:
    return F.regexp_extract_all(text, F.lit(OBJECT), F.lit(0))


def _between(text: Expression) -> Expression:
    """What stands before, between and after the objects in a text, but for their framing."""
    between = F.split(F.regexp_replace(text, OBJECT, "\n"), "\n")
    return F.filter(between, lambda piece: ~piece.rlike(FRAMING))


def _pieces(part: Expression) -> Expression:
    cut = F.concat(_objects(part), _between(part))
    return F.when(json_text.is_deep(part), F.array(part)).otherwise(cut)


def _is_one_flat_object(line: Expression) -> Expression:
    opens_once = line.startswith("{") & (F.locate("{", line, 2) == 0)
    closes_at_end = F.instr(line, "}") == F.length(line)
    return opens_once & closes_at_end & ~line.contains(NOT_UTF8)


def parse(pieces: DataFrame, table: Table) -> DataFrame:
    """Reads each piece of text as a record of a table.

    Args:
        pieces: A column `value`, at most one JSON object a row.
        table: The declaration of the columns.

    Returns:
        The table's columns; as `_line` the text; as `_reason` null for a record, or else the
        fields at fault, without their values; and whatever other columns the pieces have.
    """
    besides = _besides(pieces)
    rewritten = _once(F.when(~F.col(TIDY), json_text.rewritten(F.col(LINE))))
    fields = {
        alias: _once(F.from_json(REWRITTEN, _fields_ddl(names), json_text.STRICT)).alias(alias)
        for alias, names in _names(table).items()
    }
    values = (
        pieces.select(*besides, F.col("value").alias(LINE), _once(is_tidy(table)).alias(TIDY))
        .select(*besides, LINE, TIDY, rewritten.alias(REWRITTEN))
        .select(*besides, LINE, TIDY, REWRITTEN, *fields.values())
        .select(
            *besides,
            *[_value(column).alias(column.name) for column in table.columns],
            *(LINE, TIDY, REWRITTEN),
            *fields,
        )
    )
    return values.select(*besides, *table.column_names, LINE, _reason(table).alias(REASON))


def read_tidy(spark: SparkSession, uris: list[str], table: Table) -> DataFrame:
    """Reads files in which every line is tidy, by `tidy_records`.

    Args:
        spark: The session.
        uris: The files, all compressed or none.
        table: The declaration of the columns.

    Returns:
        The table's columns.
    """
    # The embedded engine would look into the files for a schema besides the one it is given.
    reader = spark.read.option("schemaInferMaxRecords", 0).schema(_parsed_ddl(table))
    return reader.json(uris).select(
        *[_stored(column, F.col(column.name)).alias(column.name) for column in table.columns]
    )


def is_tidy(table: Table) -> Expression:
    """Whether a line `value` is one that the engine's JSON reader reads as `parse` would.

    It is a record with the declared fields in the declared order, each in its own type; optional
    ones may be null or absent.
    """
    return F.col("value").rlike(rf"^{_tidy_line(table.columns)}\z")


def is_tidy_text(text: str, table: Table) -> bool:
    """Whether a line is tidy, as `is_tidy` has it, outside of the engine."""
    return re.fullmatch(_tidy_line(table.columns), text) is not None


@functools.cache
def _tidy_line(columns: tuple[Column, ...]) -> str:
    space = r"[ \t]*"
    line = ""
    leads = False  # whether a required field stands before, so that a comma leads to the next
    for column in columns:
        value = TIDY_VALUES[column.type]
        fits = value if column.required else f"(?:{value}|null)"
        member = f'"{column.name}"{space}:{space}{fits}{space}'
        member = f",{space}{member}" if leads else member
        if column.required:
            line, leads = line + member, True
        else:
            line += f"(?:{member})?" if leads else f"(?:{member},{space})?"
    return rf"{space}\{{{space}{line}\}}{space}"


def _besides(frame: DataFrame) -> list[str]:
    return [name for name in frame.columns if name != "value"]


def count(lines: DataFrame, table: Table) -> tuple[int, int]:
    """How many objects and fragments there are, and how many of them are fragments."""
    counts = (F.count(F.lit(1)).alias("objects"), F.count(REASON).alias("malformed"))
    [found] = parse(fragments(lines), table).agg(*counts).collect()
    return found.objects, found.malformed


def _parsed_ddl(table: Table) -> str:
    # One engine wraps what overflows an int around in silence, so int is narrowed afterwards.
    types = {
        column.name: "bigint" if column.type == "int" else column.type for column in table.columns
    }
    return ", ".join(f"`{name}` {kind}" for name, kind in types.items())


def _once(expression: Expression) -> Expression:
    """Keeps optimisers from copying a costly expression into each filter and column it feeds.

    They leave an expression that depends on chance where it stands; this one always holds.
    """
    return F.when(F.rand() >= 0, expression)


def _names(table: Table) -> dict[str, list[str]]:
    """The fields' names in sets, by the column that holds those: names first, then the aliases.

    An alias may differ from a name in case only, and engines take two such fields for one.
    """
    ranks = zip_longest(*[(column.name, *column.aliases) for column in table.columns])
    return {_fields(rank): [*filter(None, names)] for rank, names in enumerate(ranks)}


def _fields(rank: int) -> str:
    return f"_fields_{rank}"


def _fields_ddl(names: list[str]) -> str:
    return ", ".join(f"`{json_text.TEXT}{name}` string" for name in names)


def _typed(column: Column) -> Expression:
    """What stands in the column's field: the first of its names that is there and not null."""
    names = (column.name, *column.aliases)
    return F.coalesce(
        *[F.col(_fields(rank))[json_text.TEXT + name] for rank, name in enumerate(names)]
    )


def _value(column: Column) -> Expression:
    """The column's value, read from its text; null where that would lose anything."""
    # Of a line as declared the embedded engine gives the digits, JVM Spark a number's shortest.
    plain = F.get_json_object(LINE, f"$.{column.name}")
    tidy = _stored(column, plain.cast("bigint" if column.type == "int" else column.type))
    return F.when(F.col(TIDY), tidy).otherwise(_value_with_care(column))


def _value_with_care(column: Column) -> Expression:
    typed = _typed(column)
    kind, text = F.substring(typed, 1, 1), F.substring(typed, 2, MAX_LENGTH)
    if column.type == "string":
        is_text = (kind == json_text.TEXT) & ~text.contains(NOT_UTF8)
        is_number = (kind == json_text.LITERAL) & ~text.isin("true", "false")
        return F.when(is_text | is_number, text)
    scalar = F.when(kind.isin(json_text.TEXT, json_text.LITERAL), text)
    return _stored(column, _finite(scalar) if column.type == "double" else _integer(scalar))


def _stored(column: Column, value: Expression) -> Expression:
    """A value as its column holds it."""
    if column.type == "int":
        return F.when(value.between(*INT_RANGE), value.cast("int"))
    # Some joins and hashes take -0.0 for another number than 0.0, which nothing else does.
    return value + 0.0 if column.type == "double" else value


def _integer(text: Expression) -> Expression:
    number = text.try_cast("double")
    digits = F.btrim(F.regexp_replace(text, r"[eE].*|[^0-9]", ""), F.lit("0"))
    exact = (F.abs(number) < EXACT_DOUBLE) & (F.length(digits) <= EXACT_DIGITS)
    whole = F.rint(number) == number
    return F.when(text.rlike(r"^-?[0-9]+\z"), text.try_cast("bigint")).when(
        text.rlike(rf"^{NUMBER}\z") & whole & exact, number.cast("bigint")
    )


def _finite(text: Expression) -> Expression:
    number = F.when(text.rlike(rf"^{NUMBER}\z"), text.try_cast("double"))
    return F.when(F.abs(number) < float("inf"), number)


def every_field_missing(table: Table) -> str:
    """The reason given for an object that has none of a table's required fields."""
    return "; ".join(f"{column.name} is missing" for column in table.columns if column.required)


def _reason(table: Table) -> Expression:
    faults = []
    for column in table.columns:
        wrong = F.lit(f"{column.name} is not of type {column.type}")
        missing = F.lit(f"{column.name} is missing") if column.required else F.lit(None)
        fault = F.when(_typed(column).isNotNull(), wrong).otherwise(missing)
        faults.append(F.when(~F.col(TIDY) & F.col(column.name).isNull(), fault))
    found = F.nullif(F.concat_ws("; ", *faults), F.lit(""))
    is_object = F.from_json(REWRITTEN, "map<string,string>", json_text.STRICT).isNotNull()
    return F.when(
        found.isNotNull(),
        F.when(F.col(LINE).contains(NOT_UTF8), "not UTF-8")
        .when(~is_object, "not a JSON object")
        .otherwise(found),
    )
