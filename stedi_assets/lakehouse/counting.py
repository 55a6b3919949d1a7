"""What the checks of a table count, by bucket of time where it has times."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import BaseModel

from stedi_assets.lakehouse import changes
from stedi_assets.lakehouse.changes import Ranges
from stedi_assets.policy import Options
from stedi_assets.pseudonyms import Pseudonyms
from stedi_assets.tables import TABLES, Table, checks, recount, subjects
from stedi_assets.tables.buckets import BUCKET, BUCKET_MILLISECONDS
from stedi_assets.tables.customer import CUSTOMER_LANDING
from stedi_assets.tables.schema import Check, applied
from stedi_assets.tables.subjects import Values

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, Row

Read = Callable[[str], "DataFrame"]
ROWS, EXPECTED = "rows", "expected"


class Counted(BaseModel, frozen=True):
    """What the checks of a table count.

    Attributes:
        buckets: Bucket of time to what is counted of it, by name; of a table without a time column
            0 alone.
        faults: Check to what is at fault, of those that are not counted by bucket.
        schema_faults: The columns that are not as declared.
        further: Figures of the whole table, of a count of all of it.
        by_bucket: Whether all that a recount counts is counted by bucket.
        shares_before: Check to the share with which the one that it finds now is compared, of
            checks with a bound.
    """

    buckets: Mapping[int, Mapping[str, int]]
    faults: Mapping[str, int]
    schema_faults: tuple[str, ...] = ()
    further: Mapping[str, int] = {}
    by_bucket: bool = True
    shares_before: Mapping[str, float] = {}

    @functools.cached_property
    def totals(self) -> Mapping[str, int]:
        """What is counted of the whole table, by name."""
        found = Counter[str]({ROWS: 0, EXPECTED: 0})
        for each in self.buckets.values():
            found.update(each)
        return found

    def at_fault(self, check: Check) -> int:
        """How much a check finds at fault."""
        if check == checks.KEYS:
            return self.totals[ROWS] - self.totals["keys"]
        return self.faults.get(check.name, self.totals[check.name])

    def share(self, check: Check) -> float:
        """How much of what a check looks at it finds at fault, from 0 to 1."""
        of = self.totals[check.of]
        return self.at_fault(check) / of if of else 0.0

    def change(self, check: Check) -> float:
        """By how much the share that a check finds has changed."""
        share = self.share(check)
        return abs(share - self.shares_before.get(check.name, share))

    def since(self, table: Table, last: Counted) -> Counted:
        """The counts, to be compared with earlier ones.

        Small changes add up: a share is compared with the one of the last time that it changed by
        more than the bound of its check.
        """
        shares = {
            check.name: last.share(check)
            if last.change(check) > check.bound
            else last.shares_before.get(check.name, last.share(check))
            for check in checks.checks_of(table)
            if check.bound is not None
        }
        return self.model_copy(update={"shares_before": shares})

    def is_sound(self, table: Table) -> bool:
        """Whether no check finds a fault, but for those that only warn."""
        found = (self.at_fault(check) for check in checks.checks_of(table) if not check.warns)
        return (
            self.totals[ROWS] == self.totals[EXPECTED] and not self.schema_faults and not any(found)
        )

    def with_ranges(self, ranges: Ranges, others: Counted) -> Counted:
        """The counts with those of some times replaced."""
        kept = {n: each for n, each in self.buckets.items() if not _within(n, ranges)}
        return Counted(
            buckets=kept | dict(others.buckets),
            faults=others.faults,
            schema_faults=others.schema_faults,
        )


@dataclass(frozen=True)
class Given:
    """What checks read.

    Attributes:
        read: Gives a table's rows by its name: those of the times that are counted.
        whole: Gives all rows.
        people: A column `email` of the people who consent.
        devices: A column `serialNumber` of their devices.
    """

    read: Read
    whole: Read
    people: DataFrame
    devices: DataFrame


def counted(
    table: Table,
    given: Given,
    as_of: int,
    now: int,
    options: Options,
    pseudonyms: Pseudonyms,
    *,
    anyone_new: bool,
) -> Counted:
    """Counts what the checks of a table look at.

    Each lookup is a query of its own: as one they would hold all that they look up at one time.

    Args:
        table: The table.
        given: What to read.
        as_of: The time by which consent was judged when the table was made (epoch milliseconds).
        now: The time by which it is judged now.
        options: Those that the table was made with.
        pseudonyms: Makes the pseudonyms.
        anyone_new: Whether there may be people of whose personal values the table is not known to
            have none.
    """
    frame = given.read(table.name)
    buckets: dict[int, Counter[str]] = {}
    key = table.key if set(table.key) <= set(frame.columns) else ()
    implausible = {checks.VALUES.name: checks.implausible(table, frame)}
    time = table.time_column if table.time_column in frame.columns else None
    recounted, further = _recounted(table, given.read, as_of, options)
    for each in (checks.count(frame, key, implausible, time).collect(), recounted):
        for row in each:
            figures = row.asDict()
            number = figures.pop(BUCKET, 0)
            buckets.setdefault(number, Counter()).update(figures)
    faults = {}
    for check in checks.checks_of(table):
        if check == checks.CONSENT:
            known = subjects.known(
                table, given.people, given.devices, TABLES.__getitem__, given.read
            )
            faults[check.name] = _missing(table, frame, known, options, pseudonyms)
        elif check == checks.REFERENCES:
            known = [
                ((column,), given.read(target).select(name).toDF(column))
                for column, (target, name) in table.references.items()
            ]
            faults[check.name] = _missing(table, frame, known, options, pseudonyms)
        elif check == checks.NO_PERSONAL_DATA:
            rows = given.whole(table.name) if anyone_new else frame
            faults[check.name] = _personal(table, rows, given.whole(CUSTOMER_LANDING.name))
        elif check.count is not None:
            faults[check.name] = int(applied(check.count, given.whole, now, options))
    wrong = tuple(checks.schema_faults(table, frame))
    return Counted(
        buckets=buckets,
        faults=faults,
        schema_faults=wrong,
        further=further,
        by_bucket=all(BUCKET in row for row in recounted),
    )


def _recounted(
    table: Table, read: Read, as_of: int, options: Options
) -> tuple[list[Row], Mapping[str, int]]:
    """The recount of a table, by bucket if it has times, and figures of people besides."""
    from pyspark.sql import functions as F

    if table.recount is not None:
        found = applied(table.recount, read, as_of, options)
    else:
        taken = [*table.parents, *(target for target, _ in table.references.values())]
        found = recount.kept_rows(table, {name: read(name) for name in taken})
    if recount.PERSON not in found.columns:
        return found.collect(), {}
    sums = [F.sum(n).alias(n) for n in found.columns if n not in (BUCKET, recount.PERSON)]
    each = found.groupBy(recount.PERSON).agg(F.sum(EXPECTED).alias("_rows"))
    people = each.where("_rows > 0").agg(
        F.count(F.lit(1)).alias("people"),
        F.coalesce(F.min("_rows"), F.lit(0)).alias("fewest_rows_of_a_person"),
    )
    return found.groupBy(BUCKET).agg(*sums).collect(), people.collect()[0].asDict()


def _missing(
    table: Table,
    frame: DataFrame,
    known: Sequence[Values],
    options: Options,
    pseudonyms: Pseudonyms,
) -> int:
    """How many rows have a value that is not among known ones, each as the table shows it."""
    shown = []
    for columns, values in known:
        if options.pseudonymise_devices and set(columns) <= set(table.pseudonymised):
            values = pseudonyms.of(values.toDF(*columns), columns[0])
        shown.append((columns, values))
    return int(checks.at_fault(frame, among=shown).collect()[0][0])


def _personal(table: Table, frame: DataFrame, landed: DataFrame) -> int:
    """How many rows have a column of personal data, or a value that is one of a customer's."""
    personal = {c.name for each in TABLES.values() for c in each.columns if c.personal}
    if personal.intersection(frame.columns):
        return frame.count()
    values = checks.personal_values(table, CUSTOMER_LANDING, landed, frame)
    return int(checks.at_fault(frame, not_among=values).collect()[0][0])


def _within(number: int, ranges: Ranges) -> bool:
    start = max(number * BUCKET_MILLISECONDS, changes.FIRST_TIME)
    return any(first <= start <= last for first, last in ranges)
