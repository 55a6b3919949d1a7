"""The Dagster UI as `make dev` serves it, in a browser: for tests and for the screenshots."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from playwright.sync_api import Page, ViewportSize, expect, sync_playwright

from stedi_assets.orchestration import metadata

PROJECT = Path(__file__).resolve().parent.parent
CHROMIUM = Path("/usr/bin/chromium")  # where Debian puts it
QUIET = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
UP_WITHIN_SECONDS = 120
DOWN_WITHIN_SECONDS = 60
RUN_WITHIN_MILLISECONDS = 180_000
SIZE = ViewportSize(width=1280, height=800)


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address of a UI with an empty history and lakehouse, which it keeps in a folder.

    What it logs is in the folder's file `log`.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = ["RUN=", f"BIN={Path(sys.executable).parent}"]  # it is installed already
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(
            ["make", "dev", f"PORT={port}", f"DAGSTER_HOME={folder}", *environment],
            cwd=PROJECT,
            env={**os.environ, "STEDI_LAKEHOUSE_URI": str(folder / "lakehouse")},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            address = f"http://127.0.0.1:{port}"
            _wait_for(address, folder / "log")
            yield address
        finally:
            with contextlib.suppress(ProcessLookupError):  # a test has stopped it
                os.killpg(server.pid, signal.SIGINT)  # as Ctrl-C in a terminal does
            server.wait(timeout=DOWN_WITHIN_SECONDS)
            left = processes(folder)
            for process in left:
                process.kill()
    assert not left, f"not ended: {left}"


def processes(home: Path) -> list[psutil.Process]:
    """What runs with its history in a folder: the services, and the runs that they started."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get("DAGSTER_HOME") == str(home):
                found.append(process)
    return found


@contextmanager
def opened(address: str = "") -> Iterator[Page]:
    """A page of a browser without a window, whose addresses are relative to one."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        try:
            page = browser.new_page(base_url=address or None, viewport=SIZE)
            page.set_default_timeout(UP_WITHIN_SECONDS * 1000)
            yield page
        finally:
            browser.close()


def open_lineage(page: Page) -> None:
    """Opens the graph of all assets, which shows its groups."""
    page.goto("/asset-groups")
    expect(page.get_by_text("curated", exact=True).last).to_be_visible()


def open_graph(page: Page) -> None:
    """Opens the graph of all assets with every group open, as their descriptions link to it."""
    page.goto(metadata.GRAPH)
    page.get_by_text("Hide navigation").click()
    expect(page.get_by_text("customer_files", exact=True).first).to_be_visible()


def show_markdown(page: Page, name: str) -> None:
    """Opens a picture in an asset's metadata."""
    row = page.get_by_role("row").filter(has=page.get_by_text(name, exact=True))
    row.get_by_text("[Show Markdown]").click()
    expect(page.get_by_role("dialog").get_by_role("img").first).to_be_visible()


def materialize_all(page: Page) -> None:
    """Presses the button on the lineage, and waits until the run has succeeded."""
    page.get_by_role("button", name="Materialize all").click()
    page.get_by_text("View", exact=True).click()  # the run that it has launched
    expect(page.get_by_text("Success", exact=True).first).to_be_visible(
        timeout=RUN_WITHIN_MILLISECONDS
    )


def open_asset(page: Page, name: str, view: str = "overview") -> None:
    """Opens an asset's page, once it shows what was materialised."""
    page.goto(f"/assets/{name}?view={view}")
    shown = {"overview": "Row count", "checks": "Latest execution"}[view]
    expect(page.get_by_text(shown).first).to_be_visible()


def _wait_for(address: str, log: Path) -> None:
    until = time.monotonic() + UP_WITHIN_SECONDS
    while time.monotonic() < until:
        try:
            urllib.request.urlopen(f"{address}/server_info", timeout=10).close()
            return
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.2)
    raise AssertionError(f"{address} did not answer: {log.read_text()}")
