"""Which part of a table has changed since a reader last saw it, as ranges of time.

A row-changing commit has an id of its own, and a table keeps its last ids with the ranges that each
changed. Who keeps the id of what they have read finds there what has changed since; where they do
not find it they read all.
"""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Iterable, Iterator, Sequence

from pydantic import BaseModel

from stedi_assets.tables.buckets import BUCKET_MILLISECONDS, number

# The embedded engine takes milliseconds to plan each range of a condition, but looks numbers up in
# a list at once: more ranges are kept apart as long as they are no more buckets than these.
MAX_RANGES, MAX_BUCKETS = 48, 1024
FIRST_TIME, LAST_TIME = -(2**63), 2**63 - 1
# Who has not looked for longer reads all.
MAX_CHANGES = 64

# From the first to the last millisecond, both included (epoch milliseconds, UTC).
Range = tuple[int, int]
Ranges = tuple[Range, ...]


class Change(BaseModel, frozen=True):
    """A commit that changed rows.

    Attributes:
        id: Names the state of the table that it made.
        version: Its Delta version.
        ranges: The times of all rows that it may have changed; None where any may be.
    """

    id: str
    version: int
    ranges: Ranges | None = None


Changes = tuple[Change, ...]


def new_id() -> str:
    """An id that no other commit has."""
    return uuid.uuid4().hex[:16]


def after(changes: Changes, change: Change) -> Changes:
    """The last changes with one more; of earlier ones few ranges are kept, which may be wider."""
    earlier = (
        each.model_copy(update={"ranges": _nearest_joined(each.ranges)}) if each.ranges else each
        for each in changes[1 - MAX_CHANGES :]
    )
    return (*earlier, change)


def since(changes: Changes, id: str | None) -> Changes | None:
    """The changes after the state with an id; None where it is not known."""
    ids = [change.id for change in changes]
    return changes[ids.index(id) + 1 :] if id in ids else None


def ranges_of(changes: Iterable[Change]) -> Ranges | None:
    """The ranges of all of some changes; None where any time may have changed."""
    found = [change.ranges for change in changes]
    if any(ranges is None for ranges in found):
        return None
    return covering(each for ranges in found for each in ranges or ())


def covering(ranges: Iterable[Range]) -> Ranges:
    """Whole buckets that cover ranges, in order and apart from each other.

    Returns:
        At most `MAX_RANGES`, or as many as have at most `MAX_BUCKETS` together.
    """
    found = tuple(_joined(sorted(map(_in_buckets, ranges)), 0))
    within = sum(
        last // BUCKET_MILLISECONDS - first // BUCKET_MILLISECONDS for first, last in found
    )
    return found if within + len(found) <= MAX_BUCKETS else _nearest_joined(found)


def _nearest_joined(ranges: Ranges) -> Ranges:
    if len(ranges) <= MAX_RANGES:
        return ranges
    gaps = sorted(b[0] - a[1] for a, b in itertools.pairwise(ranges))
    return tuple(_joined(ranges, gaps[len(ranges) - MAX_RANGES - 1]))


def condition(column: str, ranges: Sequence[Range]) -> str:
    """As Spark SQL, whether a time is in one of some ranges."""
    if not ranges:
        return "false"
    if len(ranges) > MAX_RANGES:
        buckets = itertools.chain.from_iterable(
            range(first // BUCKET_MILLISECONDS, last // BUCKET_MILLISECONDS + 1)
            for first, last in ranges
        )
        # The wider ranges tell which files have none of them.
        wider = condition(column, _nearest_joined(tuple(ranges)))
        return f"({wider}) and {number(column)} in ({', '.join(map(str, buckets))})"
    # The embedded engine reads no literal of the first time.
    return " or ".join(
        f"(`{column}` between {first} and {last})"
        if first > FIRST_TIME
        else f"`{column}` <= {last}"
        for first, last in ranges
    )


def _in_buckets(times: Range) -> Range:
    first, last = (time // BUCKET_MILLISECONDS for time in times)
    until = (last + 1) * BUCKET_MILLISECONDS - 1
    return max(first * BUCKET_MILLISECONDS, FIRST_TIME), min(until, LAST_TIME)


def _joined(ranges: Sequence[Range], gap: int) -> Iterator[Range]:
    """Ranges in order, those joined that are no further apart than a gap."""
    open_range: Range | None = None
    for first, last in ranges:
        if open_range is None:
            open_range = first, last
        elif first - open_range[1] <= max(gap, 1):
            open_range = open_range[0], max(open_range[1], last)
        else:
            yield open_range
            open_range = first, last
    if open_range is not None:
        yield open_range
