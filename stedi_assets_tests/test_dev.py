"""The real webserver and daemon, as `make dev` starts them."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from stedi_assets.tables import TABLES
from stedi_assets_tests.conftest import PROJECT

UP_WITHIN_SECONDS = 60
ASSETS = "{ assetNodes { assetKey { path } groupName } }"


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """Where the UI answers, until the test ends."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (tmp_path / "dagster.yaml").write_bytes((PROJECT / "instance" / "dagster.yaml").read_bytes())
    with (tmp_path / "log").open("w") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "stedi_assets.dev", str(port)],
            cwd=PROJECT,
            env={**os.environ, "DAGSTER_HOME": str(tmp_path)},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            # The webserver, the daemon and the code server are processes of this group.
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()


def test__make_dev__serves_every_table(address: str, tmp_path: Path) -> None:
    shown = _wait_for(lambda: _query(address, ASSETS)["assetNodes"], address, tmp_path)

    assert {node["assetKey"]["path"][0] for node in shown} == set(TABLES)
    assert {node["groupName"] for node in shown} == {"landing", "trusted", "curated"}
    log = (tmp_path / "log").read_text()
    assert "Warning" not in log and "WARNING" not in log, log


def _wait_for(ask, address: str, folder: Path):
    until = time.monotonic() + UP_WITHIN_SECONDS
    while time.monotonic() < until:
        try:
            if answer := ask():
                return answer
        except (urllib.error.URLError, ConnectionError):
            pass
        time.sleep(0.5)
    raise AssertionError(f"{address} did not answer: " + (folder / "log").read_text())


def _query(address: str, query: str) -> dict:
    request = urllib.request.Request(
        f"{address}/graphql",
        json.dumps({"query": query}).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)["data"]
