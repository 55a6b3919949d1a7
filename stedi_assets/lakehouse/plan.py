"""How much of a table must be made anew: nothing, the rows of some times, or all.

A rule of a table with a time column makes the rows of a time from its parents' rows of that time,
and from rows of tables without one that references lead to. So the rows of some times, made by the
rule from inputs restricted to them, are those that it would make from everything. To make too much
is never wrong, and what is not known is made anew.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from stedi_assets.lakehouse import changes, lookups
from stedi_assets.lakehouse.changes import Changes, Ranges
from stedi_assets.lakehouse.commit import Commit
from stedi_assets.lakehouse.lakehouse import Lakehouse
from stedi_assets.tables import TABLES, Table, Zone
from stedi_assets.tables.buckets import BUCKET, BUCKET_MILLISECONDS, time_in
from stedi_assets.tables.consent import person
from stedi_assets.tables.schema import Person
from stedi_assets.tables.value_counts import ROWS

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

# More buckets are joined to wider ones, in the engine.
MAX_BUCKETS = 4096
# To replace a larger share of many rows takes longer than to make all of them: with 0.95 of them
# the run took 1.2 times as long (0.1 % of the people of 24 million readings withdrew).
MAX_SHARE, MANY_ROWS = 2 / 3, 1_000_000


class Mode(StrEnum):
    """How much of a table is made anew."""

    UNCHANGED = "unchanged"
    RANGES = "ranges"
    WHOLE = "whole"


@dataclass(frozen=True)
class Plan:
    """What to make of a table.

    Attributes:
        mode: How much of it.
        reason: Why.
        ranges: The times to make, if it is only some.
        made_from: Parent to the id of its state now, of each of which it is known.
        is_known: Whether it is known how the table was made, and it would be made so again.
    """

    mode: Mode
    reason: str
    ranges: Ranges = ()
    made_from: Mapping[str, str] = field(default_factory=dict)
    is_known: bool = True

    def restricted(self, table: Table, frame: DataFrame) -> DataFrame:
        """The rows of a table that the plan is about."""
        if self.mode is not Mode.RANGES or table.time_column is None:
            return frame
        return frame.where(changes.condition(table.time_column, self.ranges))


def planned(
    lakehouse: Lakehouse, table: Table, wanted: Commit, now: int, *, rebuild: bool = False
) -> Plan:
    """How much of a table must be made anew.

    Args:
        lakehouse: Where the tables are.
        table: The table.
        wanted: What shall be kept with it: `code`, `config`, `key` and `split`.
        now: The time by which to judge consent (epoch milliseconds, UTC).
        rebuild: Whether the run asks for all of it.
    """
    seen = {name: lakehouse.changes(TABLES[name]) for name in table.parents}
    made_from = {name: each[-1].id for name, each in seen.items() if each}
    why = "the run asks for it" if rebuild else _why_unknown(lakehouse, table, wanted)
    if why:
        return Plan(Mode.WHOLE, why, made_from=made_from, is_known=False)
    state = lakehouse.state(table)
    assert state is not None
    last = state.commit
    changed = dict[str, Changes]()
    for name, each in seen.items():
        new = changes.since(each, last.made_from.get(name))
        if new is None:
            why = f"what has changed in {name} is not known"
            return Plan(Mode.WHOLE, why, made_from=made_from)
        if new:
            changed[name] = new
    passed = _date_has_passed(table, last, now)
    if not changed and not passed:
        return Plan(Mode.UNCHANGED, "nothing that it is made of has changed", made_from=made_from)
    found = [f"{name} has changed" for name in changed]
    why = " and ".join([*found, *(["a date has passed"] if passed else [])])
    if table.time_column is None or passed:
        return Plan(Mode.WHOLE, why, made_from=made_from)
    ranges = _touched(lakehouse, table, changed)
    if ranges is None:
        why += ", and at which times is not known"
        return Plan(Mode.WHOLE, why, made_from=made_from)
    if not ranges:
        why += ", but no row of this table depends on it"
        return Plan(Mode.UNCHANGED, why, made_from=made_from)
    if state.rows > MANY_ROWS and _share_of_rows(lakehouse, table, ranges) > MAX_SHARE:
        return Plan(Mode.WHOLE, f"{why}, at most of its times", made_from=made_from)
    return Plan(Mode.RANGES, why, ranges, made_from)


def valid(lakehouse: Lakehouse, table: Table, now: int) -> tuple[int, int] | None:
    """From when until when the clock alone changes no row of a table that is made now.

    Returns:
        The least time, and the first after the last (epoch milliseconds, UTC); None for a table
        that no clock changes.
    """
    from pyspark.sql import functions as F

    if not table.dates:
        return None
    passed, coming = [0], [changes.LAST_TIME]
    for name, columns in table.dates.items():
        each = [F.max(F.when(F.col(column) <= now, F.col(column))) for column in columns]
        each += [F.min(F.when(F.col(column) > now, F.col(column))) for column in columns]
        [found] = lakehouse.scan(TABLES[name]).agg(*each).collect()
        passed += [date for date in found[: len(columns)] if date is not None]
        coming += [date for date in found[len(columns) :] if date is not None]
    return max(passed), min(coming)


def is_fresh(lakehouse: Lakehouse, table: Table) -> bool:
    """Whether a table was made of what its parents are now, and they of what theirs are."""
    if table.rule is None:
        return True
    state = lakehouse.state(table)
    if state is None or state.foreign:
        return False
    parents = {name: lakehouse.changes(TABLES[name]) for name in table.parents}
    now = {name: each[-1].id for name, each in parents.items() if each}
    return state.commit.made_from == now and all(
        is_fresh(lakehouse, TABLES[name]) for name in parents
    )


def differing(before: DataFrame, now: DataFrame, columns: list[str]) -> DataFrame:
    """The rows that are more often in one of two frames than in the other, by some columns.

    Returns:
        The columns, and `_times`: how much more often a row was before than it is now.
    """
    from pyspark.sql import functions as F

    each = before.select(*columns, F.lit(1).alias("_times")).union(
        now.select(*columns, F.lit(-1).alias("_times"))
    )
    times = F.sum("_times").alias("_times")
    return each.groupBy(*columns).agg(times).where("_times <> 0")


def _why_unknown(lakehouse: Lakehouse, table: Table, wanted: Commit) -> str | None:
    """Why it is not known how a table was made, or it was made otherwise; None if it was not."""
    state = lakehouse.state(table)
    if state is None:
        return "it was not made before"
    if state.foreign:
        return "something other than a run has written it"
    last = state.commit
    if last.id is None or not last.made_from:
        return "what it was made of is not known"
    for part, then, now in (
        ("code", last.code, wanted.code),
        ("options", last.config, wanted.config),
        ("pseudonym key", last.key, wanted.key),
        ("split", last.split, wanted.split),
    ):
        if then != now:
            return f"its {part} {'have' if part == 'options' else 'has'} changed"
    return None


def _date_has_passed(table: Table, last: Commit, now: int) -> bool:
    """Whether the clock alone may have changed a row."""
    if not table.dates:
        return False
    return last.valid is None or not last.valid[0] <= now < last.valid[1]


def _touched(lakehouse: Lakehouse, table: Table, changed: Mapping[str, Changes]) -> Ranges | None:
    """The times whose rows may be other; None where any may."""
    found = list[changes.Range]()
    for name, new in changed.items():
        parent = TABLES[name]
        ranges = (
            changes.ranges_of(new) if parent.time_column else _linked(lakehouse, table, parent, new)
        )
        if ranges is None:
            return None
        found += ranges
    return changes.covering(found)


def _share_of_rows(lakehouse: Lakehouse, table: Table, ranges: Ranges) -> float:
    """Which part of a table's rows is of some times."""
    from pyspark.sql import functions as F

    counts = lookups.value_counts(lakehouse, table).withColumn("_time", time_in())
    theirs = F.when(F.expr(changes.condition("_time", ranges)), F.col(ROWS))
    [found] = counts.agg(F.coalesce(F.sum(theirs) / F.sum(ROWS), F.lit(0.0))).collect()
    return float(found[0])


def _linked(lakehouse: Lakehouse, table: Table, parent: Table, new: Changes) -> Ranges | None:
    """The times of all rows that changed rows of a table without times lead to."""
    links = list(_links(table, parent))
    before = lakehouse.read_before(parent, new[0]) if links else None
    if before is None:
        return None
    # Of a table that keeps what refers to its parent nothing else of that matters.
    columns = parent.column_names if table.recount else sorted({name for _, _, name in links})
    rows = lakehouse.spark.cached(differing(before, lakehouse.scan(parent), columns))
    found = list[changes.Range]()
    for readings, column, name in links:
        found += _times_of(lakehouse, readings, column, rows.select(name).dropna().distinct())
    return tuple(found)


def _links(table: Table, parent: Table) -> Iterator[tuple[Table, str, str]]:
    """The parents with times whose rows a row of another parent leads to.

    Yields:
        The table, the column of it, and that of the other parent with the same value.
    """
    timed = {name: TABLES[name] for name in table.parents if TABLES[name].time_column}
    for column, (target, name) in table.references.items():
        if target == parent.name:
            for each in timed.values():
                if column in each.column_names:
                    yield each, column, name
    for name, (target, column) in parent.references.items():
        if target in timed:
            yield timed[target], column, name


def _times_of(
    lakehouse: Lakehouse, table: Table, column: str, values: DataFrame
) -> list[changes.Range]:
    """The times of the rows of a table with some values, in buckets."""
    from pyspark.sql import functions as F

    people = {each.column for each in table.subjects if isinstance(each, Person)}
    # A person may be written in many ways; the distinct ones are few.
    written = lookups.values(lakehouse, table, [column])
    who = person(column) if table.zone is Zone.LANDING and column in people else F.col(column)
    theirs = values.toDF("_value").join(written, F.col("_value") == who).select(column).distinct()
    # The embedded engine holds the left side.
    buckets = theirs.join(lookups.value_counts(lakehouse, table), column).select(BUCKET).distinct()
    found = lakehouse.spark.cached(buckets)
    joined = -(-found.count() // MAX_BUCKETS)
    if not joined:
        return []
    width = BUCKET_MILLISECONDS * joined
    wider = found.select(F.floor(F.col(BUCKET) / joined).cast("bigint").alias(BUCKET)).distinct()
    starts = [row[BUCKET] * width for row in wider.collect()]
    return [(start, start + width - 1) for start in starts]
