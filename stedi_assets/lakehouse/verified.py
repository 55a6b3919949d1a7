"""What the checks of a table have counted, kept beside it: only what has changed is counted anew.

What is counted of a bucket of time is kept by bucket, so that totals are those of the whole table.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ValidationError

from stedi_assets.lakehouse import changes, delta, digests
from stedi_assets.lakehouse.changes import Change, Ranges
from stedi_assets.lakehouse.commit import UNKNOWN
from stedi_assets.lakehouse.lakehouse import Lakehouse
from stedi_assets.lakehouse.plan import is_fresh
from stedi_assets.policy import Options
from stedi_assets.pseudonyms import Pseudonyms
from stedi_assets.tables import TABLES, Table, checks, code, plausible, recount, subjects
from stedi_assets.tables.buckets import BUCKET, BUCKET_MILLISECONDS
from stedi_assets.tables.customer import CUSTOMER_LANDING, CUSTOMER_TRUSTED
from stedi_assets.tables.schema import Check, Through, applied
from stedi_assets.tables.subjects import Values

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, Row

Read = Callable[[str], "DataFrame"]
FILE = "_verified.json"
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
    """

    buckets: Mapping[int, Mapping[str, int]]
    faults: Mapping[str, int]
    schema_faults: tuple[str, ...] = ()
    further: Mapping[str, int] = {}
    by_bucket: bool = True

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


class _Stored(BaseModel, frozen=True):
    """Counts, and of what they are.

    Attributes:
        format: The version of this model.
        code: A digest of the code that counted.
        ids: Table to the id of its state, of all that was read.
        valid: From when until when consent is what it was (epoch milliseconds, UTC); None where
            the table was not made of what there was.
        counted: The counts.
    """

    format: Literal[1] = 1
    code: str
    ids: Mapping[str, str]
    valid: tuple[int, int] | None
    counted: Counted


@dataclass(frozen=True)
class _Tables:
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


def verified(lakehouse: Lakehouse, table: Table, now: int, pseudonyms: Pseudonyms) -> Counted:
    """What the checks of a table count, of all of it.

    Args:
        lakehouse: Where the tables are.
        table: The table.
        now: The time by which to judge consent: who agreed when the table was made agrees later
            too, unless a newer record says otherwise (epoch milliseconds, UTC).
        pseudonyms: Makes the pseudonyms.
    """
    state = lakehouse.state(table)
    commit = state.commit if state else UNKNOWN
    against = {name: lakehouse.changes(TABLES[name]) for name in (table.name, *compared(table))}
    ids = {name: each[-1].id for name, each in against.items() if each}
    counting = _code(table)
    before = _load(lakehouse, table)
    if before is not None and before.code != counting:
        before = None
    valid = _valid(lakehouse, table, now)
    sound = before is not None and before.counted.is_sound(table)
    still = before and before.valid and before.valid[0] <= now < before.valid[1]
    if before and sound and still and before.ids == ids:
        return before.counted

    def whole(name: str) -> DataFrame:
        return lakehouse.scan(TABLES[name])

    def count(ranges: Ranges | None, *, anyone_new: bool) -> Counted:
        def restricted(name: str) -> DataFrame:
            other = TABLES[name]
            return lakehouse.seen_by(table, other, lakehouse.read(other), ranges)

        given = _Tables(restricted, whole, *_consenting(lakehouse, now))
        as_of = commit.as_of or now
        return counted(table, given, as_of, now, commit.config, pseudonyms, anyone_new=anyone_new)

    found = None
    if before and sound and before.valid and valid and before.counted.by_bucket:
        new = changes.since(against[table.name], before.ids.get(table.name))
        ranges = changes.ranges_of(new) if new is not None and table.time_column else None
        if ranges is not None and (not new or _are_the_same(lakehouse, table, new[0], ranges)):
            customers = CUSTOMER_LANDING.name
            anyone_new = before.ids.get(customers) != ids.get(customers)
            found = before.counted.with_ranges(ranges, count(ranges, anyone_new=anyone_new))
            if state and found.totals[ROWS] != state.rows:
                found = None  # rows have come or gone that no commit of a run tells of
    if found is None:
        found = count(None, anyone_new=True)
    if table.name in ids:
        stored = _Stored(code=counting, ids=ids, valid=valid, counted=found)
        lakehouse.keep_beside(table, FILE, stored.model_dump_json())
    return found


def compared(table: Table) -> list[str]:
    """The names of the other tables that the checks of a table read."""
    names = [
        *table.parents,
        CUSTOMER_LANDING.name,
        *(target for target, _ in table.references.values()),
        *(subject.table for subject in table.subjects if isinstance(subject, Through)),
    ]
    return list(dict.fromkeys(names))


def counted(
    table: Table,
    given: _Tables,
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


def _consenting(lakehouse: Lakehouse, now: int) -> tuple[DataFrame, DataFrame]:
    """The people who consent, and their devices, looked for once a run."""

    def found() -> tuple[DataFrame, DataFrame]:
        landed = lakehouse.scan(CUSTOMER_LANDING)
        people = recount.people(landed, now).where("agrees").select("email")
        people = lakehouse.spark.cached(people)
        devices = recount.devices(landed, now).join(people, "email", "left_semi")
        return people, lakehouse.spark.cached(devices.select("serialNumber").distinct())

    return lakehouse.once(CUSTOMER_LANDING, f"consenting at {now}", found)


def _valid(lakehouse: Lakehouse, table: Table, now: int) -> tuple[int, int] | None:
    """From when until when who consents is who did when the customers were made.

    None where that is not now, or the table was made of others.
    """
    if not (is_fresh(lakehouse, table) and is_fresh(lakehouse, CUSTOMER_TRUSTED)):
        return None
    state = lakehouse.state(CUSTOMER_TRUSTED)
    valid = state.commit.valid if state else None
    return valid if valid and valid[0] <= now < valid[1] else None


def _are_the_same(lakehouse: Lakehouse, table: Table, first: Change, ranges: Ranges) -> bool:
    """Whether a table's rows of other times are those that it had before some changes.

    Only files that came or went since are read, by digests of their rows.
    """
    uri, state = lakehouse.uri_of(table), lakehouse.state(table)
    assert state is not None and table.time_column is not None
    before = delta.files_of_version(uri, first.version - 1)
    now = delta.files_of_version(uri, state.version)
    if before is None or now is None:
        return False
    others = f"not ({changes.condition(table.time_column, ranges)})"

    def rows(files: set[str]) -> DataFrame:
        session = lakehouse.spark_session
        if not files:
            return session.createDataFrame([], table.ddl)
        return session.read.schema(table.ddl).parquet(*sorted(files)).where(others)

    gone, came = set(before) - set(now), set(now) - set(before)
    return digests.compare(table, rows(gone), rows(came)).equal


def _code(table: Table) -> str:
    own = [table.rule.__module__] if table.rule else []
    return code.version(__name__, checks, recount, subjects, plausible, *own)


def _within(number: int, ranges: Ranges) -> bool:
    start = max(number * BUCKET_MILLISECONDS, changes.FIRST_TIME)
    return any(first <= start <= last for first, last in ranges)


def _load(lakehouse: Lakehouse, table: Table) -> _Stored | None:
    content = lakehouse.kept_beside(table, FILE) if lakehouse.state(table) else None
    try:
        return _Stored.model_validate_json(content) if content else None
    except ValidationError:
        return None  # what is not known is counted anew
