"""What the report and the page of data protection show, read from logs and the history alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import dagster as dg
from dagster import DagsterEventType

from stedi_assets.lakehouse.lakehouse import Lakehouse
from stedi_assets.orchestration.notify import failure_message
from stedi_assets.report.people import People, people
from stedi_assets.report.status import TableStatus, statuses


@dataclass(frozen=True)
class LastRun:
    """The run that ended last.

    Attributes:
        job: Its job.
        succeeded: Whether it did.
        ended: When.
        why: Why it failed, without what may quote a row; empty if it did not.
    """

    job: str
    succeeded: bool
    ended: datetime
    why: str


@dataclass(frozen=True)
class Contents:
    """What the pages show.

    Attributes:
        address: Where the lakehouse is.
        statuses: Every table.
        people: What is known of consent.
        last_run: The run that ended last, if there is any.
    """

    address: str
    statuses: Sequence[TableStatus]
    people: People
    last_run: LastRun | None

    @property
    def last(self) -> Sequence[TableStatus]:
        """The tables that models train on: those that name no one."""
        return [each for each in self.statuses if each.table.anonymous]


def contents(defs: dg.Definitions, instance: dg.DagsterInstance, lakehouse: Lakehouse) -> Contents:
    """Gathers what the pages show.

    Raises:
        LakehouseError: If a table has not been materialised.
    """
    found = statuses(defs, instance, lakehouse)
    return Contents(lakehouse.uri, found, people(found, instance, lakehouse), _last_run(instance))


def _last_run(instance: dg.DagsterInstance) -> LastRun | None:
    ended = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE]
    records = instance.get_run_records(dg.RunsFilter(statuses=ended), limit=1)
    if not records:
        return None
    [record] = records
    run, why = record.dagster_run, ""
    if run.status is dg.DagsterRunStatus.FAILURE:
        kinds = {DagsterEventType.STEP_FAILURE, DagsterEventType.RUN_FAILURE}
        entries = instance.all_logs(run.run_id, of_type=kinds)
        events = [entry.dagster_event for entry in entries if entry.dagster_event]
        failed = [event for event in events if event.event_type is DagsterEventType.STEP_FAILURE]
        whole = next((event for event in events if event not in failed), None)
        why = failure_message(run, failed, whole)
    at = datetime.fromtimestamp(record.end_time or record.create_timestamp.timestamp(), UTC)
    return LastRun(run.job_name, not why, at, why)
