"""Parses JSON lines as a declared table: every complete object, and a reason for the rest.

Nothing is inferred and nothing is dropped: each object, and each text between objects, becomes one
row, either a record or a malformed record with its reason. Files that conform throughout are read
faster by `conforming`.
"""

from __future__ import annotations

from itertools import zip_longest
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from stedi_assets.landing import json_text
from stedi_assets.landing.conforming import is_conforming, parsed_type, stored
from stedi_assets.landing.json_text import NOT_UTF8, OBJECT
from stedi_assets.tables import Column, Table
from stedi_assets.tables.columns import BATCH

if TYPE_CHECKING:
    from pyspark.sql import Column as Expression
    from pyspark.sql import DataFrame

LINE = "_line"
REASON = "_reason"
REWRITTEN = "_rewritten"
CONFORMS = "_conforms"

# Whitespace, the byte-order mark that one engine keeps, and the commas between array elements.
PADDING = " \t\r\n,\ufeff"
FRAMING = r"^[\s,\[\]]*$"
NUMBER = r"-?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?"
# Of whole doubles below this each stands for one integer, and numbers of as many digits differ.
EXACT_DOUBLE, EXACT_DIGITS = 2**53, 16
MAX_LENGTH = 2**31 - 1


def split(lines: DataFrame) -> DataFrame:
    """Splits text lines (column `value`) into the objects they hold and the text between those.

    Returns:
        A column `value`, one row for each object and each text between objects, none for empty
        lines, commas and brackets; and the lines' other columns.
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
                .when(F.exists("parts", json_text.is_deep), F.flatten(F.transform("parts", _cut)))
                .otherwise(F.concat("objects", "between"))
            ).alias("value"),
        )
    )


def _objects(text: Expression) -> Expression:
    return F.regexp_extract_all(text, F.lit(OBJECT), F.lit(0))


def _between(text: Expression) -> Expression:
    """What stands before, between and after the objects in a text, but for their framing."""
    between = F.split(F.regexp_replace(text, OBJECT, "\n"), "\n")
    return F.filter(between, lambda text: ~text.rlike(FRAMING))


def _cut(part: Expression) -> Expression:
    cut = F.concat(_objects(part), _between(part))
    return F.when(json_text.is_deep(part), F.array(part)).otherwise(cut)


def _is_one_flat_object(line: Expression) -> Expression:
    opens_once = line.startswith("{") & (F.locate("{", line, 2) == 0)
    closes_at_end = F.instr(line, "}") == F.length(line)
    return opens_once & closes_at_end & ~line.contains(NOT_UTF8)


def parse(texts: DataFrame, table: Table) -> DataFrame:
    """Reads each text (column `value`, at most one JSON object) as a record of a table.

    Returns:
        The table's columns; as `_line` the text; as `_reason` null for a record, or else the
        fields at fault, without their values; and the texts' other columns.
    """
    besides = _besides(texts)
    rewritten = _once(F.when(~F.col(CONFORMS), json_text.rewritten(F.col(LINE))))
    fields = {
        alias: _once(F.from_json(REWRITTEN, _fields_ddl(names), json_text.STRICT)).alias(alias)
        for alias, names in _names(table).items()
    }
    values = (
        texts.select(
            *besides, F.col("value").alias(LINE), _once(is_conforming(table)).alias(CONFORMS)
        )
        .select(*besides, LINE, CONFORMS, rewritten.alias(REWRITTEN))
        .select(*besides, LINE, CONFORMS, REWRITTEN, *fields.values())
        .select(
            *besides,
            *[_value(column).alias(column.name) for column in table.columns],
            *(LINE, CONFORMS, REWRITTEN),
            *fields,
        )
    )
    return values.select(*besides, *table.column_names, LINE, _reason(table).alias(REASON))


def _besides(frame: DataFrame) -> list[str]:
    return [name for name in frame.columns if name != "value"]


def count(lines: DataFrame, table: Table) -> list[tuple[int, int, int]]:
    """For each batch of lines its number, how many records they hold, and how many malformed.

    Args:
        lines: Columns `value` and `_batch`.
        table: The table whose records they are; malformed ones count as records too.
    """
    counts = (F.count(F.lit(1)).alias("objects"), F.count(REASON).alias("malformed"))
    found = parse(split(lines), table).groupBy(BATCH).agg(*counts).collect()
    return [(row[BATCH], row.objects, row.malformed) for row in found]


def _once(expression: Expression) -> Expression:
    """Keeps optimisers from copying a costly expression into each filter and column that uses it.

    They never move a non-deterministic expression, and `rand() >= 0` always holds.
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
    """The text of the column's field: the first of its names that is there and not null."""
    names = (column.name, *column.aliases)
    return F.coalesce(
        *[F.col(_fields(rank))[json_text.TEXT + name] for rank, name in enumerate(names)]
    )


def _value(column: Column) -> Expression:
    """The column's value, read from its text; null where that would lose anything."""
    # Of a conforming line Sail gives the digits as typed, JVM Spark a number's shortest form.
    plain = F.get_json_object(LINE, f"$.{column.name}")
    conforming = stored(column, plain.cast(parsed_type(column)))
    return F.when(F.col(CONFORMS), conforming).otherwise(_value_with_care(column))


def _value_with_care(column: Column) -> Expression:
    typed = _typed(column)
    kind, text = F.substring(typed, 1, 1), F.substring(typed, 2, MAX_LENGTH)
    if column.type == "string":
        is_text = (kind == json_text.TEXT) & ~text.contains(NOT_UTF8)
        is_number = (kind == json_text.LITERAL) & ~text.isin("true", "false")
        return F.when(is_text | is_number, text)
    scalar = F.when(kind.isin(json_text.TEXT, json_text.LITERAL), text)
    return stored(column, _finite(scalar) if column.type == "double" else _integer(scalar))


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
    """The reason of an object that has none of a table's required fields."""
    return "; ".join(f"{column.name} is missing" for column in table.columns if column.required)


def _reason(table: Table) -> Expression:
    faults = []
    for column in table.columns:
        wrong = F.lit(f"{column.name} is not of type {column.type}")
        missing = F.lit(f"{column.name} is missing") if column.required else F.lit(None)
        fault = F.when(_typed(column).isNotNull(), wrong).otherwise(missing)
        faults.append(F.when(~F.col(CONFORMS) & F.col(column.name).isNull(), fault))
    found = F.nullif(F.concat_ws("; ", *faults), F.lit(""))
    is_object = F.from_json(REWRITTEN, "map<string,string>", json_text.STRICT).isNotNull()
    return F.when(
        found.isNotNull(),
        F.when(F.col(LINE).contains(NOT_UTF8), "not UTF-8")
        .when(~is_object, "not a JSON object")
        .otherwise(found),
    )
