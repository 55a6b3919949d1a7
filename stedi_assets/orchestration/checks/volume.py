"""Whether a table loses rows without a reason, judged before its new version is written.

The last version that was accepted is the current one, since one that is refused is never written.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import dagster as dg

from stedi_assets.erasure.record import records
from stedi_assets.lakehouse.commit import Commit, Landed
from stedi_assets.lakehouse.delta import TableState
from stedi_assets.lakehouse.lakehouse import Lakehouse
from stedi_assets.landing.folder import LandingFolder
from stedi_assets.tables import LANDING_TABLES, TABLES, Column, Table, Zone
from stedi_assets.tables.consent import person
from stedi_assets.tables.schema import Check, Person

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

# As much as may be malformed or implausible. With the same rules and options every row of the last
# version is there again, but for the reasons that are counted, so that what is left is a fault.
MAX_UNEXPLAINED_SHARE = 0.01
WITHDRAWAL, ERASURE, REPLACED_FILE = "withdrawal", "erasure", "replaced_file"
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
    """

    table: Table
    rows: int
    accepted_rows: int | None
    explained: Mapping[str, int] = field(default_factory=dict)
    accepted: bool = False

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
        figures = {f"explained_by_{reason}": rows for reason, rows in self.explained.items()}
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


def judge(
    lakehouse: Lakehouse,
    table: Table,
    frame: DataFrame,
    commit: Commit,
    *,
    accepted: bool,
) -> Volume:
    """Compares a table's new rows with its last accepted version.

    It counts the new rows, which must be cached. Only if there are fewer than before it reads the
    last version and what landed.

    Args:
        lakehouse: Where the tables are.
        table: The table.
        frame: Its new rows, cached.
        commit: What is to be kept with them: `code`, `config`, `landing`.
        accepted: Whether the run accepts any loss.
    """
    rows = frame.count()
    last = lakehouse.state(table)
    if last is None:
        return Volume(table, rows, None, accepted=accepted)
    accepted_rows = last.commit.accepted_rows
    before = last.rows if accepted_rows is None else accepted_rows
    if rows >= before or accepted:
        return Volume(table, rows, before, accepted=accepted)
    if last.commit.code != commit.code:
        return Volume(table, rows, before, {CHANGED_CODE: before - rows})
    options, earlier = commit.config, last.commit.config
    if set(options.beyond(earlier)) - {HIDES}:
        return Volume(table, rows, before, {CHANGED_OPTIONS: before - rows})
    # Pseudonyms differ by option and by key: rows that may have some are compared without.
    hidden = HIDES in options.enabled + earlier.enabled
    columns = [name for name in _columns(table) if not (hidden and name in table.pseudonymised)]
    lost = lakehouse.spark.cached(_lost(lakehouse.read(table), frame, columns))
    explained = _explained(lakehouse, table, lost, last, commit)
    return Volume(table, rows, before, {name: count for name, count in explained.items() if count})


def _explained(
    lakehouse: Lakehouse,
    table: Table,
    lost: DataFrame,
    last: TableState,
    commit: Commit,
) -> dict[str, int]:
    """Reason to the rows that are lost by it.

    With the same code and options a row whose records are still in landing is lost because its
    person no longer agrees. Others are explained as far as records left landing for a reason.
    """
    explained = dict.fromkeys((WITHDRAWAL, ERASURE, REPLACED_FILE), 0)
    remaining = lost
    for landing, known in _origins(lakehouse, table):
        columns = [name for name in known.columns if name in lost.columns]
        known = known.select(*columns)
        rows, records = _counted(lost.join(known, columns, "left_anti"), columns)
        for reason, gone in _gone_from(lakehouse, landing, last, commit).items():
            # A record may have many rows, and as many records may have come as are gone.
            explained[reason] += rows if records <= gone else rows * gone // records
        remaining = remaining.join(known, columns, "left_semi")
    explained[WITHDRAWAL], _ = _counted(remaining, [])
    return explained


def _columns(table: Table) -> list[str]:
    """By what rows are compared: of people by the key, since a newer record changes the rest."""
    return list(table.key) if _is_of_people(table) else table.column_names


def _is_of_people(table: Table) -> bool:
    """Whether a row stands for a person by their latest record, rather than for a record."""
    return any(
        _origin(table, column)[0].superseded_count for column in table.key or table.column_names[:1]
    )


def _origin(table: Table, column: str) -> tuple[Table, str]:
    """The landing table that a column's values come from, and their column there."""
    if table.zone is Zone.LANDING:
        return table, column
    parents = (TABLES[name] for name in table.parents)
    return _origin(next(each for each in parents if column in each.column_names), column)


def _lost(last: DataFrame, frame: DataFrame, columns: list[str]) -> DataFrame:
    """The rows of the last version that the new one lacks, by some columns, `_rows` of each."""
    from pyspark.sql import functions as F

    each = last.select(*columns, F.lit(1).alias("_rows")).union(
        frame.select(*columns, F.lit(-1).alias("_rows"))
    )
    # A person may have no device, and joins find no null.
    texts = [name for name, kind in each.dtypes if kind == "string"]
    known = each.fillna("", texts) if texts else each
    return known.groupBy(*columns).agg(F.sum("_rows").alias("_rows")).where("_rows > 0")


def _origins(lakehouse: Lakehouse, table: Table) -> list[tuple[Table, DataFrame]]:
    """The landing tables of a table's rows, each with the columns by which a row is found in it."""
    from pyspark.sql import functions as F

    columns = _columns(table)
    found: dict[str, dict[str, str]] = {}
    for column in columns:
        landing, name = _origin(table, column)
        found.setdefault(landing.name, {})[column] = name
    if _is_of_people(table):
        # A person's row goes with the last row that refers to them.
        for column, (target, name) in table.references.items():
            landing, origin = _origin(TABLES[target], name)
            found.setdefault(landing.name, {})[column] = origin
    origins = []
    for landed, names in found.items():
        landing = TABLES[landed]
        people = {s.column for s in landing.subjects if isinstance(s, Person)}
        optional = [n for n in names if not _column(landing, names[n]).required]
        values = {n: person(o) if o in people else F.col(o) for n, o in names.items()}
        rows = lakehouse.read(landing).select(*[v.alias(name) for name, v in values.items()])
        if optional:
            # Someone may have none, beside those that their records name.
            none = rows.withColumns({name: F.lit(None).cast("string") for name in optional})
            rows = rows.union(none).fillna("", optional)
        origins.append((landing, rows))
    return origins


def _column(table: Table, name: str) -> Column:
    return next(column for column in table.columns if column.name == name)


def _counted(lost: DataFrame, columns: list[str]) -> tuple[int, int]:
    """How many rows are lost, and of how many records."""
    from pyspark.sql import functions as F

    each = lost.groupBy(*columns).agg(F.sum("_rows").alias("_rows")) if columns else lost
    rows, records = F.coalesce(F.sum("_rows"), F.lit(0)), F.count(F.lit(1))
    [found] = each.agg(rows.alias("rows"), records.alias("records")).collect()
    return found.rows, found.records


def _gone_from(
    lakehouse: Lakehouse, landing: Table, last: TableState, commit: Commit
) -> dict[str, int]:
    """Reason to the records that a landing table has fewer by it than the last version saw."""
    before = last.commit.landing.get(landing.name)
    now = commit.landing.get(landing.name)
    made = last.commit.as_of
    if not before or not now or made is None:
        return {}
    fewer = max(0, before.records - now.records)
    erased = min(fewer, _lines_erased(lakehouse, landing, made)) if fewer else 0
    replaced = before.superseded != now.superseded
    return {ERASURE: erased, REPLACED_FILE: fewer - erased if replaced else 0}


def _lines_erased(lakehouse: Lakehouse, landing: Table, since: int) -> int:
    """The lines that erasures took out of a landing table since a time (epoch milliseconds)."""
    return sum(
        record["landing_lines"].get(landing.name, 0)
        for record in records(lakehouse.uri)
        if record["began"] >= since
    )
