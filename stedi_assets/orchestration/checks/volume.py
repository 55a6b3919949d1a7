"""Whether a table loses rows without a reason, judged before its new version is written.

The last version that was accepted is the current one, since one that is refused is never written.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import dagster as dg

from stedi_assets.lakehouse.commit import Landed
from stedi_assets.lakehouse.lakehouse import Lakehouse
from stedi_assets.lakehouse.making import NewVersion
from stedi_assets.lakehouse.plan import Mode
from stedi_assets.landing.folder import LandingFolder
from stedi_assets.orchestration.checks import losses
from stedi_assets.tables import LANDING_TABLES, Table
from stedi_assets.tables.schema import Check

# As much as may be malformed or implausible. With the same rules and options every row of the last
# version is there again, but for the reasons that are counted, so that what is left is a fault.
MAX_UNEXPLAINED_SHARE = 0.01
EXPLAINED_BY = "explained_by_"
CHANGED_CODE, CHANGED_OPTIONS = "changed_code", "changed_options"
# The one option that removes no row.
HIDES = "pseudonymise_devices"
VOLUME = Check(
    "volume",
    "The table loses no more than 1 % of its rows, and does not become empty, without a reason: "
    "consent withdrawn, people erased, a source file replaced, other code or other options. Judged "
    "before the table is written: what is refused leaves the last version in its place.",
    blocking=True,
)


@dataclass(frozen=True)
class Volume:
    """How a new version's rows compare with the last accepted version's.

    Attributes:
        table: The table.
        rows: The rows about to be written.
        accepted_rows: Those that the last accepted version should have; None if there is none.
        explained: Reason to the rows that are lost by it.
        accepted: Whether the run accepts any loss.
        made: How many rows the run has made.
        replaced: How many those stand in place of.
    """

    table: Table
    rows: int
    accepted_rows: int | None
    explained: Mapping[str, int] = field(default_factory=dict)
    accepted: bool = False
    made: int = 0
    replaced: int = 0

    @property
    def unexplained(self) -> int:
        """The rows that are lost without a reason."""
        return max(0, (self.accepted_rows or 0) - sum(self.explained.values()) - self.rows)

    @property
    def passed(self) -> bool:
        """Whether the new version may be written."""
        allowed = MAX_UNEXPLAINED_SHARE * (self.accepted_rows or 0) if self.rows else 0
        return self.accepted or self.unexplained <= allowed

    @property
    def next_accepted_rows(self) -> int:
        """What the next version is compared with: small losses without a reason add up."""
        return self.rows if self.accepted else self.rows + self.unexplained

    def result(self) -> dg.AssetCheckResult:
        """The check's result, with its figures."""
        figures = {f"{EXPLAINED_BY}{reason}": rows for reason, rows in self.explained.items()}
        if self.accepted_rows is not None:
            figures |= {"accepted_rows": self.accepted_rows, "unexplained": self.unexplained}
        return dg.AssetCheckResult(
            asset_key=self.table.name,
            check_name=VOLUME.name,
            passed=self.passed,
            description=self._description(),
            metadata={"rows": self.rows, **figures},
        )

    def _description(self) -> str | None:
        if not self.unexplained and not self.explained:
            return None
        reasons = [
            f"{rows:,} explained by {reason.replace('_', ' ')}"
            for reason, rows in self.explained.items()
        ]
        compared = (
            f"{self.rows:,} rows, {self.accepted_rows:,} in the last accepted version; "
            f"{', '.join([*reasons, f'{self.unexplained:,} lost without a reason'])}."
        )
        if self.accepted and self.unexplained:
            return f"{compared} The run accepts that by accept_volume."
        if self.passed:
            return compared
        return (
            f"{compared} The table keeps that version. Restore what is missing in landing, or set "
            f"accept_volume: true in the run configuration of {self.table.name} to accept the loss."
        )


def spec(table: Table) -> dg.AssetCheckSpec:
    """The check of a derived table."""
    return dg.AssetCheckSpec(
        VOLUME.name, asset=table.name, blocking=VOLUME.blocking, description=VOLUME.description
    )


def landed(lakehouse: Lakehouse) -> dict[str, Landed]:
    """What landing holds now, to be kept with a commit: by table, of each that is read."""
    found = {}
    for table in LANDING_TABLES:
        if profile := lakehouse.landing_profile(table):
            superseded = superseded_files(lakehouse.landing(table))
            found[table.name] = Landed(records=profile.records, superseded=superseded)
    return found


def superseded_files(folder: LandingFolder) -> str:
    """A digest of which files in landing are superseded: another says that a file was replaced."""
    ids = sorted(file.id for file in folder.ledger.files if not file.current)
    return hashlib.sha256(" ".join(ids).encode()).hexdigest()[:12]


def first(lakehouse: Lakehouse, table: Table) -> Volume:
    """What there is to say of a table's first version, which is compared with nothing."""
    state = lakehouse.state(table)
    assert state is not None
    return Volume(table, state.rows, None)


def judge(lakehouse: Lakehouse, table: Table, new: NewVersion, *, accepted: bool) -> Volume:
    """Compares a table's new rows with its last accepted version.

    It counts the new rows, which must be cached. Only if there are fewer than before it reads the
    last version, which there must be, and what landed.

    Args:
        lakehouse: Where the tables are.
        table: The table.
        new: Its next version; of what is to be kept with it: `code`, `config`, `landing`.
        accepted: Whether the run accepts any loss.
    """
    last = lakehouse.state(table)
    assert last is not None
    accepted_rows = last.commit.accepted_rows
    before = last.rows if accepted_rows is None else accepted_rows
    if new.frame is None or new.commit is None:
        return Volume(table, last.rows, before, accepted=accepted)
    replaced = new.plan.restricted(table, lakehouse.scan(table))
    in_place_of = replaced.count() if new.plan.mode is Mode.RANGES else last.rows
    made = new.frame.count()
    rows = last.rows - in_place_of + made
    found = Volume(table, rows, before, accepted=accepted, made=made, replaced=in_place_of)
    if rows >= before or accepted:
        return found
    if last.commit.code != new.commit.code:
        return replace(found, explained={CHANGED_CODE: before - rows})
    options, earlier = new.commit.config, last.commit.config
    if set(options.beyond(earlier)) - {HIDES}:
        return replace(found, explained={CHANGED_OPTIONS: before - rows})
    # Pseudonyms differ by option and by key: rows that may have some are compared without.
    hidden = HIDES in options.enabled + earlier.enabled
    columns = [
        name
        for name in losses.compared_columns(table)
        if not (hidden and name in table.pseudonymised)
    ]
    lost = losses.lost_rows(lakehouse, replaced, new.frame, columns)
    explained = losses.explained(lakehouse, table, lost, last, new.commit)
    return replace(found, explained={name: n for name, n in explained.items() if n})
