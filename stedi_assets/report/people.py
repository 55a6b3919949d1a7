"""How many people agreed, withdrew, wait to be erased and were erased; never who they are."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import dagster as dg

from stedi_assets.erasure.record import Record, records
from stedi_assets.lakehouse import delta, maintenance
from stedi_assets.lakehouse.lakehouse import Lakehouse
from stedi_assets.orchestration import metadata
from stedi_assets.report.status import CheckStatus, TableStatus
from stedi_assets.tables import DELTA_TABLES, checks
from stedi_assets.tables.customer import CUSTOMER_TRUSTED

# As many as Dagster reads at a time: a year of a run an hour.
RUNS = 10_000
# By which it is shown that no row is someone's who does not agree, and that no value names anyone.
PROOFS = (checks.CONSENT.name, checks.NO_PERSONAL_DATA.name, checks.POLICY.name)


@dataclass(frozen=True)
class Moved:
    """The people who came and left in one run.

    Attributes:
        at: When their table was made.
        came: How many came.
        left: How many left.
        hours: The longest time from a withdrawal, by its own date, to that; None if not known.
    """

    at: datetime
    came: int
    left: int
    hours: float | None


@dataclass(frozen=True)
class OldVersions:
    """The versions of a table from before someone left, which can still be read.

    Attributes:
        table: The table.
        first: The first such version.
        last: The last one.
        since: When the oldest data file was written.
        files: How many data files only old versions need.
        people: How many people have left since the first of them, at most.
    """

    table: str
    first: int
    last: int
    since: datetime
    files: int
    people: int


@dataclass(frozen=True)
class People:
    """What is known of consent.

    Attributes:
        landed: How many people have landed; None if it is not known.
        agree: How many of them agree to research.
        withdrew: How many agreed once and do not now.
        moved: Who came and left, the last run first.
        erasures: The records of erasures, the last first.
        old: The old versions that hold someone who has left.
        proofs: Table, and those of its checks that show whose its rows are not.
    """

    landed: int | None
    agree: int | None
    withdrew: int | None
    moved: Sequence[Moved]
    erasures: Sequence[Record]
    old: Sequence[OldVersions]
    proofs: Sequence[tuple[str, Sequence[CheckStatus]]]

    @property
    def erased(self) -> int:
        """How many unique people were erased."""
        return len({person for each in self.erasures if each.finished for person in each.people})

    @property
    def waiting(self) -> int:
        """How many people have left and are in old versions, at most."""
        return max((each.people for each in self.old), default=0)

    @property
    def longest_hours(self) -> float | None:
        """The longest time from a withdrawal to the tables without that person."""
        return max((each.hours for each in self.moved if each.hours is not None), default=None)

    def since(self, moment: datetime | None) -> tuple[int, int]:
        """How many people have come and left since a moment; None for since ever."""
        recent = [each for each in self.moved if moment is None or each.at > moment]
        return sum(each.came for each in recent), sum(each.left for each in recent)


def people(
    statuses: Sequence[TableStatus], instance: dg.DagsterInstance, lakehouse: Lakehouse
) -> People:
    """What is known of consent, from the tables' logs, the records of erasures and the history."""
    found = next(each for each in statuses if each.table.name == CUSTOMER_TRUSTED.name)
    counts = next(each for each in found.checks if each.name == checks.COUNTS.name).figures
    landed, agree, withdrew = (
        int(counts[name]) if name in counts else None
        for name in ("people", "people agreeing", "people withdrawn")
    )
    moved = _moved(instance)
    return People(
        landed=landed,
        agree=agree,
        withdrew=withdrew,
        moved=moved,
        erasures=_erasures(lakehouse),
        old=[old for table in DELTA_TABLES if (old := _old(table.name, lakehouse, moved))],
        proofs=[
            (each.table.name, [check for check in each.checks if check.name in PROOFS])
            for each in statuses
            if each.table in DELTA_TABLES
        ],
    )


def _moved(instance: dg.DagsterInstance) -> list[Moved]:
    made = instance.fetch_materializations(dg.AssetKey(CUSTOMER_TRUSTED.name), limit=RUNS).records
    found = []
    for record in made:
        shown = record.asset_materialization.metadata if record.asset_materialization else {}
        came, left, hours = (
            shown[name].value if name in shown else None
            for name in (metadata.CAME, metadata.LEFT, metadata.WAITED)
        )
        if came or left:
            at = datetime.fromtimestamp(record.timestamp, UTC)
            waited = float(str(hours)) if hours is not None else None
            found.append(Moved(at, int(str(came or 0)), int(str(left or 0)), waited))
    return found


def _erasures(lakehouse: Lakehouse) -> list[Record]:
    known = {field.name for field in dataclasses.fields(Record)}
    stored = [
        Record(**{name: value for name, value in each.items() if name in known})
        for each in records(lakehouse.uri)
    ]
    return sorted(stored, key=lambda each: each.began, reverse=True)


def _old(name: str, lakehouse: Lakehouse, moved: Sequence[Moved]) -> OldVersions | None:
    table = next(each for each in DELTA_TABLES if each.name == name)
    uri = lakehouse.uri_of(table)
    kept = maintenance.superseded_since(uri)
    left = [each.at for each in moved if each.left]
    stored = delta.open_table(uri)
    if kept is None or not left or stored is None:
        return None
    files, since = kept
    last_removal = max(left).timestamp() * 1000
    versions = [
        (int(entry["version"]), int(entry["timestamp"]))
        for entry in stored.history()
        if entry["version"] < stored.version() and entry["timestamp"] < last_removal
    ]
    held = [(version, at) for version, at in versions if at >= since]
    if not held:
        return None
    first, at = min(held)
    people = sum(each.left for each in moved if each.at.timestamp() * 1000 > at)
    return OldVersions(
        name, first, max(held)[0], datetime.fromtimestamp(since / 1000, UTC), files, people
    )
