"""The real webserver and daemon, as `make dev` starts them, and what a person does there."""

from __future__ import annotations

import json
import os
import re
import signal
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from playwright.sync_api import WebSocket, expect

from docs import screenshots
from stedi_assets.tables import LANDING_TABLES, TABLES, files_of
from stedi_assets_tests import listening, ui
from stedi_assets_tests.conftest import PROJECT

ASSETS = "{ assetNodes { assetKey { path } groupName } }"


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """Where the UI answers, until the test ends."""
    with ui.served(tmp_path) as served:
        yield served


@pytest.fixture
def chromium() -> None:
    """The browser, which CI must have."""
    if not ui.CHROMIUM.exists():
        reason = f"{ui.CHROMIUM} is not on this machine: apt-get install chromium"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)


def test__make_dev__serves_every_table(address: str, tmp_path: Path) -> None:
    shown = _query(address, ASSETS)["assetNodes"]

    files = {files_of(table) for table in LANDING_TABLES}
    assert {node["assetKey"]["path"][0] for node in shown} == {*TABLES, *files}
    assert {node["groupName"] for node in shown} == {"source", "landing", "trusted", "curated"}
    log = (tmp_path / "log").read_text()
    assert "Warning" not in log and "WARNING" not in log, log
    port = urllib.parse.urlsplit(address).port
    assert port is not None
    assert listening.addresses(port) == {listening.LOOPBACK}


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
        people = page.get_by_role("dialog").get_by_role("img", name="People in each table")
        assert people.evaluate("image => image.naturalWidth") > 0

        assert next(opened) == "checks"
        expect(page.get_by_text("Checks (10)")).to_be_visible()
        expect(page.get_by_text("Succeeded", exact=True)).to_have_count(8)
        expect(page.get_by_text("Failed", exact=True)).to_have_count(2)  # the two warnings
        execute = page.get_by_role("button").filter(has_text=re.compile("^Execute$"))
        expect(execute).to_be_enabled()  # of this check alone


LAUNCH = """mutation { launchRun(executionParams: {selector: {
    repositoryLocationName: "stedi_assets", repositoryName: "__repository__",
    jobName: "materialize_lakehouse"
}}) { ... on LaunchRunSuccess { run { id } } } }"""


@pytest.mark.parametrize("ended_by", [signal.SIGTERM, signal.SIGHUP])
def test__make_dev__ends_everything(tmp_path: Path, ended_by: signal.Signals) -> None:
    """Ctrl-C ends every other test of this module; `ui.served` looks for what is left."""
    with ui.served(tmp_path) as address:
        [main] = [each for each in ui.processes(tmp_path) if "stedi_assets.dev" in each.cmdline()]
        services = len(ui.processes(tmp_path))
        _query(address, LAUNCH)
        give_up = time.monotonic() + ui.UP_WITHIN_SECONDS
        while len(ui.processes(tmp_path)) == services:  # until the run has a process
            assert time.monotonic() < give_up
            time.sleep(0.2)
        main.send_signal(ended_by)
        main.wait(ui.DOWN_WITHIN_SECONDS)
        psutil.wait_procs(ui.processes(tmp_path), 5)
        assert not ui.processes(tmp_path)


def _query(address: str, query: str) -> dict:
    request = urllib.request.Request(
        f"{address}/graphql",
        json.dumps({"query": query}).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)["data"]
