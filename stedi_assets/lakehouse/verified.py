"""What the checks of a table have counted, kept beside it: only what has changed is counted anew.

It is kept by bucket of time (see `counting`), so that totals are those of the whole table.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ValidationError

from stedi_assets.lakehouse import changes, counting, delta, digests, lookups
from stedi_assets.lakehouse import counted as counted_module
from stedi_assets.lakehouse.changes import Change, Ranges
from stedi_assets.lakehouse.commit import UNKNOWN, Commit
from stedi_assets.lakehouse.counted import ROWS, Counted
from stedi_assets.lakehouse.counting import Given, Read, counted
from stedi_assets.lakehouse.lakehouse import Lakehouse
from stedi_assets.lakehouse.plan import is_fresh
from stedi_assets.pseudonyms import Pseudonyms
from stedi_assets.split import DEFAULT_SPLIT
from stedi_assets.tables import TABLES, Table, checks, code, plausible, recount, subjects
from stedi_assets.tables.customer import CUSTOMER_LANDING, CUSTOMER_TRUSTED
from stedi_assets.tables.functions import DEVICES, PAIRED, PEOPLE, applied, parameters
from stedi_assets.tables.hashes import HASH, row_hash
from stedi_assets.tables.schema import Through

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

FILE = "_verified.json"


class _Stored(BaseModel, frozen=True):
    """Counts, and of what they are.

    Attributes:
        format: The version of this model.
        code: A digest of the code that counted.
        ids: Table to the id of its state, of all that was read.
        valid: From when until when consent is what it was (epoch milliseconds, UTC); None where
            the table was not made of what there was.
        options: The options that the table was made with.
        counted: The counts.
    """

    format: Literal[1] = 1
    code: str
    ids: Mapping[str, str]
    valid: tuple[int, int] | None
    options: str = ""
    counted: Counted


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
    code_of_counts = _code(table)
    last = _load(lakehouse, table)
    before = last if last is not None and last.code == code_of_counts else None
    valid = _valid(lakehouse, table, now)
    sound = before is not None and before.counted.is_sound(table)
    still = before and before.valid and before.valid[0] <= now < before.valid[1]
    if before and sound and still and before.ids == ids:
        return before.counted

    reader = _Reader(lakehouse, table, commit, now)

    def count(ranges: Ranges | None, *, anyone_new: bool) -> Counted:
        return counted(
            table,
            reader.given(ranges),
            now,
            commit.config,
            pseudonyms,
            commit.split or DEFAULT_SPLIT,
            anyone_new=anyone_new,
        )

    found = None
    if before and sound and before.valid and valid and before.counted.by_bucket:
        new = changes.since(against[table.name], before.ids.get(table.name))
        ranges = changes.ranges_of(new) if new is not None and table.time_column else None
        if ranges is not None and (not new or _are_the_same(lakehouse, table, new[0], ranges)):
            customers = CUSTOMER_LANDING.name
            anyone_new = before.ids.get(customers) != ids.get(customers)
            found = before.counted.with_ranges(ranges, count(ranges, anyone_new=anyone_new))
            if state and found.totals[ROWS] != state.rows:
                found = None  # rows have changed that no commit of a run shows
    if found is None:
        found = count(None, anyone_new=True)
    options = str(commit.config)
    if last is not None and last.options == options:
        found = found.since(table, last.counted)
    if found.by_person:
        expected = found.totals[recount.EXPECTED]
        people = lookups.person_counts(lakehouse, table, reader.counted_by_person, expected)
        found = found.model_copy(update={"people": counting.figures_of_people(people)})
    if table.name in ids:
        stored = _Stored(code=code_of_counts, ids=ids, valid=valid, options=options, counted=found)
        lakehouse.keep_beside(table, FILE, stored.model_dump_json())
    return found


@dataclass(frozen=True)
class _Reader:
    """What the checks of a table read.

    Attributes:
        lakehouse: Where the tables are.
        table: The table.
        commit: What is kept with it.
        now: The time by which to judge consent (epoch milliseconds, UTC).
        recounts: The table's own recounts of some times, or of all.
    """

    lakehouse: Lakehouse
    table: Table
    commit: Commit
    now: int
    recounts: dict[Ranges | None, DataFrame] = field(default_factory=dict)

    def given(self, ranges: Ranges | None) -> Given:
        """What the counts of some times read, or those of all."""
        lakehouse = self.lakehouse

        def values(name: str, column: str) -> DataFrame:
            if ranges is None:
                return lookups.values(lakehouse, TABLES[name], [column])
            return self._at(ranges)(name).select(column).distinct()

        return Given(
            self._at(ranges),
            lambda name: lakehouse.scan(TABLES[name]),
            values,
            lambda name: lookups.value_counts(lakehouse, TABLES[name]),
            functools.partial(self._hashes, ranges),
            lambda: self._recounted(ranges),
            _landed(lakehouse, self.now),
            *_consenting(lakehouse, self.now),
        )

    def counted_by_person(self, ranges: Ranges | None) -> DataFrame:
        """The rows that a recount gives each person, by bucket."""
        return self._recounted(ranges).select(*recount.PERSON_COLUMNS)

    def _at(self, ranges: Ranges | None) -> Read:
        lakehouse = self.lakehouse

        def restricted(name: str) -> DataFrame:
            other = TABLES[name]
            return lookups.seen_by(lakehouse, self.table, other, lakehouse.read(other), ranges)

        return restricted

    def _recounted(self, ranges: Ranges | None) -> DataFrame:
        """The table's own recount; cached if it has times."""
        if ranges in self.recounts:
            return self.recounts[ranges]
        assert self.table.recount is not None
        at = self.commit.as_of or self.now
        landed = _landed(self.lakehouse, at)

        def read(name: str) -> DataFrame:
            if name == PAIRED:
                return self._paired(ranges)
            return landed[name] if name in landed else self._at(ranges)(name)

        found: DataFrame = applied(self.table.recount, read, at, self.commit.config)
        if self.table.time_column:
            found = self.lakehouse.spark.cached(found)
        self.recounts[ranges] = found
        return found

    def _paired(self, ranges: Ranges | None) -> DataFrame:
        """Readings of one millisecond, paired once a run for all tables counted by them."""
        tables = [TABLES[name] for name in parameters(recount.paired)]
        ids = [each.id for table in tables for each in self.lakehouse.changes(table)[-1:]]

        def find() -> DataFrame:
            found: DataFrame = applied(recount.paired, self._at(ranges), self.now)
            return self.lakehouse.spark.cached(found)

        return self.lakehouse.once(tables[0], f"{PAIRED} of {ids} in {ranges}", find)

    def _hashes(self, ranges: Ranges | None, columns: Sequence[str], known: DataFrame) -> DataFrame:
        [through] = (s for s in self.table.subjects if s.columns == tuple(columns))
        # Values that a table hides would be others for one with other options.
        assert isinstance(through, Through) and not set(columns) & set(self.table.pseudonymised)

        def find() -> DataFrame:
            rows = known.dropna()  # null, which is never found, has a hash
            return self.lakehouse.spark.cached(rows.select(row_hash(rows, columns).alias(HASH)))

        name = f"hashes of {through} at {self.now} in {ranges}"
        return self.lakehouse.once(TABLES[through.table], name, find)


def compared(table: Table) -> list[str]:
    """The names of the other tables that the checks of a table read."""
    names = [
        *table.parents,
        CUSTOMER_LANDING.name,
        *(target for target, _ in table.references.values()),
        *(subject.table for subject in table.subjects if isinstance(subject, Through)),
    ]
    return list(dict.fromkeys(names))


def _landed(lakehouse: Lakehouse, at: int) -> Mapping[str, DataFrame]:
    """Everyone who landed and their devices, as `recount` has them, looked for once a run."""

    def found() -> Mapping[str, DataFrame]:
        landed = lakehouse.scan(CUSTOMER_LANDING)
        made = {PEOPLE: recount.people(landed, at), DEVICES: recount.devices(landed, at)}
        return {name: lakehouse.spark.cached(frame) for name, frame in made.items()}

    return lakehouse.once(CUSTOMER_LANDING, f"landed at {at}", found)


def _consenting(lakehouse: Lakehouse, now: int) -> tuple[DataFrame, DataFrame]:
    """The people who consent, and their devices, looked for once a run."""

    def found() -> tuple[DataFrame, DataFrame]:
        landed = _landed(lakehouse, now)
        people = landed[PEOPLE].where("agrees").select("email")
        devices = landed[DEVICES].join(people, "email", "left_semi")
        theirs = devices.select("serialNumber").distinct()
        return people, lakehouse.spark.cached(theirs)

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
    return code.version(
        __name__, counted_module, counting, checks, recount, subjects, plausible, *own
    )


def _load(lakehouse: Lakehouse, table: Table) -> _Stored | None:
    content = lakehouse.kept_beside(table, FILE) if lakehouse.state(table) else None
    try:
        return _Stored.model_validate_json(content) if content else None
    except ValidationError:
        return None  # what is not known is counted anew
