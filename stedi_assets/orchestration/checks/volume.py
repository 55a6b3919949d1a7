"""Whether a table loses rows without a reason, judged before its new version is written.

The last version that was accepted is the current one, since one that is refused is never written.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import dagster as dg

from stedi_assets.erasure.record import records
from stedi_assets.lakehouse.delta import TableState
from stedi_assets.lakehouse.lakehouse import Lakehouse
from stedi_assets.landing.folder import LandingFolder
from stedi_assets.policy import Options
from stedi_assets.tables import LANDING_TABLES, Table
from stedi_assets.tables.accelerometer import ACCELEROMETER_LANDING, ACCELEROMETER_TRUSTED
from stedi_assets.tables.consent import person
from stedi_assets.tables.customer import CUSTOMER_CURATED, CUSTOMER_LANDING, CUSTOMER_TRUSTED
from stedi_assets.tables.machine_learning import MACHINE_LEARNING_CURATED
from stedi_assets.tables.step_trainer import STEP_TRAINER_LANDING, STEP_TRAINER_TRUSTED

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

VOLUME = "volume"
# As much as may be malformed or implausible. With the same rules and options every row of the last
# version is there again, but for the reasons that are counted, so that what is left is a fault.
MAX_UNEXPLAINED_SHARE = 0.01
WITHDRAWAL, ERASURE, REPLACED_FILE = "withdrawal", "erasure", "replaced_file"
CHANGED_CODE, CHANGED_OPTIONS = "changed_code", "changed_options"
# The one option that removes no row.
HIDES = "pseudonymise_devices"
DESCRIPTION = (
    "The table loses no more than 1 % of its rows, and does not become empty, without a reason: "
    "consent withdrawn, people erased, a source file replaced, other code or other options. Judged "
    "before the table is written: what is refused leaves the last version in its place."
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
            check_name=VOLUME,
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
    return dg.AssetCheckSpec(VOLUME, asset=table.name, blocking=True, description=DESCRIPTION)


def landed(lakehouse: Lakehouse) -> dict[str, dict[str, Any]]:
    """What landing holds now, to be kept with a commit: by table, of each that is read."""
    found = {}
    for table in LANDING_TABLES:
        if profile := lakehouse.landing_profile(table):
            superseded = superseded_files(lakehouse.landing(table))
            found[table.name] = {"records": profile.records, "superseded": superseded}
    return found


def superseded_files(folder: LandingFolder) -> str:
    """A digest of which files in landing are superseded: another says that a file was replaced."""
    ids = sorted(file.id for file in folder.ledger.files if not file.current)
    return hashlib.sha256(" ".join(ids).encode()).hexdigest()[:12]


def judge(
    lakehouse: Lakehouse,
    table: Table,
    frame: DataFrame,
    commit: Mapping[str, Any],
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
    before = last.commit.get("accepted_rows", last.rows)
    if rows >= before or accepted:
        return Volume(table, rows, before, accepted=accepted)
    if last.commit.get("code") != commit["code"]:
        return Volume(table, rows, before, {CHANGED_CODE: before - rows})
    options, earlier = Options.of(commit["config"]), Options.of(last.commit["config"])
    if set(options.beyond(earlier)) - {HIDES}:
        return Volume(table, rows, before, {CHANGED_OPTIONS: before - rows})
    # Pseudonyms differ by option and by key: rows that may have some are compared without.
    hidden = HIDES in options.enabled + earlier.enabled
    columns = [name for name in _columns(table) if not (hidden and name == "serialNumber")]
    lost = lakehouse.spark.cached(_lost(lakehouse.read(table), frame, columns))
    explained = _explained(lakehouse, table, lost, last, commit)
    return Volume(table, rows, before, {name: count for name, count in explained.items() if count})


def _explained(
    lakehouse: Lakehouse,
    table: Table,
    lost: DataFrame,
    last: TableState,
    commit: Mapping[str, Any],
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
    """By what rows are compared: of customers the key, since a newer record changes the rest."""
    of_customers = table in (CUSTOMER_TRUSTED, CUSTOMER_CURATED)
    return list(table.key) if of_customers else table.column_names


def _lost(last: DataFrame, frame: DataFrame, columns: list[str]) -> DataFrame:
    """The rows of the last version that the new one lacks, by some columns, `_rows` of each."""
    from pyspark.sql import functions as F

    each = last.select(*columns, F.lit(1).alias("_rows")).union(
        frame.select(*columns, F.lit(-1).alias("_rows"))
    )
    # A person may have no device, and joins find no null.
    known = each.fillna("", ["serialNumber"]) if "serialNumber" in columns else each
    return known.groupBy(*columns).agg(F.sum("_rows").alias("_rows")).where("_rows > 0")


def _origins(lakehouse: Lakehouse, table: Table) -> list[tuple[Table, DataFrame]]:
    """The landing tables of a table's rows, each with the columns by which a row is found in it."""
    customers, phones, devices = (lakehouse.read(each) for each in LANDING_TABLES)
    if table == STEP_TRAINER_TRUSTED:
        return [(STEP_TRAINER_LANDING, devices)]
    phones = phones.withColumn("user", person("user"))
    if table == ACCELEROMETER_TRUSTED:
        return [(ACCELEROMETER_LANDING, phones)]
    if table == MACHINE_LEARNING_CURATED:
        moved = phones.select("timestamp", "x", "y", "z")
        return [(ACCELEROMETER_LANDING, moved), (STEP_TRAINER_LANDING, devices)]
    owned = customers.select(person("email").alias("email"), "serialNumber").fillna("")
    people = owned.select("email")
    registered = owned.union(people.selectExpr("email", "''"))
    if table == CUSTOMER_TRUSTED:
        return [(CUSTOMER_LANDING, registered)]
    moved = phones.select("user").toDF("email")
    return [(CUSTOMER_LANDING, registered), (ACCELEROMETER_LANDING, moved)]


def _counted(lost: DataFrame, columns: list[str]) -> tuple[int, int]:
    """How many rows are lost, and of how many records."""
    from pyspark.sql import functions as F

    each = lost.groupBy(*columns).agg(F.sum("_rows").alias("_rows")) if columns else lost
    rows, records = F.coalesce(F.sum("_rows"), F.lit(0)), F.count(F.lit(1))
    [found] = each.agg(rows.alias("rows"), records.alias("records")).collect()
    return found.rows, found.records


def _gone_from(
    lakehouse: Lakehouse, landing: Table, last: TableState, commit: Mapping[str, Any]
) -> dict[str, int]:
    """Reason to the records that a landing table has fewer by it than the last version saw."""
    before = last.commit["landing"].get(landing.name)
    now = commit["landing"].get(landing.name)
    if not before or not now:
        return {}
    fewer = max(0, before["records"] - now["records"])
    erased = min(fewer, _lines_erased(lakehouse, landing, last.commit["as_of"])) if fewer else 0
    replaced = before["superseded"] != now["superseded"]
    return {ERASURE: erased, REPLACED_FILE: fewer - erased if replaced else 0}


def _lines_erased(lakehouse: Lakehouse, landing: Table, since: int) -> int:
    """The lines that erasures took out of a landing table since a time (epoch milliseconds)."""
    return sum(
        record["landing_lines"].get(landing.name, 0)
        for record in records(lakehouse.uri)
        if record["began"] >= since
    )
