"""What a table's declaration promises of its rows."""

import functools
import operator
from collections.abc import Mapping, Sequence

from pyspark.sql import Column as Expression
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from stedi_assets.tables import TABLES, Column, Table

# The columns of a table and the values that they are compared with.
Values = tuple[Sequence[str], DataFrame]

KEYS = "keys"
REFERENCES = "references"
SCHEMA = "schema"
VALUES = "values"
NO_PERSONAL_DATA = "no_personal_data"

DESCRIPTIONS = {
    KEYS: "No two rows share a key.",
    REFERENCES: "Every reference leads to a row of the table that it names.",
    SCHEMA: "The columns and their types are just those declared.",
    VALUES: "Required values are there, numbers are finite and in their plausible range.",
    NO_PERSONAL_DATA: (
        "No column is a personal one, and no value equals the name, e-mail or phone of a "
        "customer that landed."
    ),
}


def mark(
    frame: DataFrame,
    among: Mapping[str, Sequence[Values]],
    not_among: Mapping[str, Sequence[Values]],
) -> tuple[DataFrame, dict[str, Expression]]:
    """Looks each row up in the values that its columns must, or must not, be among.

    Args:
        frame: The rows; each stays one row.
        among: Rule to (columns, known values) that a row must be found in, every one.
        not_among: Rule to (columns, known values) that a row must be found in none of.

    Returns:
        The rows with what was found, and for each rule what is true of a row that breaks it.
    """
    broken = {}
    for rule, lookups in {**among, **not_among}.items():
        found: list[Expression] = []
        for columns, known in lookups:
            if not set(columns) <= set(frame.columns):
                found.append(F.lit(False))
                continue
            mark = f"_{rule}_{len(found)}"
            frame = _look_up(frame, columns, known, mark)
            found.append(F.col(mark).isNotNull())
        if rule in among:
            broken[rule] = ~functools.reduce(operator.and_, found)
        else:
            broken[rule] = functools.reduce(operator.or_, found)
    return frame, broken


def _look_up(frame: DataFrame, columns: Sequence[str], known: DataFrame, mark: str) -> DataFrame:
    aliases = [f"{mark}_{column}" for column in columns]
    values = known.toDF(*aliases).distinct().withColumn(mark, F.lit(True))
    same = [frame[column] == values[alias] for column, alias in zip(columns, aliases, strict=True)]
    return frame.join(values, same, "left").drop(*aliases)


def count(frame: DataFrame, key: Sequence[str], broken: Mapping[str, Expression]) -> DataFrame:
    """Counts, in one pass: `rows`, `keys` that differ (if there is a key), and faults by rule."""
    at_fault = [F.count_if(fault).alias(rule) for rule, fault in broken.items()]
    if not key:
        return frame.agg(F.count(F.lit(1)).alias("rows"), *at_fault)
    each = frame.groupBy(*key).agg(F.count(F.lit(1)).alias("rows"), *at_fault)
    sums = [F.coalesce(F.sum(name), F.lit(0)).alias(name) for name in ("rows", *broken)]
    return each.agg(F.count(F.lit(1)).alias("keys"), *sums)


def implausible(table: Table, frame: DataFrame) -> Expression:
    """Whether any value of a row is missing, not finite or out of range."""
    found = F.lit(False)
    for column in table.columns:
        if column.name in frame.columns:
            found = found | _implausible(column)
    return found


def schema_faults(table: Table, frame: DataFrame) -> list[str]:
    """The columns that differ from the declaration, each as a short sentence."""
    declared = {column.name: column.type for column in table.columns}
    found = dict(frame.dtypes)
    faults = [
        *(f"{name} is missing" for name in declared if name not in found),
        *(f"{name} is not declared" for name in found if name not in declared),
        *(
            f"{name} is {found[name]} instead of {declared[name]}"
            for name in declared
            if name in found and found[name] != declared[name]
        ),
    ]
    out_of_order = not faults and list(found) != list(declared)
    return ["the columns are in another order"] if out_of_order else faults


def personal_columns(frame: DataFrame) -> list[str]:
    """The columns that some table declares to identify a person."""
    personal = {c.name for table in TABLES.values() for c in table.columns if c.personal}
    return [name for name in frame.columns if name in personal]


def personal_values(table: Table, customer_landing: DataFrame) -> list[Values]:
    """For each column the names, e-mails and phones that landed, in the column's type."""
    values = customer_landing.select(
        F.explode(F.array("customerName", "email", "phone")).alias("of")
    )
    return [
        ([column.name], values.select(F.col("of").try_cast(column.type)).dropna())
        for column in table.columns
    ]


def _implausible(column: Column) -> Expression:
    value = F.col(column.name)
    if column.type == "bigint" and not column.required:
        value = F.nullif(value, F.lit(0))  # a consent that was never given may be sent as 0
    faults = value.isNull() if column.required else F.lit(False)
    if column.type == "double":
        faults = faults | F.isnan(value) | (F.abs(value) == float("inf"))
    if column.minimum is not None:
        faults = faults | (value < column.minimum)
    if column.maximum is not None:
        faults = faults | (value > column.maximum)
    return F.coalesce(faults, F.lit(False))
