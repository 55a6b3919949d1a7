"""What starts by itself when files arrive, when a table changes, and when a run fails."""

import json
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import dagster as dg

from stedi_assets.automation import jobs
from stedi_assets.lakehouse import storage, watch
from stedi_assets.lakehouse.faults import storage_faults
from stedi_assets.lakehouse.io_manager import LakehouseIOManager
from stedi_assets.lakehouse.watch import Contents, Seen
from stedi_assets.resources.source import SourceData
from stedi_assets.tables import LANDING_TABLES, Table

SECONDS_BETWEEN_LOOKS = 15
# How long after its end a failed run is requested again, for the first time, the second, ….
RETRY_AFTER_SECONDS = (60, 300, 900)
RUN_KEY_TAG = "dagster/run_key"


@dataclass(frozen=True)
class Cursor:
    """What a landing sensor remembers.

    Attributes:
        seen: What it has seen of its folder.
        requested: The digest of the files for which it last requested a run.
        change: How often the files have changed. Without it, files that are as they were before
            would have an old run's key.
        retry: How often the run of these very files has been requested again.
    """

    seen: Seen = field(default_factory=Seen)
    requested: int = 0
    change: int = 0
    retry: int = 0

    def dump(self) -> str:
        """The cursor as text, below a kilobyte."""
        return json.dumps(asdict(self), ensure_ascii=False)

    @classmethod
    def load(cls, text: str | None) -> "Cursor":
        """The cursor of a text; a fresh one where there is none or it is of another version."""
        try:
            told = json.loads(text or "")
            seen = told.pop("seen")
            known, swept = Contents(**seen.pop("known")), Contents(**seen.pop("swept"))
            return cls(seen=Seen(known=known, swept=swept, **seen), **told)
        except (ValueError, KeyError, TypeError, AttributeError):
            return cls()

    def run_key(self, table: Table) -> str:
        """The key of the run for these files, which Dagster starts once."""
        retry = f"-retry-{self.retry}" if self.retry else ""
        return f"{table.source}-{self.change}-{self.requested:032x}{retry}"


def only_settled_files(landing_tables: Iterable[Table]) -> dict[str, Any]:
    """Run configuration that leaves files which are still being written to the next run."""
    config = {"config": {"settle_seconds": watch.SETTLE_SECONDS}}
    return {"ops": {table.name: config for table in landing_tables}}


def landing_sensor(table: Table) -> dg.SensorDefinition:
    """The sensor of one source: requests a run when its files have changed."""

    @dg.sensor(
        name=f"{table.name}_sensor",
        job=jobs.refresh_from_landing,
        minimum_interval_seconds=SECONDS_BETWEEN_LOOKS,
        description=(
            f"Starts a run when files arrive or change in {table.location}: of the source folder "
            "where STEDI_SOURCE_DATA names one, else of the lakehouse."
        ),
    )
    def arrivals(
        context: dg.SensorEvaluationContext,
        source: SourceData,
        io_manager: dg.ResourceParam[LakehouseIOManager],
    ) -> dg.SensorResult:
        folder = source.folder(table) or storage.open_folder(io_manager.uri_of(table))
        cursor = Cursor.load(context.cursor)
        with storage_faults(folder.uri):
            seen = watch.look(folder, cursor.seen, time.time())
        cursor = replace(cursor, seen=seen)
        if seen.known.files and seen.known.digest != cursor.requested:
            cursor = Cursor(seen, seen.known.digest, cursor.change + 1)
        elif _failed_and_due(context.instance, cursor, table):
            cursor = replace(cursor, retry=cursor.retry + 1)
        else:
            unchanged = f"{seen.known.files:,} files in {folder.uri}, and none is new."
            return dg.SensorResult(skip_reason=unchanged, cursor=cursor.dump())
        return dg.SensorResult([_request(context, cursor, table)], cursor=cursor.dump())

    return arrivals


def _failed_and_due(instance: dg.DagsterInstance, cursor: Cursor, table: Table) -> bool:
    if not cursor.change or cursor.retry == len(RETRY_AFTER_SECONDS):
        return False
    same = dg.RunsFilter(tags={RUN_KEY_TAG: cursor.run_key(table)})
    return any(
        record.dagster_run.status is dg.DagsterRunStatus.FAILURE
        and time.time() - (record.end_time or 0) >= RETRY_AFTER_SECONDS[cursor.retry]
        for record in instance.get_run_records(same, limit=1)
    )


def _request(context: dg.SensorEvaluationContext, cursor: Cursor, table: Table) -> dg.RunRequest:
    """A run of the source, of sources that never landed, and of all downstream of those."""
    assert context.repository_def is not None
    latest = context.instance.get_latest_materialization_events(
        [dg.AssetKey(each.name) for each in LANDING_TABLES]
    )
    landing = [
        each for each in LANDING_TABLES if each == table or not latest.get(dg.AssetKey(each.name))
    ]
    selection = dg.AssetSelection.assets(*(each.name for each in landing)).downstream()
    return dg.RunRequest(
        run_key=cursor.run_key(table),
        asset_selection=sorted(selection.resolve(context.repository_def.asset_graph)),
        run_config=only_settled_files(landing),
        tags={"source": table.source},
    )


LANDING_SENSORS = tuple(landing_sensor(table) for table in LANDING_TABLES)

# Dagster would make one with a name that says less.
automation_conditions = dg.AutomationConditionSensorDefinition(
    "automation_conditions",
    target=dg.AssetSelection.all(),
    description="Rebuilds a table when a table it is made of has changed and passed its checks.",
)
