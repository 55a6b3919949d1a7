"""The deployment's settings, commands and health checks, run against a real PostgreSQL."""

from __future__ import annotations

import http.client
import json
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import dagster as dg
import pytest
from dagster._core.launcher import DefaultRunLauncher
from dagster._core.run_coordinator import QueuedRunCoordinator
from dagster._core.scheduler.instigation import InstigatorType, TickStatus

from stedi_assets.tables import TABLES
from stedi_assets_tests.conftest import PROJECT
from stedi_assets_tests.deploy.docker.conftest import Containers

pytestmark = pytest.mark.slow

SECONDS_TO_ANSWER = 60


def eventually(ask: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + SECONDS_TO_ANSWER
    while not ask():
        assert time.monotonic() < deadline, f"{what}: not within {SECONDS_TO_ANSWER} s"
        time.sleep(0.2)


def graphql(containers: Containers, query: str, **variables: Any) -> Any:
    request = urllib.request.Request(
        f"http://127.0.0.1:{containers.ports['3000']}/graphql",
        data=json.dumps({"query": query, "variables": variables}).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)["data"]


@pytest.fixture(scope="module")
def running(containers: Containers) -> Iterator[Containers]:
    """Every service, started in the order that compose.yaml waits for."""

    def healthy(service: str) -> bool:
        return containers.health(service).returncode == 0

    with ExitStack() as started:
        started.enter_context(containers.running("code_server"))
        eventually(lambda: healthy("code_server"), "code_server")
        started.enter_context(containers.running("webserver"))
        started.enter_context(containers.running("daemon"))
        eventually(lambda: healthy("webserver"), "webserver")
        eventually(lambda: healthy("daemon"), "daemon")
        yield containers


def test__instance__settings(instance: dg.DagsterInstance) -> None:
    storages = (instance.run_storage, instance.event_log_storage, instance.schedule_storage)
    run_queue = instance.get_concurrency_config().run_queue_config

    assert {type(storage).__module__.partition(".")[0] for storage in storages} == {
        "dagster_postgres"
    }
    assert isinstance(instance.run_launcher, DefaultRunLauncher)
    assert isinstance(instance.run_coordinator, QueuedRunCoordinator)
    assert run_queue is not None
    assert run_queue.max_concurrent_runs == 1
    assert instance.run_monitoring_enabled
    assert instance.run_monitoring_max_runtime_seconds == 4 * 3600
    assert instance.get_tick_retention_settings(InstigatorType.SCHEDULE)[TickStatus.SUCCESS] == 90
    assert not instance.telemetry_enabled
    assert not instance.nux_enabled


def test__postgres__is_healthy(containers: Containers) -> None:
    assert containers.health("postgres").returncode == 0


@pytest.mark.parametrize(
    ("host", "status"),
    [("127.0.0.1:{port}", 200), ("dagster.example.com", 200), ("evil.example:{port}", 403)],
)
def test__webserver__answers_under_its_names_only(
    running: Containers, host: str, status: int
) -> None:
    port = running.ports["3000"]
    connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=30)
    connection.request("GET", "/server_info", headers={"Host": host.format(port=port)})
    assert connection.getresponse().status == status


def test__run__goes_through_the_queue_and_its_history_is_in_postgresql(
    running: Containers, instance: dg.DagsterInstance
) -> None:
    launched = graphql(
        running,
        """mutation ($run: ExecutionParams!) {
            launchRun(executionParams: $run) { ... on LaunchRunSuccess { run { id } } }
        }""",
        run={
            "selector": {
                "repositoryLocationName": "stedi_assets",
                "repositoryName": "__repository__",
                "jobName": "materialize_lakehouse",
            }
        },
    )
    run_id = launched["launchRun"]["run"]["id"]

    def finished() -> bool:
        run = instance.get_run_by_id(run_id)
        return run is not None and run.is_finished

    eventually(finished, "the run")

    run = instance.get_run_by_id(run_id)
    assert run is not None
    events = [entry.dagster_event for entry in instance.all_logs(run_id) if entry.dagster_event]
    assert run.status is dg.DagsterRunStatus.SUCCESS, events[-1].message
    types = {event.event_type for event in events}
    assert {dg.DagsterEventType.RUN_ENQUEUED, dg.DagsterEventType.RUN_SUCCESS} <= types
    recorded = json.loads((PROJECT / "data" / "manifest.json").read_text())["rows"]
    for record in instance.get_asset_records([dg.AssetKey(name) for name in TABLES]):
        name = record.asset_entry.asset_key.to_user_string()
        entry = record.asset_entry.last_materialization
        assert entry is not None and entry.asset_materialization is not None, name
        assert record.asset_entry.last_run_id == run_id
        rows = entry.asset_materialization.metadata["dagster/row_count"].value
        assert rows == recorded.pop(name, 0)
    assert all("+" in name for name in recorded), recorded  # no table is without a record
    assert not [*running.home.rglob("*.db*")], "something was put into SQLite"
