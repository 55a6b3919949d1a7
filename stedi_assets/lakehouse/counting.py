"""Counts what the checks of a table look at, by bucket of time where it has times."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stedi_assets.lakehouse.counted import Counted
from stedi_assets.policy import Options
from stedi_assets.pseudonyms import Pseudonyms
from stedi_assets.split import Split
from stedi_assets.tables import TABLES, Table, checks, recount, subjects
from stedi_assets.tables.buckets import BUCKET
from stedi_assets.tables.customer import CUSTOMER_LANDING
from stedi_assets.tables.functions import VALUE_COUNTS, applied
from stedi_assets.tables.hashes import HASH, row_hash
from stedi_assets.tables.recount import EXPECTED
from stedi_assets.tables.subjects import Values
from stedi_assets.tables.value_counts import texts_of

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, Row

Read = Callable[[str], "DataFrame"]


@dataclass(frozen=True)
class Given:
    """What checks read.

    Attributes:
        read: Gives a table's rows by its name: those of the times that are counted.
        whole: Gives all rows.
        values: Gives the values in a column of a table, of the rows that are counted; of a table
            with times each once.
        value_counts: Gives the value counts of all rows of a table.
        hashes: Gives the hashes of readings of those who consent, by some columns.
        recounted: Gives the table's own recount of the rows that are counted.
        landed: Everyone who landed and their devices, by the names that a check has for them.
        people: A column `email` of the people who consent.
        devices: A column `serialNumber` of their devices.
    """

    read: Read
    whole: Read
    values: Callable[[str, str], DataFrame]
    value_counts: Read
    hashes: Callable[[Sequence[str], DataFrame], DataFrame]
    recounted: Callable[[], DataFrame]
    landed: Mapping[str, DataFrame]
    people: DataFrame
    devices: DataFrame


def counted(
    table: Table,
    given: Given,
    now: int,
    options: Options,
    pseudonyms: Pseudonyms,
    split: Split | None = None,
    *,
    anyone_new: bool,
) -> Counted:
    """Counts what the checks of a table look at.

    Each lookup is a query of its own: as one they would hold all that they look up at one time.

    Args:
        table: The table.
        given: What to read.
        now: The time by which to judge consent (epoch milliseconds, UTC).
        options: Those that the table was made with.
        pseudonyms: Makes the pseudonyms.
        split: How the table is split; None for one that is not.
        anyone_new: Whether there may be people of whose personal values the table is not known to
            have none.
    """

    def shown(rows: DataFrame, column: str) -> DataFrame:
        return _shown(table, rows, column, options, pseudonyms)

    def read(name: str) -> DataFrame:
        if name == VALUE_COUNTS:
            return given.value_counts(table.name)
        return given.landed[name] if name in given.landed else given.whole(name)

    frame = given.read(table.name)
    buckets: dict[int, Counter[str]] = {}
    key = table.key if set(table.key) <= set(frame.columns) else ()
    implausible = {checks.VALUES.name: checks.implausible(table, frame)}
    time = table.time_column if table.time_column in frame.columns else None
    counts = checks.count(frame, key, implausible, time)
    rows = {row.asDict().get(BUCKET, 0): row["rows"] for row in counts}
    recounted = _recounted(table, given, rows)
    for each in (counts, recounted):
        for row in each:
            figures = row.asDict()
            number = figures.pop(BUCKET, 0)
            buckets.setdefault(number, Counter()).update(figures)
    faults = {}
    for check in checks.checks_of(table):
        if check == checks.CONSENT:
            known = subjects.known(
                table, given.people, given.devices, TABLES.__getitem__, given.read, given.values
            )
            faults[check.name] = _missing(table, given, known, options, pseudonyms)
        elif check == checks.REFERENCES:
            known = [
                ((column,), _values(given, TABLES[target], name).toDF(column))
                for column, (target, name) in table.references.items()
            ]
            faults[check.name] = _missing(table, given, known, options, pseudonyms)
        elif check == checks.NO_PERSONAL_DATA:
            looked_at = given.whole(table.name) if anyone_new else frame
            faults[check.name] = _personal(table, given, looked_at)
        elif check.count is not None:
            faults[check.name] = int(applied(check.count, read, now, options, split, shown))
    wrong = tuple(checks.schema_faults(table, frame))
    return Counted(
        buckets=buckets,
        faults=faults,
        schema_faults=wrong,
        by_bucket=all(BUCKET in row for row in recounted),
        by_person=bool(time and table.recount) and recount.PERSON in given.recounted().columns,
    )


def _recounted(table: Table, given: Given, rows: Mapping[int, int]) -> list[Row]:
    """The recount of a table, by bucket if it has times.

    Rows that differ are counted by a hash, and themselves only where these are not as many as the
    table's `rows`.
    """
    from pyspark.sql import functions as F

    if table.recount is None:
        taken = [*table.parents, *(target for target, _ in table.references.values())]
        kept = recount.kept_rows(table, {name: given.read(name) for name in taken})
        time, names = table.time_column, table.column_names
        hashed = kept.select(*([time] if time else []), row_hash(kept, names).alias(HASH))
        found = recount.unique_rows(hashed, [HASH], time).collect()
        if {r.asDict().get(BUCKET, 0): r[EXPECTED] for r in found if r[EXPECTED]} == rows:
            return found
        return recount.unique_rows(kept, names, time).collect()
    counted = given.recounted()
    if recount.PERSON not in counted.columns:
        return counted.collect()
    sums = [F.sum(n).alias(n) for n in counted.columns if n not in (BUCKET, recount.PERSON)]
    return counted.groupBy(BUCKET).agg(*sums).collect()


def figures_of_people(counts: DataFrame) -> Mapping[str, int]:
    """How many people have rows, and the fewest that one of them has, of a recount by person."""
    from pyspark.sql import functions as F

    each = counts.groupBy(recount.PERSON).agg(F.sum(EXPECTED).alias("_rows"))
    found = each.where("_rows > 0").agg(
        F.count(F.lit(1)).alias("people"),
        F.coalesce(F.min("_rows"), F.lit(0)).alias("fewest_rows_of_a_person"),
    )
    return found.collect()[0].asDict()


def _values(given: Given, table: Table, column: str) -> DataFrame:
    """The values in a column; each once, but for times, which are nearly as many as rows."""
    if column == table.time_column:
        return given.read(table.name).select(column)
    return given.values(table.name, column)


def _missing(
    table: Table,
    given: Given,
    known: Sequence[Values],
    options: Options,
    pseudonyms: Pseudonyms,
) -> int:
    """How many rows have a value that is not among known ones, each as the table shows it.

    The rows themselves are looked up only where not all are found by different values or hashes.
    """
    frame = given.read(table.name)
    failing: list[Values] = []
    for columns, values in known:
        values = _shown(table, values.toDF(*columns), columns[0], options, pseudonyms)
        if not _all_found(table, given, frame, columns, values):
            failing.append((columns, values))
    return int(checks.at_fault(frame, among=failing).collect()[0][0]) if failing else 0


def _shown(
    table: Table, rows: DataFrame, column: str, options: Options, pseudonyms: Pseudonyms
) -> DataFrame:
    """Rows with a column as a table shows it: with pseudonyms where its options hide what it is."""
    hidden = options.pseudonymise_devices and column in table.pseudonymised
    return pseudonyms.of(rows, column) if hidden else rows


def _all_found(
    table: Table, given: Given, frame: DataFrame, columns: Sequence[str], known: DataFrame
) -> bool:
    if not set(columns) <= set(frame.columns):
        return False
    if len(columns) > 1:
        hashed = frame.select(row_hash(frame, columns).alias(HASH))
        return checks.all_found(hashed, [HASH], given.hashes(columns, known))
    if columns[0] != table.time_column:
        frame = given.values(table.name, columns[0])
    return checks.all_found(frame, columns, known)


def _personal(table: Table, given: Given, frame: DataFrame) -> int:
    """How many rows have a column of personal data, or a value that is one of a customer's.

    Texts are looked up in the rows themselves only where the value counts have a personal one.
    """
    personal = {c.name for each in TABLES.values() for c in each.columns if c.personal}
    if personal.intersection(frame.columns):
        return frame.count()
    landed = given.whole(CUSTOMER_LANDING.name)
    values = checks.personal_values(table, CUSTOMER_LANDING, landed, frame)
    texts = [each for each in values if set(each[0]) <= set(texts_of(table))]
    if table.time_column and texts:
        known = given.value_counts(table.name)
        if not any(checks.any_found(known, *each) for each in texts):
            values = [each for each in values if each not in texts]
    return int(checks.at_fault(frame, not_among=values).collect()[0][0]) if values else 0
