"""The real daemon and code server: files are dropped into the source, and nothing else is done."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.scheduler.instigation import InstigatorStatus
from deltalake import DeltaTable

from stedi_assets.definitions import defs
from stedi_assets.tables import DELTA_TABLES, TABLES
from stedi_assets_tests import daemon
from stedi_assets_tests.conftest import PROJECT
from stedi_assets_tests.rows import stored_rows

pytestmark = pytest.mark.slow

DAY = 1_655_000_000_000


@dataclass
class Unattended:
    """A project that runs by itself, and how it is looked at."""

    source: Path
    lakehouse: Path
    instance: dg.DagsterInstance
    log: Path

    def rows(self, table: str) -> int:
        """The rows of a table, by its log."""
        return DeltaTable(str(self.lakehouse / TABLES[table].location)).count()

    def finished(self) -> list[dg.DagsterRun]:
        """The runs, the latest first; none while one is under way."""
        runs = list(self.instance.get_runs())
        return runs if all(run.is_finished for run in runs) else []

    def started_by(self, sensor: str) -> list[dg.DagsterRun]:
        """The runs that a sensor requested, the latest first; none while any is under way."""
        return [run for run in self.finished() if run.tags.get("dagster/sensor_name") == sensor]

    def until(self, condition: Callable[[], bool]) -> None:
        """Waits."""
        daemon.until(condition, self.log)


def switch_on(what: str, environment: dict[str, str]) -> None:
    """Runs a command of docs/AUTOMATION.md."""
    command = f"{what} start --start-all"
    assert f"dagster {command}" in (PROJECT / "docs" / "AUTOMATION.md").read_text()
    daemon.dagster(command, environment)


def lines(records: list[dict[str, object]]) -> str:
    return "".join(json.dumps(record) + "\n" for record in records)


@pytest.fixture
def unattended(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Unattended]:
    """The daemon over a small source, with the sensors switched on as docs/AUTOMATION.md says."""
    home = daemon.home(tmp_path / "home")
    environment = {
        **os.environ,
        "DAGSTER_HOME": str(home),
        "STEDI_SOURCE_DATA": str(small),
        "STEDI_LAKEHOUSE_URI": str(tmp_path / "lakehouse"),
        "STEDI_SPARK_REMOTE": "",
    }
    switch_on("sensor", environment)
    log = tmp_path / "daemon.log"
    with (
        daemon.running(environment, log),
        dg.DagsterInstance.from_config(str(home)) as instance,
    ):
        yield Unattended(small, tmp_path / "lakehouse", instance, log)
        # Last, since a schedule whose time comes would start a run of its own.
        switch_on("schedule", environment)
        running = {
            state.name
            for state in instance.all_instigator_state()
            if state.status is InstigatorStatus.RUNNING
        }
        assert running == {each.name for each in (*(defs.sensors or []), *(defs.schedules or []))}


def person(name: str, **consent: int) -> dict[str, object]:
    return {
        "customerName": name,
        "email": f"{name}@example.com",
        "serialNumber": f"s-{name}",
        **consent,
    }


def test__daemon__files_arrive_and_the_tables_follow(unattended: Unattended) -> None:
    # Readings of those who are to come, so that nothing but customers need arrive.
    phones: list[dict[str, object]] = [
        {"user": f"{name}@example.com", "timestamp": DAY + 2, "x": 0.0, "y": 1.0, "z": -1.0}
        for name in ("cy", "di")
    ]
    devices: list[dict[str, object]] = [
        {"sensorReadingTime": DAY + 2, "serialNumber": f"s-{name}", "distanceFromObject": 9}
        for name in ("cy", "di")
    ]
    source = unattended.source
    (source / "accelerometer" / "landing" / "accelerometer-2.json").write_text(lines(phones))
    (source / "step_trainer" / "landing" / "step_trainer-2.json").write_text(lines(devices))
    unattended.until(lambda: bool(unattended.started_by("landing_sensor")))
    before = {table.name: unattended.rows(table.name) for table in DELTA_TABLES}

    # A hundred and one to whom one malformed line is a warning; cy consents, di does not.
    people = [person(f"other-{number}") for number in range(100)]
    people.append(person("cy", shareWithResearchAsOfDate=DAY))
    landing = source / "customer" / "landing"
    (landing / "new.json").write_text(lines(people))
    (landing / "malformed.json").write_text('{"customerName": "Eve", "em\n')
    (landing / "without-consent.json").write_text(lines([person("di")]))
    unattended.until(
        lambda: bool(unattended.finished()) and unattended.rows("machine_learning_curated") == 2
    )

    assert {run.status for run in unattended.finished()} == {dg.DagsterRunStatus.SUCCESS}
    # One run took in what arrived first, and at most one a file what came after it: no others.
    [latest, *others] = unattended.started_by("landing_sensor")
    assert len(others) <= 3
    assert {run.tags.get("dagster/sensor_name") for run in unattended.finished()} == {
        "landing_sensor"
    }
    assert before == dict.fromkeys(before, 1)
    after = {table.name: unattended.rows(table.name) for table in DELTA_TABLES}
    assert after == dict.fromkeys(before, 2)
    assert unattended.rows("customer_quarantine") == 1
    emails = stored_rows(unattended.lakehouse / "customer/trusted")["email"]
    assert sorted(emails.to_pylist()) == ["ada@example.com", "cy@example.com"]

    checks = [
        entry.dagster_event.asset_check_evaluation_data
        for entry in unattended.instance.all_logs(latest.run_id)
        if entry.dagster_event
        and entry.dagster_event.event_type is dg.DagsterEventType.ASSET_CHECK_EVALUATION
    ]
    assert {(check.asset_key.to_user_string(), check.check_name) for check in checks} > {
        (table.name, "consent") for table in DELTA_TABLES
    }
    assert [
        (check.asset_key.to_user_string(), check.check_name, check.severity)
        for check in checks
        if not check.passed
    ] == [("customer_landing", "malformed_share", dg.AssetCheckSeverity.WARN)]

    times = sorted(
        (record.start_time or 0, record.end_time or 0)
        for record in unattended.instance.get_run_records()
    )
    # Two runs never overlap: each waited for the one before.
    assert all(ended <= started for (_, ended), (started, _) in pairwise(times)), times
    log = unattended.log.read_text()
    assert "Warning:" not in log, log  # of an API that is deprecated, in preview or superseded
    assert "example.com" not in log
