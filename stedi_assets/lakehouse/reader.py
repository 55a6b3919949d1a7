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
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from stedi_assets.tables import Column, Table

if TYPE_CHECKING:
    from pyspark.sql import Column as Expression
    from pyspark.sql import DataFrame, SparkSession

LINE = "_line"
REASON = "_reason"

# Off in the JSON standard and in the embedded engine, on by default in JVM Spark.
STRICT = {"allowSingleQuotes": "false", "allowNonNumericNumbers": "false"}

# Whitespace, the byte-order mark that one engine keeps, and the commas between array elements.
PADDING = " \t\r\n,\ufeff"
NOT_UTF8 = "\ufffd"
FRAMING = r"^[\s,\[\]]*$"
# Objects and arrays within an object that shares its line with others; more is quarantined.
NESTING = 6
NUMBER = r"-?\d+(\.\d+)?([eE][-+]?\d+)?"
EXACT_DOUBLE = 2**53
INT_RANGE = (-(2**31), 2**31 - 1)
# Values as JSON writes them that fit their type whatever their digits; no escapes in a text.
TIDY_VALUES = {
    "string": rf'"[^"\\\x00-\x1f{NOT_UTF8}]*"',
    "bigint": r"(?:0|-?[1-9][0-9]{0,17})",
    "int": r"(?:0|-?[1-9][0-9]{0,8})",
    "double": r"-?(?:0|[1-9][0-9]{0,17})(?:\.[0-9]+)?(?:[eE][-+]?[0-9]{1,2})?",
}


def _object_pattern(nesting: int) -> str:
    """A regular expression for a JSON object; commas are left to the parser to judge.

    No text matches it in two ways, so that a search for it cannot go astray in an object cut short.
    """
    text = r'"[^"\\]*(?:\\.[^"\\]*)*"'
    scalars = r'[^"{}\[\]]*'
    nested = text
    for _ in range(nesting):
        array = rf"\[{scalars}(?:(?:{nested}){scalars})*\]"
        member = rf'{text}\s*:\s*(?:{nested}|[^\s"{{}}\[\],:]+)'
        item = rf"\{{\s*(?:{member}[\s,]*)*\}}"
        nested = f"{text}|{array}|{item}"
    return item


OBJECT = _object_pattern(NESTING)


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
    # Where JVM Spark stops reading at the end of a value, a second wrapping shows what follows it.
    wrapped = F.concat(F.lit('{"of":'), text, F.lit("}"))
    alone = (F.size(_parsed_whole(text)) == 1) & (F.size(F.json_object_keys(wrapped)) == 1)
    is_one_object = text.startswith("{") & alone
    objects = F.regexp_extract_all(text, F.lit(OBJECT), F.lit(0))
    between = F.split(F.regexp_replace(text, OBJECT, "\n"), "\n")
    cut = F.filter(F.concat(objects, between), lambda piece: ~piece.rlike(FRAMING))
    return lines.select(
        *_besides(lines),
        F.explode(
            F.when(_is_one_flat_object(line), F.array(line))
            .when(is_one_object, F.array(text))
            .otherwise(cut)
        ).alias("value"),
    )


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
    values = _with_parsed(pieces, table).select(
        *besides,
        *[_value(column).alias(column.name) for column in table.columns],
        F.col("value").alias(LINE),
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
        *[F.col(column.name).cast(column.type) for column in table.columns]
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


def _with_parsed(lines: DataFrame, table: Table) -> DataFrame:
    parsed = _once(F.from_json("value", _parsed_ddl(table), STRICT))
    return lines.select(*_besides(lines), "value", parsed.alias("parsed"))


def _parsed_ddl(table: Table) -> str:
    return ", ".join(f"`{column.name}` {_parsed_type(column)}" for column in table.columns)


def _parsed_whole(text: Expression) -> Expression:
    """The objects that a text is a list of; null where anything else stands between or after."""
    listed = F.concat(F.lit("["), text, F.lit("]"))
    objects = F.from_json(listed, "array<map<string,string>>", STRICT)
    return F.when(F.json_array_length(listed) == F.size(objects), objects)


def _once(expression: Expression) -> Expression:
    """Keeps optimisers from copying a costly expression into each filter and column it feeds.

    They leave an expression that depends on chance where it stands; this one always holds.
    """
    return F.when(F.rand() >= 0, expression)


def _parsed_type(column: Column) -> str:
    # One engine wraps what overflows an int around in silence, so int is narrowed afterwards.
    return "bigint" if column.type == "int" else column.type


def _texts(column: Column, text: str = "value") -> list[Expression]:
    fields = F.from_json(text, "map<string,string>", STRICT)
    return [fields[name] for name in (column.name, *column.aliases)]


def _value(column: Column) -> Expression:
    """The column's value: as parsed, or read from its text where that loses nothing."""
    parsed = F.col("parsed")[column.name]
    if column.type == "string":
        return F.when(_is_scalar_text(column.name, parsed), parsed)
    read = {"bigint": _integer, "int": _integer, "double": _finite}[column.type]
    value = F.coalesce(parsed, *[read(text) for text in _texts(column)])
    if column.type == "int":
        return F.when(value.between(*INT_RANGE), value.cast("int"))
    if column.type == "double":
        return F.when(F.abs(value) < float("inf"), value)
    return value


def _is_scalar_text(name: str, text: Expression) -> Expression:
    """Whether a field read as text was a string or a number, not an object, array or boolean."""
    kinds = ("map<string,string>", "array<string>")
    fields = [F.from_json("value", f"`{name}` {kind}", STRICT)[name] for kind in kinds]
    scalar = (
        F.when(F.substring(text, 1, 1).isin("{", "["), F.coalesce(*map(F.to_json, fields)).isNull())
        .when(text.isin("true", "false"), _is_quoted(text))
        .otherwise(True)
    )
    return scalar & ~text.contains(NOT_UTF8)


def _is_quoted(text: Expression) -> Expression:
    return F.col("value").contains(F.concat(F.lit('"'), text, F.lit('"')))


def _integer(text: Expression) -> Expression:
    number = text.try_cast("double")
    whole = (F.rint(number) == number) & (F.abs(number) < EXACT_DOUBLE)
    return F.when(text.rlike(r"^-?\d+$"), text.try_cast("bigint")).when(
        text.rlike(rf"^{NUMBER}$") & whole, number.cast("bigint")
    )


def _finite(text: Expression) -> Expression:
    return F.when(text.rlike(rf"^{NUMBER}$"), text.try_cast("double"))


def every_field_missing(table: Table) -> str:
    """The reason given for an object that has none of a table's required fields."""
    return "; ".join(f"{column.name} is missing" for column in table.columns if column.required)


def _reason(table: Table) -> Expression:
    faults = []
    absent = F.lit(False)
    for column in table.columns:
        value, text = F.col(column.name), F.coalesce(*_texts(column, LINE))
        wrong = F.lit(f"{column.name} is not of type {column.type}")
        missing = F.lit(f"{column.name} is missing") if column.required else F.lit(None)
        faults.append(F.when(value.isNull(), F.when(text.isNotNull(), wrong).otherwise(missing)))
        absent = absent | value.isNull()
    is_object = F.from_json(LINE, "map<string,string>", STRICT).isNotNull()
    fault = F.nullif(F.concat_ws("; ", *faults), F.lit(""))
    garbled = F.col(LINE).contains(NOT_UTF8)
    return F.when(
        absent,
        F.when(garbled, "not UTF-8").when(is_object, fault).otherwise("not a JSON object"),
    )
