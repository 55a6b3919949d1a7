"""OpenLineage events reach a receiver whole and name no one; without a receiver a run goes on."""

from __future__ import annotations

import io
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from rich.console import Console

import stedi_assets.definitions
import stedi_assets.materialize
from stedi_assets.orchestration import openlineage, runs
from stedi_assets.orchestration.checks.drift import DRIFT
from stedi_assets.orchestration.openlineage_events import NAMESPACE
from stedi_assets.settings import Settings
from stedi_assets.tables import DELTA_TABLES, LANDING_TABLES, TABLES, Table
from stedi_assets.tables.checks import checks_of
from stedi_assets.tables.machine_learning import TRAINING_SET
from stedi_assets_tests import leaks
from stedi_assets_tests.checks.conftest import GOOD, land

pytestmark = pytest.mark.slow

Event = dict[str, Any]
JOB = "materialize_lakehouse"
SECRET = "s3cret"
WHO = "bob@example.com"
PLACE = "OPENLINEAGE__TRANSPORT__LOG_FILE_PATH"


@pytest.fixture(autouse=True)
def variables() -> Iterator[None]:
    """No variable is there, nor stays: the client sets some of the process by others."""
    forget()
    yield
    forget()


def forget() -> None:
    for name in [name for name in os.environ if name.startswith("OPENLINEAGE")]:
        del os.environ[name]


class Receiver(ThreadingHTTPServer):
    """Takes what is posted to it.

    Attributes:
        events: The events, in the order in which they came.
        status: What it answers.
    """

    def __init__(self, status: int = 201) -> None:
        self.events: list[Event] = []
        self.status = status
        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://user:{SECRET}@127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.events.append(json.loads(body))
        self.send_response(self.server.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Prints nothing."""


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    """A receiver of a whole run of good data and a line that cannot be read."""
    with Receiver() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("source")
    for table in LANDING_TABLES:
        land(folder, table, GOOD[table.name])
    (folder / "customer" / "landing" / "bad.json").write_text(f'{{"email": "{WHO}", "phone": }}\n')
    return folder


@pytest.fixture(scope="module")
def received(
    receiver: Receiver, source: Path, tmp_path_factory: pytest.TempPathFactory
) -> list[Event]:
    """The events of that run."""
    lakehouse = tmp_path_factory.mktemp("lakehouse")
    printed = io.StringIO()
    with pytest.MonkeyPatch.context() as patched, dg.DagsterInstance.ephemeral() as instance:
        patched.setenv("OPENLINEAGE_URL", receiver.url)
        result = stedi_assets.materialize.materialize(
            stedi_assets.definitions.define(
                Settings(lakehouse_uri=str(lakehouse), source_data=str(source))
            ),
            instance,
            Console(file=printed, soft_wrap=True),
            {"customer_landing": {"config": {"max_malformed_share": 1}}},
        )
    assert result.success, printed.getvalue()
    assert "OPENLINEAGE" not in printed.getvalue()
    return receiver.events


def completed(events: list[Event], job: str) -> Event:
    [event] = [e for e in events if e["job"]["name"] == job and e["eventType"] == "COMPLETE"]
    return event


@pytest.mark.parametrize("table", DELTA_TABLES, ids=[table.name for table in DELTA_TABLES])
def test__asset__has_schema_lineage_and_inputs(received: list[Event], table: Table) -> None:
    event = completed(received, table.name)
    [output] = event["outputs"]
    facets = output["facets"]
    lineage = facets["columnLineage"]["fields"]

    assert (output["namespace"], output["name"]) == (NAMESPACE, table.name)
    assert sorted(each["name"] for each in event["inputs"]) == sorted(table.parents)
    assert [(field["name"], field["type"]) for field in facets["schema"]["fields"]] == [
        (column.name, column.type) for column in table.columns
    ]
    assert set(lineage) == set(table.column_names)
    for name, field in lineage.items():
        [origin] = field["inputFields"]
        assert origin["name"] in table.parents
        assert origin["field"] == table.derived.get(name, ("", name))[1]
    assert facets["dataSource"]["uri"].endswith(table.location)


@pytest.mark.parametrize("table", DELTA_TABLES, ids=[table.name for table in DELTA_TABLES])
def test__checks__are_assertions_of_the_asset(received: list[Event], table: Table) -> None:
    [checked] = completed(received, f"{table.name}__checks")["inputs"]
    facet = checked["inputFacets"]["dataQualityAssertions"]

    assert checked["name"] == table.name
    assert {each["assertion"] for each in facet["assertions"]} == {
        "volume",
        *(check.name for check in checks_of(table)),
        *([DRIFT] if table == TRAINING_SET else []),
    }


def test__checks__one_that_warns_has_failed(received: list[Event]) -> None:
    event = completed(received, "customer_landing__checks")
    [checked] = event["inputs"]
    assertions = checked["inputFacets"]["dataQualityAssertions"]["assertions"]
    checks = event["run"]["facets"]["dagster_asset_check"]["checks"]

    assert [each["assertion"] for each in assertions if not each["success"]] == ["malformed_share"]
    assert [each["severity"] for each in checks if not each["passed"]] == ["WARN"]


def test__run__is_the_parent_of_each_asset_s(received: list[Event]) -> None:
    whole = completed(received, JOB)["run"]["runId"]
    parts = [event for event in received if event["job"]["name"] != JOB]
    ids = {(event["job"]["name"], event["run"]["runId"]) for event in parts}

    assert {event["run"]["facets"]["parent"]["run"]["runId"] for event in parts} == {whole}
    assert len({job for job, _ in ids}) == len({run for _, run in ids}) == len(ids)
    assert {job for job, _ in ids} >= set(TABLES)
    for job, run in ids:
        states = [e["eventType"] for e in parts if e["run"]["runId"] == run]
        assert states == ["START", "COMPLETE"], job


def test__events__name_no_one(received: list[Event], source: Path, tmp_path: Path) -> None:
    people = {value for row in GOOD["customer_landing"] for value in map(str, row[:4])}
    (tmp_path / "sent").mkdir()
    (tmp_path / "sent" / "events").write_text(json.dumps(received))

    assert WHO in people
    assert leaks.told(tmp_path / "sent", {*people, SECRET}) == []


@dg.asset(check_specs=[dg.AssetCheckSpec("rows", asset="good")])
def good() -> Iterator[dg.AssetCheckResult | dg.Output[None]]:
    yield dg.Output(None)
    yield dg.AssetCheckResult(check_name="rows", passed=False)


@dg.asset(deps=[good])
def bad() -> None:
    raise ValueError(f"no such person: {WHO}")


def tiny() -> dg.JobDefinition:
    defs = dg.Definitions([good, bad], jobs=[dg.define_asset_job("tiny")], executor=runs.in_turn)
    return defs.resolve_job_def("tiny")


Run = Callable[..., list[str]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Executes a run as Dagster's daemon does; gives what its log says of OpenLineage."""

    def execute() -> list[str]:
        with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
            in_process: dict[str, Any] = {"execution": {"config": {"in_process": {}}}}
            result = dg.execute_job(dg.reconstructable(tiny), instance, run_config=in_process)
            logs = instance.all_logs(result.run_id)
        assert [e.step_key for e in result.all_events if e.is_step_failure] == ["bad"]
        return [entry.message for entry in logs if "OpenLineage" in entry.message]

    (tmp_path / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    return execute


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that events go to, by the client's own variables."""
    path = tmp_path / "events.jsonl"
    monkeypatch.setenv("OPENLINEAGE__TRANSPORT__TYPE", "file")
    monkeypatch.setenv("OPENLINEAGE__TRANSPORT__APPEND", "true")
    monkeypatch.setenv(PLACE, str(path))
    return path


def test__file__has_the_events_of_a_failed_run(run: Run, file: Path) -> None:
    assert run() == []

    text = file.read_text()
    events = [json.loads(line) for line in text.splitlines()]
    ends = {e["job"]["name"]: e for e in events if e["eventType"] != "START"}
    [checked] = ends["good__checks"]["inputs"]
    assert {name: event["eventType"] for name, event in ends.items()} == {
        "good": "COMPLETE",
        "good__checks": "COMPLETE",
        "bad": "FAIL",
        "tiny": "FAIL",
    }
    [assertion] = checked["inputFacets"]["dataQualityAssertions"]["assertions"]
    assert not assertion["success"]
    assert "errorMessage" in ends["bad"]["run"]["facets"]
    assert WHO not in text


def test__namespace__is_the_variable_s(
    run: Run, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENLINEAGE_NAMESPACE", "prod")
    run()
    events = [json.loads(line) for line in file.read_text().splitlines()]
    assert {event["job"]["namespace"] for event in events} == {"prod"}


def test__disabled__sends_nothing(run: Run, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENLINEAGE_DISABLED", "true")
    assert run() == []
    assert not file.exists()


def test__receiver__that_is_down_or_refuses(
    run: Run, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(openlineage, "WAIT_SECONDS", 1)
    with socket.socket() as unused, Receiver(status=401) as refusing:
        unused.bind(("127.0.0.1", 0))  # and never listens
        threading.Thread(target=refusing.serve_forever, daemon=True).start()
        for url in (f"http://user:{SECRET}@127.0.0.1:{unused.getsockname()[1]}", refusing.url):
            monkeypatch.setenv("OPENLINEAGE_URL", url)
            [warning] = run()
            assert warning.startswith("[OPENLINEAGE]")
            assert SECRET not in warning
        assert len(refusing.events) == 1  # no more is sent once one has failed
        refusing.shutdown()
    assert "Retrying" not in "".join(capfd.readouterr())


def test__receiver__that_never_answers(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openlineage, "WAIT_SECONDS", 1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("OPENLINEAGE_URL", f"http://127.0.0.1:{silent.getsockname()[1]}")
        began = time.monotonic()
        [warning] = run()
    assert warning.startswith("[OPENLINEAGE]")
    assert time.monotonic() - began < 30


@pytest.mark.parametrize(
    "setting",
    [
        {"OPENLINEAGE_URL": "nowhere"},
        {"OPENLINEAGE_CONFIG": "/no/such/file.yml"},
        {"OPENLINEAGE__TRANSPORT__TYPE": "pigeon"},
    ],
    ids=lambda setting: next(iter(setting)),
)
def test__setting__that_cannot_be_used(
    run: Run, monkeypatch: pytest.MonkeyPatch, setting: dict[str, str]
) -> None:
    for name, text in setting.items():
        monkeypatch.setenv(name, text)
    [warning] = run()
    assert warning.startswith("[OPENLINEAGE]")


def test__package__that_is_not_installed(
    run: Run, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "stedi_assets.orchestration.openlineage_events")
    monkeypatch.setitem(sys.modules, "dagster_openlineage", None)
    [warning] = run()
    assert "stedi_assets[openlineage]" in warning


def test__off__imports_nothing() -> None:
    script = (
        "import sys, threading, stedi_assets.definitions, stedi_assets.materialize\n"
        "from stedi_assets.orchestration import openlineage\n"
        "with openlineage.emitting(None, '', print) as emit: emit(None)\n"
        "print([name for name in sys.modules if 'openlineage' in name], threading.active_count())"
    )
    said = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert said.stdout.split("\n")[0] == "['stedi_assets.orchestration.openlineage'] 1"
