"""The checks that follow from a table's declaration, and how rows at fault are counted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from stedi_assets.tables import plausible
from stedi_assets.tables.buckets import BUCKET, bucket
from stedi_assets.tables.hashes import HASH, row_hash
from stedi_assets.tables.schema import Check, Table

if TYPE_CHECKING:
    from pyspark.sql import Column as Expression
    from pyspark.sql import DataFrame, Row

    from stedi_assets.tables.subjects import Values

CONSENT = Check(
    "consent",
    "No row belongs to a person without consent to research, judged by the customer records that "
    "landed rather than by the tables this one was made from.",
    "belong to no person who consents to research, by the customer records that landed.",
    blocking=True,
)
COUNTS = Check(
    "counts",
    "As many rows as an independent recount of its parents gives.",
    blocking=True,
)
SCHEMA = Check("schema", "The columns and their types are just those declared.")
VALUES = Check(
    "values",
    "Required values are there, numbers are finite and in their plausible range.",
    "lack a required value, or have a number that is not finite or out of its plausible range.",
)
KEYS = Check(
    "keys",
    "No two rows share a key.",
    "repeat the key of another row.",
    applies=lambda table: bool(table.key),
)
REFERENCES = Check(
    "references",
    "Every reference leads to a row of the table that it names.",
    "refer to a row that is not in the table that they name.",
    applies=lambda table: bool(table.references),
)
NO_PERSONAL_DATA = Check(
    "no_personal_data",
    "No column is personal data, and no value equals a personal one of a customer that landed.",
    "have a column of personal data, or a value that equals a personal one of a customer that "
    "landed.",
    applies=lambda table: table.anonymous,
)
POLICY = Check(
    "policy",
    "The table was made under options that are at least as strict as the privacy policy.",
    blocking=True,
    applies=lambda table: table.has_options,
)
PROVENANCE = Check(
    "provenance",
    "A run wrote the table's last version: no one else has changed it since.",
)
STRUCTURAL = (
    PROVENANCE,
    CONSENT,
    COUNTS,
    SCHEMA,
    VALUES,
    KEYS,
    REFERENCES,
    NO_PERSONAL_DATA,
    POLICY,
)


def checks_of(table: Table) -> tuple[Check, ...]:
    """The checks of a table that a rule makes: those that its declaration implies, and its own."""
    return (*(check for check in STRUCTURAL if check.applies(table)), *table.checks)


def at_fault(
    frame: DataFrame,
    among: Sequence[Values] = (),
    not_among: Sequence[Values] = (),
) -> DataFrame:
    """Counts the rows whose columns are not, or are, among known values.

    All lookups but the last are joins, which hold their known values. The last is a grouping, which
    spills what memory cannot hold: name the largest last.

    Args:
        frame: The rows.
        among: Columns and known values, in all of which a row must be found. Null is not found, and
            nothing is by columns that are not there.
        not_among: Columns and known values, in none of which a row may be found.

    Returns:
        One row: `at_fault`.
    """
    passes = F.lit(True)
    lookups = []
    for wanted, each in ((True, among), (False, not_among)):
        for columns, known in each:
            if set(columns) <= set(frame.columns):
                values = known.toDF(*columns)
                for column in columns:
                    values = values.where(F.col(column).isNotNull())
                lookups.append((wanted, list(columns), values))
            elif wanted:
                passes = F.lit(False)
    if not lookups:
        return frame.agg(F.count_if(~passes).alias("at_fault"))
    *joined, (wanted, columns, known) = lookups
    for number, (is_wanted, keys, values) in enumerate(joined):
        found = f"_found_{number}"
        frame = _marked(frame, keys, values, found)
        passes &= F.col(found).isNotNull() if is_wanted else F.col(found).isNull()
    ours = frame.select(*columns, F.lit(1).alias("_row"), passes.alias("_passes"))
    theirs = known.select(*columns, F.lit(0).alias("_row"), F.lit(None).cast("boolean"))
    each_value = (
        ours.union(theirs)
        .groupBy(*columns)
        .agg(
            F.sum("_row").alias("_rows"),
            F.count_if("_passes").alias("_passing"),
            (F.min("_row") == 0).alias("_known"),
        )
    )
    passing = F.when(F.col("_known") == F.lit(wanted), F.col("_passing")).otherwise(0)
    faults = F.coalesce(F.sum(F.col("_rows") - passing), F.lit(0))
    return each_value.agg(faults.alias("at_fault"))


def all_found(frame: DataFrame, columns: Sequence[str], known: DataFrame) -> bool:
    """Whether the values in some columns are all among known ones; null is never found.

    By a grouping, which spills what memory cannot hold.
    """
    for column in columns:
        known = known.where(F.col(column).isNotNull())
    ours = frame.select(*columns, F.lit(0).alias("_known"))
    both = ours.union(known.select(*columns, F.lit(1)))
    each = both.groupBy(*columns).agg(F.max("_known").alias("_known"))
    return not each.where("_known = 0").limit(1).count()


def any_found(frame: DataFrame, columns: Sequence[str], known: DataFrame) -> bool:
    """Whether any of a few rows has known values in some columns."""
    few = frame.select(*columns).distinct()
    return bool(few.join(known.toDF(*columns), list(columns), "left_semi").limit(1).count())


def _marked(frame: DataFrame, columns: Sequence[str], known: DataFrame, mark: str) -> DataFrame:
    # The embedded engine holds a join's left side, which are the known values therefore.
    aliases = [f"{mark}_{column}" for column in columns]
    values = known.toDF(*aliases).distinct().withColumn(mark, F.lit(True))
    same = [frame[column] == values[alias] for column, alias in zip(columns, aliases, strict=True)]
    return values.join(frame, same, "right").drop(*aliases)


def count(
    frame: DataFrame,
    key: Sequence[str],
    broken: Mapping[str, Expression],
    time_column: str | None = None,
) -> list[Row]:
    """Counts, in one pass: `rows`, `keys` that differ (if there is a key), and faults by rule.

    Only where not all keys differ by their hash are they compared themselves, in a second pass.

    Args:
        frame: The rows.
        key: The columns that no two rows share.
        broken: Rule to whether a row breaks it.
        time_column: The column of times, by whose `bucket` to count; None to count all together.
    """
    by = [bucket(time_column)] if time_column else []
    rows = F.count(F.lit(1)).alias("rows")
    at_fault = [F.count_if(fault).alias(rule) for rule, fault in broken.items()]
    if not key:
        return frame.groupBy(*by).agg(rows, *at_fault).collect()
    sums = [F.coalesce(F.sum(name), F.lit(0)).alias(name) for name in ("rows", *broken)]
    keys = F.count(F.lit(1)).alias("keys")

    def counted(*key: Expression | str) -> list[Row]:
        each = frame.groupBy(*by, *key).agg(rows, *at_fault)
        return each.groupBy(*([BUCKET] if by else [])).agg(keys, *sums).collect()

    found = counted(row_hash(frame, key).alias(HASH))
    return found if all(row["keys"] == row["rows"] for row in found) else counted(*key)


def implausible(table: Table, frame: DataFrame) -> Expression:
    """Whether any value of a row is missing, not finite or out of range."""
    found = F.lit(False)
    for column in table.columns:
        if column.name in frame.columns:
            found = found | plausible.implausible(column)
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


def personal_values(
    table: Table, customers: Table, landed: DataFrame, frame: DataFrame
) -> list[Values]:
    """For each column of a table the personal values that landed, in the column's type.

    Columns of numbers are left out if no personal value lies within their bounds.

    Args:
        table: The table.
        customers: The declaration of what landed.
        landed: The customer records.
        frame: The rows.
    """
    personal = [column.name for column in customers.columns if column.personal]
    values = landed.select(F.explode(F.array(*personal)).alias("of"))
    typed = {c.name: F.col("of").try_cast(c.type) for c in table.columns if c.name in frame.columns}
    numbers = [c.name for c in table.columns if c.name in typed and c.type != "string"]
    ends = [bound(name) for name in numbers for bound in (F.min, F.max)]
    bounds = frame.agg(F.count(F.lit(1)), *ends).collect()[0][1:]
    possible = [
        F.max(typed[name].between(*map(F.lit, bounds[2 * n : 2 * n + 2]))).alias(name)
        for n, name in enumerate(numbers)
        if bounds[2 * n] is not None
    ]
    found = values.agg(F.count(F.lit(1)).alias("values"), *possible).collect()[0].asDict()
    apart = {name for name in numbers if not found.get(name)}
    return [
        ([name], values.select(value).dropna())
        for name, value in typed.items()
        if name not in apart
    ]
