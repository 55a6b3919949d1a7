"""The real webserver and daemon, as `make dev` starts them, and what a person does there."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from playwright.sync_api import WebSocket, expect

from docs import screenshots
from stedi_assets import cli
from stedi_assets.orchestration.headline import RUNS
from stedi_assets.tables import LANDING_TABLES, TABLES, files_of
from stedi_assets_tests import listening, ui
from stedi_assets_tests.conftest import PROJECT
from stedi_assets_tests.runs import Run

pytestmark = pytest.mark.slow

ASSETS = "{ assetNodes { assetKey { path } groupName } }"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The DAGSTER_HOME of the UI."""
    return tmp_path_factory.mktemp("dev")


@pytest.fixture(scope="module")
def address(home: Path) -> Iterator[str]:
    """The address of one UI, which the last test that takes it stops."""
    with ui.served(home) as served:
        yield served


@pytest.fixture
def chromium() -> None:
    """The browser, which CI must have."""
    if not ui.CHROMIUM.exists():
        reason = f"{ui.CHROMIUM} is not on this machine: apt-get install chromium"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)


def test__reset__is_refused_while_a_ui_is_served(
    address: str, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".dagster").symlink_to(home)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match=re.escape(f"is served at {address}")):
        cli.main(["reset"])
    assert (home / "dev.lock").exists()


def test__make_dev__serves_every_table(address: str, home: Path) -> None:
    shown = _query(address, ASSETS)["assetNodes"]

    files = {files_of(table) for table in LANDING_TABLES}
    assert {node["assetKey"]["path"][0] for node in shown} == {*TABLES, *files, *RUNS.key.path}
    zones = {table.zone.value for table in TABLES.values()}
    assert {node["groupName"] for node in shown} == {*zones, RUNS.group_name}
    log = (home / "log").read_text()
    assert "Warning" not in log and "WARNING" not in log, log
    port = urllib.parse.urlsplit(address).port
    assert port is not None
    assert listening.addresses(port) == {listening.LOOPBACK}


def test__make_dev__a_second_one_on_the_same_history_is_refused(address: str, home: Path) -> None:
    served = len(ui.processes(home))
    command = [sys.executable, "-m", "stedi_assets.cli", "dev", "--port", "0"]
    settings = {"DAGSTER_HOME": str(home), "STEDI_LAKEHOUSE_URI": str(home / "lakehouse")}

    second = subprocess.run(
        command, env={**os.environ, **settings}, capture_output=True, text=True, check=False
    )

    assert (second.returncode, second.stdout) == (1, "")
    assert second.stderr.startswith("[HISTORY]") and address in second.stderr
    assert len(ui.processes(home)) == served


@pytest.mark.usefixtures("chromium")
def test__ui__shows_the_runs_of_commands(address: str, home: Path) -> None:
    made = Run(
        {
            **os.environ,
            "DAGSTER_HOME": str(home),
            "STEDI_LAKEHOUSE_URI": str(home / "lakehouse"),
            "STEDI_SOURCE_DATA": str(PROJECT / "data"),
        }
    ).end()
    assert made.exit_status == 0, made.printed

    with ui.opened(address) as page:
        page.goto("/overview/activity/timeline")
        expect(page.get_by_text("materialize_lakehouse", exact=True).first).to_be_visible()
        page.goto("/jobs")
        last_run = page.get_by_role("button", name=re.compile("ago$"))  # of one job alone
        expect(last_run).to_have_count(1)


@pytest.mark.usefixtures("chromium")
def test__ui__materialize_all(address: str) -> None:
    """Opens the lineage, presses the button, and finds the rows, the checks and the pictures."""
    rows = json.loads((PROJECT / "data" / "manifest.json").read_text())["rows"]
    live: list[str] = []

    def follow(socket: WebSocket) -> None:
        socket.on("framereceived", lambda frame: live.append(str(frame)))

    with ui.opened(address) as page:
        page.on("websocket", follow)
        opened = screenshots.views(page)

        assert next(opened) == "lineage"
        for name in ("customer_files", "customer_landing", "customer_curated"):
            expect(page.get_by_text(name, exact=True).first).to_be_visible()

        assert next(opened) == "asset"
        assert any('"type":"data"' in frame for frame in live), live  # the run, as it went
        expect(page.get_by_text(f"{rows['machine_learning_curated']:,}").first).to_be_visible()
        # A column as it is spelled, and what it is taken from.
        expect(page.get_by_text("distanceFromObject", exact=True)).to_be_visible()
        expect(page.get_by_text("from: step_trainer_trusted.distanceFromObject")).to_be_visible()

        assert next(opened) == "funnel"
        people = page.get_by_role("dialog").get_by_role(
            "img", name="People, where their number changes"
        )
        assert people.evaluate("image => image.naturalWidth") > 0

        assert next(opened) == "checks"
        expect(page.get_by_text("Checks (11)")).to_be_visible()
        expect(page.get_by_text("Succeeded", exact=True)).to_have_count(11)
        execute = page.get_by_role("button").filter(has_text=re.compile("^Execute$"))
        expect(execute).to_be_enabled()  # of this check alone


LAUNCH = """mutation { launchRun(executionParams: {selector: {
    repositoryLocationName: "stedi_assets", repositoryName: "__repository__",
    jobName: "materialize_lakehouse"
}}) { ... on LaunchRunSuccess { run { id } } } }"""


def test__make_dev__stops_the_services_and_their_runs(address: str, home: Path) -> None:
    """By SIGTERM; by Ctrl-C in `test_webserver`, where `ui.served` looks for what is left."""
    found = ui.processes(home)
    [main] = [each for each in found if {"dev", "--port"} < set(each.cmdline())]
    services = len(ui.processes(home))
    _query(address, LAUNCH)
    give_up = time.monotonic() + ui.UP_WITHIN_SECONDS
    while len(ui.processes(home)) == services:  # until the run has a process
        assert time.monotonic() < give_up
        time.sleep(0.2)
    main.send_signal(signal.SIGTERM)
    main.wait(ui.DOWN_WITHIN_SECONDS)
    psutil.wait_procs(ui.processes(home), 5)
    assert not ui.processes(home)


SERVICES = """
import pathlib
import sys
from stedi_assets.dev import Services
services = Services(pathlib.Path.cwd(), sys.stdout)
services.end_on_signals()
services.start("service", "sleep", "600")
print("started", flush=True)
while services.wait(0.1):
    pass
services.stop()
"""


def test__services__stop_when_the_terminal_closes() -> None:
    command = [sys.executable, "-c", SERVICES]
    with subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, text=True) as main:
        assert main.stdout is not None and main.stdout.readline() == "started\n"
        [service] = psutil.Process(main.pid).children()
        main.send_signal(signal.SIGHUP)
        assert main.wait(ui.DOWN_WITHIN_SECONDS) == 0
    assert not service.is_running()


def _query(address: str, query: str) -> dict:
    request = urllib.request.Request(
        f"{address}/graphql",
        json.dumps({"query": query}).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)["data"]
