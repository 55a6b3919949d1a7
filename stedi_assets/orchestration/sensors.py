"""What starts by itself when files arrive, when a table changes, and when a run fails."""

import hashlib
import json
import time
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import astuple, dataclass, field, replace
from typing import Any

import dagster as dg
from dagster import AssetCheckSeverity
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus
from dagster._core.storage.dagster_run import NOT_FINISHED_STATUSES

from stedi_assets import storage
from stedi_assets.lakehouse.lakehouse import Lakehouse
from stedi_assets.landing import watch
from stedi_assets.landing.watch import Contents, Seen
from stedi_assets.orchestration import jobs
from stedi_assets.orchestration.source import SourceData
from stedi_assets.storage.faults import storage_faults
from stedi_assets.tables import LANDING_TABLES, Table

SECONDS_BETWEEN_LOOKS = 15
# How long after its end a failed run is requested again, for the first time, the second, ….
RETRY_AFTER_SECONDS = (60, 300, 900)
RUN_KEY_TAG = "dagster/run_key"
# Dagster's own name of the job of runs that select assets rather than a job.
ASSET_JOB = "__ASSET_JOB"
FAILED = AssetCheckExecutionRecordStatus.FAILED
LANDING_JOBS = {jobs.materialize_lakehouse.name, jobs.refresh_from_landing.name, ASSET_JOB}


@dataclass(frozen=True)
class Cursor:
    """What the landing sensor remembers.

    Attributes:
        seen: What it has seen of each source's folder.
        known: The digest of all files that it knew when it last requested a run.
        landed: The digest of all that had landed by then.
        change: How often it has requested a run for other files. Without it, files that are as
            they were before would have an old run's key.
        retry: How often the last run has been requested again.
    """

    seen: Mapping[str, Seen] = field(default_factory=dict)
    known: str = ""
    landed: str = ""
    change: int = 0
    retry: int = 0

    def dump(self) -> str:
        """The cursor as text: below a kilobyte on disks, and in buckets whose names are short."""
        seen = {name: astuple(each) for name, each in self.seen.items()}
        kept = [seen, self.known, self.landed, self.change, self.retry]
        return json.dumps(kept, ensure_ascii=False, separators=(",", ":"))

    @classmethod
    def load(cls, text: str | None) -> "Cursor":
        """The cursor of a text; a fresh one where there is none or it is of another version."""
        try:
            seen, *requested = json.loads(text or "")
            found = {
                name: Seen(Contents(*known), last, Contents(*swept), position)
                for name, (known, last, swept, position) in seen.items()
            }
            return cls(found, *requested)
        except (ValueError, TypeError, AttributeError):
            return cls()

    @property
    def run_key(self) -> str:
        """The key of the run that it last requested, which Dagster starts once."""
        retry = f"-retry-{self.retry}" if self.retry else ""
        return f"landing-{self.change}-{_digest([self.known, self.landed])}{retry}"


def only_settled_files(landing_tables: Iterable[Table]) -> dict[str, Any]:
    """Run configuration that leaves files which are still being written to the next run."""
    config = {"config": {"settle_seconds": watch.SETTLE_SECONDS}}
    return {"ops": {table.name: config for table in landing_tables}}


@dg.sensor(
    name=watch.LANDING_SENSOR,
    job=jobs.refresh_from_landing,
    minimum_interval_seconds=SECONDS_BETWEEN_LOOKS,
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
    """Compares what is there with what the last materialisation of each landing table took.

    While a run that lands files is queued or in progress it requests none, and what it last
    requested stays as it is: afterwards the comparison tells what that run has left.
    """
    cursor = Cursor.load(context.cursor)
    seen = {table.source: _look(table, cursor, source, lakehouse) for table in LANDING_TABLES}
    cursor = replace(cursor, seen=seen)
    if _is_landing(context.instance):
        waits = "A run is queued or in progress; afterwards it is compared with what has landed."
        return dg.SensorResult(skip_reason=waits, cursor=cursor.dump())

    landed = {table.source: _taken(context.instance, table) for table in LANDING_TABLES}
    known = {name: each.known.hex_digest for name, each in seen.items()}
    new = [
        table
        for table in LANDING_TABLES
        if seen[table.source].known.files and known[table.source] != landed[table.source]
    ]
    now = replace(cursor, known=_digest(known), landed=_digest(landed))
    last = _last_run(context.instance, cursor)
    status = last.dagster_run.status if last else dg.DagsterRunStatus.SUCCESS
    succeeded = status is dg.DagsterRunStatus.SUCCESS
    left = _left(context.instance, last)
    if new and (now.known != cursor.known or (succeeded and now.landed != cursor.landed)):
        cursor = replace(now, change=cursor.change + 1, retry=0)
        again = left - _refused(context)
        return dg.SensorResult([_request(context, cursor, new, again)], cursor=cursor.dump())
    if last and left and _is_due(last, cursor.retry):
        cursor = replace(cursor, retry=cursor.retry + 1)
        return dg.SensorResult([_request(context, cursor, new, left)], cursor=cursor.dump())
    files = sum(each.known.files for each in seen.values())
    return dg.SensorResult(skip_reason=_why_not(files, new, status), cursor=cursor.dump())


def _look(table: Table, cursor: Cursor, source: SourceData, lakehouse: Lakehouse) -> Seen:
    folder = source.folder(table) or storage.open_folder(lakehouse.uri_of(table))
    with storage_faults(folder.uri):
        return watch.look(folder, cursor.seen.get(table.source, Seen()), time.time())


def _is_landing(instance: dg.DagsterInstance) -> bool:
    unfinished = instance.get_runs(dg.RunsFilter(statuses=NOT_FINISHED_STATUSES))
    return any(run.job_name in LANDING_JOBS for run in unfinished)


def _taken(instance: dg.DagsterInstance, table: Table) -> str:
    """The digest of the files that the last materialisation took; empty where that is not known."""
    event = instance.get_latest_materialization_event(dg.AssetKey(table.name))
    made = event.asset_materialization if event else None
    told = made.metadata.get(watch.TAKEN) if made else None
    return str(told.value) if told else ""


def _last_run(instance: dg.DagsterInstance, cursor: Cursor) -> dg.RunRecord | None:
    same = dg.RunsFilter(tags={RUN_KEY_TAG: cursor.run_key})
    return next(iter(instance.get_run_records(same, limit=1)), None) if cursor.change else None


def _left(instance: dg.DagsterInstance, last: dg.RunRecord | None) -> AbstractSet[dg.AssetKey]:
    """What a failed run was to materialise, unless other runs have made all of it since."""
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
    """Landing tables that a blocking check has failed, and all downstream of them.

    Without other files they would fail again, and keep the other sources from being taken in.
    """
    assert context.repository_def is not None
    graph = context.repository_def.asset_graph
    refused = set()
    for key in (dg.AssetKey(table.name) for table in LANDING_TABLES):
        for check in graph.get_check_keys_for_assets({key}):
            record = context.instance.get_latest_asset_check_evaluation_record(check)
            found = record.evaluation if record and record.status is FAILED else None
            if found and found.severity is AssetCheckSeverity.ERROR and graph.get(check).blocking:
                refused.add(key)
    return dg.AssetSelection.assets(*refused).downstream().resolve(graph)


def _why_not(files: int, new: list[Table], status: dg.DagsterRunStatus) -> str:
    if new:
        return f"The last run of these {files:,} files ended with {status.value}."
    return f"{files:,} files, and all have landed."


def _request(
    context: dg.SensorEvaluationContext,
    cursor: Cursor,
    new: list[Table],
    again: AbstractSet[dg.AssetKey],
) -> dg.RunRequest:
    """A run of sources, of those that never landed, and of all downstream of these.

    Args:
        context: The sensor's.
        cursor: What the run is requested for.
        new: The landing tables whose files have not landed.
        again: What else to materialise, since the run before failed.
    """
    assert context.repository_def is not None
    made = context.instance.get_latest_materialization_events(
        [dg.AssetKey(table.name) for table in LANDING_TABLES]
    )
    landing = [
        table
        for table in LANDING_TABLES
        if table in new or (key := dg.AssetKey(table.name)) in again or not made.get(key)
    ]
    downstream = dg.AssetSelection.assets(*(table.name for table in landing)).downstream()
    selected = downstream.resolve(context.repository_def.asset_graph) | again
    return dg.RunRequest(
        run_key=cursor.run_key,
        asset_selection=sorted(selected),
        run_config=only_settled_files(landing),
        tags={"sources": ", ".join(table.source for table in landing)},
    )


def _digest(of: Mapping[str, str] | list[str]) -> str:
    return hashlib.sha256(json.dumps(of, sort_keys=True).encode()).hexdigest()[:32]


# Dagster would make one with a name that says less.
automation_conditions = dg.AutomationConditionSensorDefinition(
    "automation_conditions",
    target=dg.AssetSelection.all(),
    description="Rebuilds a table when a table it is made of has changed and passed its checks.",
)
