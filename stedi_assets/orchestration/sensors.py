"""The sensors for files that arrive and tables that change; that for failed runs is in `notify`."""

import time
from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from dataclasses import replace
from typing import Any

import dagster as dg
from dagster import AssetCheckSeverity
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus
from dagster._core.storage.dagster_run import NOT_FINISHED_STATUSES

from stedi_assets import storage
from stedi_assets.lakehouse.lakehouse import Lakehouse
from stedi_assets.landing import watch
from stedi_assets.landing.watch import Seen
from stedi_assets.orchestration import jobs
from stedi_assets.orchestration.cursors import Cursor, digest
from stedi_assets.orchestration.source import SourceData
from stedi_assets.storage.faults import storage_faults
from stedi_assets.tables import LANDING_TABLES, Table

MINIMUM_INTERVAL_SECONDS = 15
# How long after its failure a run is requested again, for the first time, the second, ….
RETRY_AFTER_SECONDS = (60, 300, 900)
RUN_KEY_TAG = "dagster/run_key"
# Dagster's name for the job of runs that select assets instead of a job.
ASSET_JOB = "__ASSET_JOB"
LANDING_JOBS = {jobs.materialize_lakehouse.name, jobs.refresh_from_landing.name, ASSET_JOB}
LANDING_KEYS = {table.name: dg.AssetKey(table.name) for table in LANDING_TABLES}


def leave_out_fresh_files(landing_tables: Iterable[Table]) -> dict[str, Any]:
    """Run configuration that leaves files modified within 5 s to the next run."""
    config = {"config": {"settle_seconds": watch.SETTLE_SECONDS}}
    return {"ops": {table.name: config for table in landing_tables}}


@dg.sensor(
    name=watch.LANDING_SENSOR,
    job=jobs.refresh_from_landing,
    minimum_interval_seconds=MINIMUM_INTERVAL_SECONDS,
    description=(
        "Starts a run when files have arrived or changed that have not landed: in the source "
        "folder where STEDI_SOURCE_DATA names one, else in the landing folders of the lakehouse."
    ),
)
def landing_sensor(
    context: dg.SensorEvaluationContext,
    source: SourceData,
    lakehouse: dg.ResourceParam[Lakehouse],
) -> dg.SensorResult:
    """Compares the files with those that the last materialisation of each landing table took.

    While a run that lands files is queued or in progress it requests none; the first tick after
    that run compares what the run has left.
    """
    instance = context.instance
    cursor = Cursor.load(context.cursor)
    seen = {table.source: _look(table, cursor, source, lakehouse) for table in LANDING_TABLES}
    cursor = replace(cursor, seen=seen)
    unfinished = instance.get_runs(dg.RunsFilter(statuses=NOT_FINISHED_STATUSES))
    if any(run.job_name in LANDING_JOBS for run in unfinished):
        waits = "A run is queued or in progress; the files are compared when it has finished."
        return dg.SensorResult(skip_reason=waits, cursor=cursor.dump())

    landed = {table.source: _landed(instance, table) for table in LANDING_TABLES}
    known = {name: each.known.hex_digest for name, each in seen.items()}
    new = [
        table
        for table in LANDING_TABLES
        if seen[table.source].known.files and known[table.source] != landed[table.source]
    ]
    now = replace(cursor, known=digest(known), landed=digest(landed))
    last = _last_run(instance, cursor)
    status = last.dagster_run.status if last else dg.DagsterRunStatus.SUCCESS
    succeeded = status is dg.DagsterRunStatus.SUCCESS
    failed = _still_failed(instance, last)
    if new and (now.known != cursor.known or (succeeded and now.landed != cursor.landed)):
        cursor = replace(now, change=cursor.change + 1, retry=0)
        failed -= _refused(context)
    elif last and failed and _is_due(last, cursor.retry):
        cursor = replace(cursor, retry=cursor.retry + 1)
    else:
        files = sum(each.known.files for each in seen.values())
        reason = f"{files:,} files, and all have landed."
        if new:
            reason = f"The last run of these {files:,} files ended with {status.value}."
        return dg.SensorResult(skip_reason=reason, cursor=cursor.dump())
    return dg.SensorResult([_request(context, cursor, new, failed)], cursor=cursor.dump())


def _look(table: Table, cursor: Cursor, source: SourceData, lakehouse: Lakehouse) -> Seen:
    uri = lakehouse.uri_of(table)
    arriving = source.folder(table)
    with storage_faults(uri, arriving.uri if arriving else None):
        folder = arriving or storage.open_folder(uri)
        return watch.look(folder, cursor.seen.get(table.source, Seen()), time.time())


def _landed(instance: dg.DagsterInstance, table: Table) -> str:
    """The digest of the files that the last materialisation took; empty if it is not known."""
    event = instance.get_latest_materialization_event(LANDING_KEYS[table.name])
    made = event.asset_materialization if event else None
    taken = made.metadata.get(watch.TAKEN) if made else None
    return str(taken.value) if taken else ""


def _last_run(instance: dg.DagsterInstance, cursor: Cursor) -> dg.RunRecord | None:
    same = dg.RunsFilter(tags={RUN_KEY_TAG: cursor.run_key})
    return next(iter(instance.get_run_records(same, limit=1)), None) if cursor.change else None


def _still_failed(
    instance: dg.DagsterInstance, last: dg.RunRecord | None
) -> AbstractSet[dg.AssetKey]:
    """The assets of a failed run, unless other runs have materialised all of them since."""
    if last is None or last.dagster_run.status is not dg.DagsterRunStatus.FAILURE:
        return frozenset()
    selected = last.dagster_run.asset_selection or frozenset()
    ended = last.end_time or 0
    made = instance.get_latest_materialization_events(selected)
    times = [event.timestamp if (event := made.get(key)) else 0.0 for key in selected]
    made_since = times and min(times) > (last.start_time or ended) and max(times) > ended
    return frozenset() if made_since else selected


def _is_due(failed: dg.RunRecord, retry: int) -> bool:
    """Whether a run failed long enough ago to be requested again."""
    return (
        retry < len(RETRY_AFTER_SECONDS)
        and time.time() - (failed.end_time or 0) >= RETRY_AFTER_SECONDS[retry]
    )


def _refused(context: dg.SensorEvaluationContext) -> AbstractSet[dg.AssetKey]:
    """Landing tables that a blocking check has failed, and everything downstream of them.

    Without new files they would fail again, and keep the other sources from being landed.
    """
    assert context.repository_def is not None
    graph = context.repository_def.asset_graph
    refused = set()
    for check in graph.get_check_keys_for_assets(set(LANDING_KEYS.values())):
        record = context.instance.get_latest_asset_check_evaluation_record(check)
        failed = record and record.status is AssetCheckExecutionRecordStatus.FAILED
        found = record.evaluation if record and failed else None
        if found and found.severity is AssetCheckSeverity.ERROR and graph.get(check).blocking:
            refused.add(check.asset_key)
    return dg.AssetSelection.assets(*refused).downstream().resolve(graph)


def _request(
    context: dg.SensorEvaluationContext,
    cursor: Cursor,
    new: list[Table],
    failed: AbstractSet[dg.AssetKey],
) -> dg.RunRequest:
    """A run of new sources, of those that never landed, all downstream, and what failed before."""
    assert context.repository_def is not None
    made = context.instance.get_latest_materialization_events(LANDING_KEYS.values())
    landing = [
        table
        for table in LANDING_TABLES
        if table in new or (key := LANDING_KEYS[table.name]) in failed or not made.get(key)
    ]
    downstream = dg.AssetSelection.assets(*(table.name for table in landing)).downstream()
    selected = downstream.resolve(context.repository_def.asset_graph) | failed
    return dg.RunRequest(
        run_key=cursor.run_key,
        asset_selection=sorted(selected),
        run_config=leave_out_fresh_files(landing),
        tags={"sources": ", ".join(table.source for table in landing)},
    )


# Named here, since Dagster would call its own one "default_automation_condition_sensor".
automation_conditions = dg.AutomationConditionSensorDefinition(
    "automation_conditions",
    target=dg.AssetSelection.all(),
    description="Updates a table when one of its parents has changed and passed its checks.",
)
