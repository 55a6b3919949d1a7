"""What a table's declaration promises of its rows."""

from collections.abc import Mapping, Sequence

from pyspark.sql import Column as Expression
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from stedi_assets.tables import TABLES, Table, plausible

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

FAULTS = {
    KEYS: "repeat the key of another row.",
    REFERENCES: "refer to a row that is not in the table that they name.",
    VALUES: (
        "lack a required value, or have a number that is not finite or out of its plausible range."
    ),
    NO_PERSONAL_DATA: (
        "have a personal column, or a value that equals the name, e-mail or phone of a customer "
        "that landed."
    ),
}


def at_fault(
    frame: DataFrame, among: Sequence[Values] = (), not_among: Sequence[Values] = ()
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


def _marked(frame: DataFrame, columns: Sequence[str], known: DataFrame, mark: str) -> DataFrame:
    # The embedded engine holds a join's left side, which are the known values therefore.
    aliases = [f"{mark}_{column}" for column in columns]
    values = known.toDF(*aliases).distinct().withColumn(mark, F.lit(True))
    same = [frame[column] == values[alias] for column, alias in zip(columns, aliases, strict=True)]
    return values.join(frame, same, "right").drop(*aliases)


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
