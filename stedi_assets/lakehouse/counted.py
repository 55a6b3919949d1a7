"""What the checks of a table have counted, and what it says of the table."""

from __future__ import annotations

import bisect
import functools
import operator
from collections import Counter
from collections.abc import Mapping

from pydantic import BaseModel

from stedi_assets.lakehouse import changes
from stedi_assets.lakehouse.changes import Ranges
from stedi_assets.tables import Table, checks
from stedi_assets.tables.buckets import BUCKET_MILLISECONDS
from stedi_assets.tables.recount import EXPECTED
from stedi_assets.tables.schema import Check

ROWS = "rows"


class Counted(BaseModel, frozen=True):
    """What the checks of a table count.

    Attributes:
        buckets: Bucket of time to what is counted of it, by name; of a table without a time column
            0 alone.
        faults: Check to what is at fault, of those that are not counted by bucket.
        schema_faults: The columns that are not as declared.
        people: How many people have rows in the table, and the fewest that one of them has, where
            the recount is by person.
        by_bucket: Whether all that a recount counts is counted by bucket.
        by_person: Whether it is by person too.
        shares_before: Check to the share with which the one that it finds now is compared, of
            checks with a bound.
    """

    buckets: Mapping[int, Mapping[str, int]]
    faults: Mapping[str, int]
    schema_faults: tuple[str, ...] = ()
    people: Mapping[str, int] = {}
    by_bucket: bool = True
    by_person: bool = False
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
            by_person=others.by_person,
        )


def _within(number: int, ranges: Ranges) -> bool:
    start = max(number * BUCKET_MILLISECONDS, changes.FIRST_TIME)
    place = bisect.bisect_right(ranges, start, key=operator.itemgetter(0)) - 1
    return place >= 0 and start <= ranges[place][1]
