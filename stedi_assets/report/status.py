"""How the lakehouse stands: what its logs say, and what Dagster keeps of the last runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
from dagster import AssetCheckEvaluation, AssetCheckKey, AssetCheckSeverity, DagsterEventType
from dagster._core.definitions.freshness import TimeWindowFreshnessPolicy

from stedi_assets import pictures, tables
from stedi_assets.errors import LakehouseError
from stedi_assets.lakehouse.lakehouse import Lakehouse
from stedi_assets.orchestration import metadata as describe
from stedi_assets.policy import NO_OPTION
from stedi_assets.tables import TABLES, Table, Zone


@dataclass(frozen=True)
class Check:
    """How a check ended when it last ran.

    Attributes:
        name: The check.
        description: Its rule.
        blocking: Whether what follows waits for it.
        evaluation: What it found; None if it has not run on the table as it is now.
    """

    name: str
    description: str
    blocking: bool
    evaluation: AssetCheckEvaluation | None

    @property
    def verdict(self) -> str:
        """In a word."""
        if self.evaluation is None:
            return "not run"
        if self.evaluation.passed:
            return "passed"
        warns = self.evaluation.severity is AssetCheckSeverity.WARN
        return "warned" if warns else "failed"

    @property
    def figures(self) -> dict[str, int | float]:
        """The numbers that it told."""
        found = self.evaluation.metadata if self.evaluation else {}
        values = {name.replace("_", " "): value.value for name, value in found.items()}
        return {name: value for name, value in values.items() if isinstance(value, int | float)}


@dataclass(frozen=True)
class Standing:
    """A table as it is.

    Attributes:
        table: Its declaration.
        rows: Its rows, by its log.
        size_bytes: The size of its files.
        materialized: When Dagster last made it.
        warns_after: From what age on it is declared to warn.
        fails_after: From what age on it is declared to fail.
        metadata: What Dagster keeps of that.
        parents: The assets that it is made of.
        checks: Its checks.
        policy: The privacy policy in force, of a table that has options; else nothing.
        options: The options that the table was made with.
    """

    table: Table
    rows: int
    size_bytes: int
    materialized: datetime
    warns_after: timedelta
    fails_after: timedelta
    metadata: Mapping[str, dg.MetadataValue]
    parents: Sequence[str]
    checks: Sequence[Check]
    policy: str
    options: str

    def freshness(self, now: datetime) -> str:
        """In a word, how its age at a time stands to its policy."""
        age = now - self.materialized
        if age > self.fails_after:
            return "failed"
        return "warned" if age > self.warns_after else "fresh"

    @property
    def origins(self) -> Mapping[str, str]:
        """For each column what it is taken from, as `asset.column`."""
        lineage = self.metadata.get(describe.LINEAGE)
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


def standings(
    defs: dg.Definitions, instance: dg.DagsterInstance, lakehouse: Lakehouse
) -> list[Standing]:
    """Every table as it is.

    Args:
        defs: The project.
        instance: Keeps the history of runs.
        lakehouse: Reads the tables' logs.

    Raises:
        LakehouseError: If a table has not been materialised.
    """
    graph = defs.resolve_asset_graph()
    found = []
    for table in TABLES.values():
        key = dg.AssetKey(table.name)
        event = instance.get_latest_materialization_event(key)
        rows = _rows(table, lakehouse)
        if event is None or event.asset_materialization is None or rows is None:
            raise LakehouseError(
                f"{table.name} has not been materialised, so there is nothing to report: run "
                "`make materialize` first."
            )
        metadata = event.asset_materialization.metadata
        policy = graph.get(key).freshness_policy
        assert isinstance(policy, TimeWindowFreshnessPolicy)
        assert policy.warn_window is not None
        found.append(
            Standing(
                table,
                rows,
                int(str(metadata["size_bytes"].value)),
                datetime.fromtimestamp(event.timestamp, UTC),
                policy.warn_window.to_timedelta(),
                policy.fail_window.to_timedelta(),
                metadata,
                sorted(parent.to_user_string() for parent in graph.get(key).parent_keys),
                _checks(defs, instance, key, event),
                graph.get(key).metadata.get(describe.POLICY, ""),
                _options(table, lakehouse),
            )
        )
    return found


def _rows(table: Table, lakehouse: Lakehouse) -> int | None:
    """A table's rows by its log; those of landing are kept with what was set aside of it."""
    if table.zone is not Zone.LANDING:
        state = lakehouse.state(table)
        return state.rows if state else None
    state = lakehouse.state(tables.quarantine_of(table))
    profile = state.commit.profile if state else None
    return profile.records if profile else None


def _options(table: Table, lakehouse: Lakehouse) -> str:
    """The options that a table was made with, as its own log has them."""
    state = lakehouse.state(table)
    return str(state.commit.config if state else NO_OPTION)


def _checks(
    defs: dg.Definitions, instance: dg.DagsterInstance, key: dg.AssetKey, made: dg.EventLogEntry
) -> list[Check]:
    graph = defs.resolve_asset_graph()
    keys = sorted(graph.get_check_keys_for_assets({key}))
    return [
        Check(
            check.name,
            graph.get(check).description or "",
            graph.get(check).blocking,
            _evaluation_of(instance, check, made),
        )
        for check in keys
    ]


def _evaluation_of(
    instance: dg.DagsterInstance, check: AssetCheckKey, made: dg.EventLogEntry
) -> AssetCheckEvaluation | None:
    """The last evaluation, unless it is planned only or of what a materialisation has replaced."""
    record = instance.get_latest_asset_check_evaluation_record(check)
    event = record.event.dagster_event if record and record.event else None
    if event is None or event.event_type is not DagsterEventType.ASSET_CHECK_EVALUATION:
        return None
    evaluation = event.asset_check_evaluation_data
    target = evaluation.target_materialization_data
    return evaluation if target and target.timestamp == made.timestamp else None
