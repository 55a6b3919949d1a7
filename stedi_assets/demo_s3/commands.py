"""Starts the demo's server with the lakehouse on it, and stops it."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from rich.console import Console
from rich.table import Table as Listing

from stedi_assets.demo_s3.server import BUCKET, S3Server, write_private

FOLDER = Path.cwd() / ".demo-s3"
KEPT = FOLDER / "server.json"
STOP_SECONDS = 10


def start(console: Console) -> int:
    """Starts the server if it does not run, materialises every table there and lists the bucket.

    Returns:
        The exit status of the materialisation.

    Raises:
        LakehouseError: If the server is not installed or does not start.
    """
    server, process = _kept()
    if server is None:
        server = S3Server.new(FOLDER)
    if not server.answers():
        process = server.start().pid
    keys = server.access_key, server.secret_key
    write_private(KEPT, json.dumps({"ports": server.ports, "keys": keys, "process": process}))
    settings = {**server.environment, "STEDI_LAKEHOUSE_URI": f"s3://{BUCKET}"}
    exports = [f"export {name}={shlex.quote(value)}\n" for name, value in settings.items()]
    write_private(FOLDER / "environment", "".join(exports))
    console.print(f"An S3 server answers at {server.endpoint}, with its data in {FOLDER}.")

    command = [sys.executable, "-m", "stedi_assets.cli", "materialize"]
    status = subprocess.run(command, env={**os.environ, **settings}, check=False).returncode
    console.print(_listing(server))
    use = f". {FOLDER.name}/environment"
    console.print(f"For the Dagster UI on it: [bold]{use} && make dev[/] or [bold]stedi dev[/]")
    console.print("To stop it: [bold]make demo-s3-stop[/] or [bold]stedi demo-s3 stop[/]")
    return status


def stop(console: Console) -> int:
    """Stops the server; its data stays. Returns the exit status 0."""
    server, process = _kept()
    if server is None or process is None or not server.answers():
        console.print("No S3 server of this folder runs.")
        return 0
    os.kill(process, signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS
    while server.answers():
        if time.monotonic() > deadline:
            os.kill(process, signal.SIGKILL)
        time.sleep(0.1)
    console.print(f"The S3 server has stopped. Its data stays in {FOLDER}.")
    return 0


def _kept() -> tuple[S3Server | None, int | None]:
    """The server that was started last, and the id of its process."""
    if not KEPT.exists():
        return None, None
    known = json.loads(KEPT.read_text())
    return S3Server(FOLDER, known["ports"], *known["keys"]), known["process"]


def _listing(server: S3Server) -> Listing:
    files, sizes = Counter[str](), Counter[str]()
    pages = server.client().get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
    for entry in (entry for page in pages for entry in page.get("Contents", [])):
        folder = "/".join(entry["Key"].split("/")[:2])
        files[folder] += 1
        sizes[folder] += entry["Size"]
    listing = Listing("folder", "files", "bytes", box=None, title=f"s3://{BUCKET}")
    for folder in sorted(files):
        listing.add_row(folder, f"{files[folder]:,}", f"{sizes[folder]:,}")
    return listing
