"""The status of every table, from the tables' logs and Dagster's history."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
from dagster import AssetCheckEvaluation, AssetCheckKey, AssetCheckSeverity, DagsterEventType
from dagster._core.definitions.freshness import TimeWindowFreshnessPolicy

from stedi_assets import pictures
from stedi_assets.errors import Code, LakehouseError
from stedi_assets.lakehouse.lakehouse import Lakehouse
from stedi_assets.orchestration import metadata as asset_metadata
from stedi_assets.policy import NO_OPTION
from stedi_assets.tables import TABLES, Table, Zone

# How many runs that did not come to a check may follow its last evaluation.
RUNS_BACK = 20


@dataclass(frozen=True)
class CheckStatus:
    """The last evaluation of a check.

    Attributes:
        name: The check.
        description: Its rule.
        blocking: Whether downstream tables wait for it.
        evaluation: Its last result, which a run that failed since does not undo; None if it never
            had one.
        is_current: Whether that is of the table's last materialisation.
    """

    name: str
    description: str
    blocking: bool
    evaluation: AssetCheckEvaluation | None
    is_current: bool

    @property
    def verdict(self) -> str:
        """`passed`, `warned` or `failed`; `not run` if not since the table was made."""
        return self.last_verdict if self.is_current else "not run"

    @property
    def last_verdict(self) -> str:
        """`passed`, `warned` or `failed`, of whatever version; `not run` if it never had."""
        if self.evaluation is None:
            return "not run"
        if self.evaluation.passed:
            return "passed"
        warns = self.evaluation.severity is AssetCheckSeverity.WARN
        return "warned" if warns else "failed"

    @property
    def said(self) -> str:
        """What it found, and what to do about it."""
        return (self.evaluation.description if self.evaluation else None) or ""

    @property
    def figures(self) -> dict[str, int | float]:
        """The numbers in its metadata."""
        found = self.evaluation.metadata if self.evaluation else {}
        values = {name.replace("_", " "): value.value for name, value in found.items()}
        return {name: value for name, value in values.items() if isinstance(value, int | float)}


@dataclass(frozen=True)
class TableStatus:
    """The status of a table.

    Attributes:
        table: Its declaration.
        rows: Its rows, by its log.
        size_bytes: The size of its files.
        version: Its version; None of landing, which has none.
        materialized: When Dagster last materialised it.
        metadata: The metadata of that materialisation.
        freshness_policy: From what age on it warns and fails.
        parents: The assets that it is made of.
        checks: Its checks.
        policy: The privacy policy in force, of a table that has options; else empty.
        options: The options that the table was made with.
    """

    table: Table
    rows: int
    size_bytes: int
    version: int | None
    materialized: datetime
    metadata: Mapping[str, dg.MetadataValue]
    freshness_policy: TimeWindowFreshnessPolicy
    parents: Sequence[str]
    checks: Sequence[CheckStatus]
    policy: str
    options: str

    @property
    def warns_after(self) -> timedelta:
        """The age at which it warns."""
        window = self.freshness_policy.warn_window
        assert window is not None
        return window.to_timedelta()

    @property
    def fails_after(self) -> timedelta:
        """The age at which it fails."""
        return self.freshness_policy.fail_window.to_timedelta()

    def freshness(self, now: datetime) -> str:
        """`fresh`, `warned` or `failed`, by its age at a time."""
        age = now - self.materialized
        if age > self.fails_after:
            return "failed"
        return "warned" if age > self.warns_after else "fresh"

    @property
    def origins(self) -> Mapping[str, str]:
        """For each column the columns that it is made of, as `asset.column`."""
        lineage = self.metadata.get(asset_metadata.LINEAGE)
        if not isinstance(lineage, dg.TableColumnLineageMetadataValue):
            return {}
        return {
            column: ", ".join(f"{dep.asset_key.to_user_string()}.{dep.column_name}" for dep in deps)
            for column, deps in lineage.value.deps_by_column.items()
        }

    @property
    def figures(self) -> Mapping[str, Any]:
        """The figures of its pictures, by picture."""
        kept = self.metadata.get(pictures.FIGURES)
        figures = kept.value if isinstance(kept, dg.JsonMetadataValue) else None
        return figures if isinstance(figures, dict) else {}


def statuses(
    defs: dg.Definitions, instance: dg.DagsterInstance, lakehouse: Lakehouse
) -> list[TableStatus]:
    """The status of every table, in the order of `TABLES`.

    Raises:
        LakehouseError: If a table has not been materialised.
    """
    graph = defs.resolve_asset_graph()
    found = []
    for table in TABLES.values():
        asset = graph.get(dg.AssetKey(table.name))
        event = instance.get_latest_materialization_event(asset.key)
        state = lakehouse.state(table)
        rows, size = (state.rows, state.size_bytes) if state else (None, 0)
        if table.zone is Zone.LANDING:
            rows = _landed(table, lakehouse)
            size = sum(file.size for file in lakehouse.landing(table).files) if rows else 0
        if event is None or event.asset_materialization is None or rows is None:
            raise LakehouseError(
                f"{table.name} has not been materialised, so there is nothing to report: run "
                "`make materialize` first.",
                Code.NOT_MATERIALISED,
            )
        assert isinstance(asset.freshness_policy, TimeWindowFreshnessPolicy)
        found.append(
            TableStatus(
                table,
                rows,
                size,
                state.version if state else None,
                datetime.fromtimestamp(event.timestamp, UTC),
                event.asset_materialization.metadata,
                asset.freshness_policy,
                sorted(parent.to_user_string() for parent in asset.parent_keys),
                [
                    CheckStatus(
                        key.name,
                        graph.get(key).description or "",
                        graph.get(key).blocking,
                        *_evaluation_of(instance, key, event),
                    )
                    for key in sorted(graph.get_check_keys_for_assets({asset.key}))
                ],
                asset.metadata.get(asset_metadata.POLICY, ""),
                str(state.commit.config if state else NO_OPTION),
            )
        )
    return found


def _landed(landing: Table, lakehouse: Lakehouse) -> int | None:
    """The records of a landing table, as far as they were read."""
    found = lakehouse.records(landing).known_profile()
    return found.records if found else None


def _evaluation_of(
    instance: dg.DagsterInstance, check: AssetCheckKey, made: dg.EventLogEntry
) -> tuple[AssetCheckEvaluation | None, bool]:
    """The last evaluation, and whether it is of the last materialisation.

    Those that a run has only planned, or did not come to, are passed over.
    """
    history = instance.event_log_storage.get_asset_check_execution_history(check, RUNS_BACK)
    for record in history:
        event = record.event.dagster_event if record.event else None
        if event and event.event_type is DagsterEventType.ASSET_CHECK_EVALUATION:
            evaluation = event.asset_check_evaluation_data
            target = evaluation.target_materialization_data
            return evaluation, bool(target and target.timestamp == made.timestamp)
    return None, False
