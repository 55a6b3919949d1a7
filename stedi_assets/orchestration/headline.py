"""The headline of a run: what arrived, what was made of it, who came and left, and new warnings.

It is found in what the run has recorded, so that it costs no query of a table. The list of runs
shows it as tags, and the page of the asset `lakehouse_runs` plots its numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import dagster as dg
from dagster import AssetCheckEvaluation, DagsterEvent, DagsterEventType
from dagster._core.events import AssetObservationData

from stedi_assets.lakehouse.plan import Mode
from stedi_assets.orchestration import metadata
from stedi_assets.orchestration.checks.losses import WITHDRAWAL
from stedi_assets.orchestration.checks.volume import EXPLAINED_BY
from stedi_assets.tables import DELTA_TABLES, LANDING_TABLES, Zone
from stedi_assets.tables.customer import CUSTOMER_TRUSTED
from stedi_assets.tables.schema import DATA_TEAM

RUNS = dg.AssetSpec(
    "lakehouse_runs",
    group_name="runs",
    owners=[DATA_TEAM],
    description=(
        "What each run of the lakehouse did, as numbers: files read, rows in the tables that no "
        "other is made of, people who agree, who came and who left, rows removed because people "
        "withdrew, and warnings that are new. *Plots* shows them over time; the list of "
        "[runs](/runs) has them as tags. An erasure says how many people it erased, from where, "
        f"and how much was read to prove it.\n\n{metadata.LINK}"
    ),
)
# The tables that no other is made of, but for the training set, which is of the same readings.
LAST = [
    table.name
    for table in DELTA_TABLES
    if table.zone is not Zone.TRAINING
    and not any(table.name in other.parents for other in DELTA_TABLES)
]
WIDEST_FIRST = (Mode.WHOLE, Mode.RANGES, Mode.UNCHANGED)

Figures = Mapping[str, int | str]


def add(instance: dg.DagsterInstance, run_id: str) -> None:
    """Adds its headline to a run that has executed its steps, if it has made or checked a table."""
    kinds = {DagsterEventType.ASSET_MATERIALIZATION, DagsterEventType.ASSET_CHECK_EVALUATION}
    entries = instance.all_logs(run_id, of_type=kinds)
    events = [entry.dagster_event for entry in entries if entry.dagster_event]
    made = {
        str(event.asset_key.to_user_string()): _values(
            event.step_materialization_data.materialization.metadata
        )
        for event in events
        if event.event_type is DagsterEventType.ASSET_MATERIALIZATION and event.asset_key
    }
    checks = [
        event.asset_check_evaluation_data
        for event in events
        if event.event_type is DagsterEventType.ASSET_CHECK_EVALUATION
    ]
    if not events:
        return
    figures = {**_of_tables(made), **_of_people(made, checks)}
    new = [_name(check) for check in checks if not check.passed and _is_new(instance, check)]
    figures["new_warnings"] = len(new)
    names = {"which_warnings": ", ".join(new)} if new else {}
    add_tags(instance, run_id, figures)
    run = instance.get_run_by_id(run_id)
    assert run is not None
    observed = AssetObservationData(dg.AssetObservation(RUNS.key, metadata={**figures, **names}))
    event = DagsterEvent(
        DagsterEventType.ASSET_OBSERVATION.value, run.job_name, event_specific_data=observed
    )
    instance.report_dagster_event(event, run_id)


def add_tags(instance: dg.DagsterInstance, run_id: str, figures: Figures) -> None:
    """Shows figures as tags of a run, but for zeros, unless it has inherited others."""
    run = instance.get_run_by_id(run_id)
    assert run is not None
    shown = {n: f"{value:,}" if isinstance(value, int) else value for n, value in figures.items()}
    instance.add_run_tags(run_id, {n: v for n, v in shown.items() if v != "0" or n in run.tags})


def _of_tables(made: Mapping[str, Mapping[str, Any]]) -> dict[str, int | str]:
    landed = [made[table.name] for table in LANDING_TABLES if table.name in made]
    modes = [str(each[metadata.MODE]) for each in made.values() if metadata.MODE in each]
    found: dict[str, int | str] = {}
    if landed:
        found["files"] = sum(each["files_read"] for each in landed)
    if rows := [made[name]["dagster/row_count"] for name in LAST if name in made]:
        found["rows"] = sum(rows)
    if modes:
        found["mode"] = next(mode for mode in WIDEST_FIRST if mode in modes).value
    return found


def _of_people(
    made: Mapping[str, Mapping[str, Any]], checks: Iterable[AssetCheckEvaluation]
) -> dict[str, int | str]:
    """How many people agree; how many came and left, and the rows removed for them, if known."""
    people = made.get(CUSTOMER_TRUSTED.name, {})
    unchanged = people.get(metadata.MODE) == Mode.UNCHANGED
    found: dict[str, int | str] = {}
    removed = 0
    for check in checks:
        figures = _values(check.metadata)
        if "people_agreeing" in figures:
            found["people"] = figures["people_agreeing"]
        if check.asset_key.to_user_string() in LAST:
            removed += figures.get(f"{EXPLAINED_BY}{WITHDRAWAL}", 0)
    for name in (metadata.CAME, metadata.LEFT):
        if name in people or unchanged:
            found[name] = people.get(name, 0)
    # Where as many rows come as go nobody counts those that go.
    if removed or found.get(metadata.LEFT) == 0:
        found["rows_removed"] = removed
    return found


def _is_new(instance: dg.DagsterInstance, check: AssetCheckEvaluation) -> bool:
    """Whether the evaluation before this one passed, or there was none."""
    history = instance.event_log_storage.get_asset_check_execution_history(
        check.asset_check_key, limit=2
    )
    before = history[1].event if len(history) > 1 else None
    event = before.dagster_event if before else None
    if event is None or event.event_type is not DagsterEventType.ASSET_CHECK_EVALUATION:
        return True
    return event.asset_check_evaluation_data.passed


def _name(check: AssetCheckEvaluation) -> str:
    return f"{check.asset_key.to_user_string()}/{check.check_name}"


def _values(shown: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value.value for name, value in shown.items()}
