"""Serves the Dagster UI and its daemon on loopback: `stedi dev`.

It starts the guarded webserver, which `dagster dev` cannot. All services stop with this process.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import IO

import yaml

from stedi_assets.errors import Code, LakehouseError
from stedi_assets.loopback import HOST, require_free
from stedi_assets.orchestration import history
from stedi_assets.orchestration.runs import LOCATION
from stedi_assets.settings import Settings

MODULE = "stedi_assets.definitions"
SERVED = "dev.lock"
LOOK_SECONDS = 0.2
START_SECONDS = 120
STOP_SECONDS = 10


class Services:
    """Processes of one process group, which stop together.

    Args:
        home: Their DAGSTER_HOME.
        lock: A lock that they hold together, for as long as one of them runs.
    """

    def __init__(self, home: Path, lock: IO[str]) -> None:
        self._environment = {**os.environ, "DAGSTER_HOME": str(home)}
        self._lock = lock
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._group = 0
        self._asked_to_end = threading.Event()

    def start(self, name: str, module: str, *arguments: str) -> None:
        """Runs a module as a service in the group, which is not the terminal's."""
        process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            stdin=subprocess.DEVNULL,
            env=self._environment,
            process_group=self._group,
            pass_fds=[self._lock.fileno()],
        )
        self._group = self._group or process.pid
        self._running[name] = process

    def end_on_signals(self) -> None:
        """Stops the services on Ctrl-C, SIGTERM and SIGHUP, and kills them on a second one."""
        for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(each, self._end)

    def wait(self, seconds: float) -> bool:
        """Waits, and ends the process if a service has ended by itself.

        Returns:
            Whether the services are to go on: no signal has arrived.
        """
        asked = self._asked_to_end.wait(seconds)
        for name, process in self._running.items():
            if not asked and process.poll() is not None:
                sys.exit(
                    f"The {name} has ended with status {process.returncode}; the lines above say "
                    "why. The others were ended too: correct it, then start again."
                )
        return not asked

    def stop(self) -> None:
        """Stops all of them, and the runs that they have started."""
        self._asked_to_end.set()
        self._signal(signal.SIGINT)
        give_up = time.monotonic() + STOP_SECONDS
        for process in self._running.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(max(0, give_up - time.monotonic()))
        self._signal(signal.SIGKILL)  # what is left of the group
        for process in self._running.values():
            process.wait()

    def _end(self, _number: int, _frame: FrameType | None) -> None:
        if self._asked_to_end.is_set():
            self._signal(signal.SIGKILL)
        self._asked_to_end.set()

    def _signal(self, number: signal.Signals) -> None:
        if self._group:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._group, number)


def serve(port: int, home: Path) -> None:
    """Serves until a signal arrives.

    Args:
        port: Where the UI answers, on loopback.
        home: DAGSTER_HOME.

    Raises:
        LakehouseError: If a setting is wrong, something listens at the port, or the history is
            served already.
        SystemExit: If a service ends by itself.
    """
    lakehouse = Settings.from_environment().lakehouse_uri
    require_free(port, "dev", "PORT")
    with history.opened(home) as instance:  # creates the databases before several processes do
        history.claim(instance, history.identity(lakehouse))
    with (
        _served_once(home, port) as lock,
        tempfile.TemporaryDirectory(prefix="stedi-dev-") as folder,
    ):
        services = Services(home, lock)
        services.end_on_signals()
        print(f"Starting the Dagster UI at http://{HOST}:{port}. Ctrl-C ends it.", flush=True)
        try:
            _serve(services, port, Path(folder))
        finally:
            services.stop()


@contextlib.contextmanager
def _served_once(home: Path, port: int) -> Iterator[IO[str]]:
    """A locked file, which shows that a history is served until all who hold it have ended.

    Two daemons on one history would start runs twice.

    Raises:
        LakehouseError: If it is served already.
    """
    with (home / SERVED).open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise LakehouseError(
                f"The history in {home} is served already, at http://{HOST}:{lock.read()}. Open "
                "that, or stop it (Ctrl-C where it runs) and start again: of two daemons on one "
                "history each would start the same runs.",
                Code.HISTORY,
            ) from None
        lock.truncate(0)
        lock.write(str(port))
        lock.flush()
        yield lock


def require_unserved(folder: Path) -> None:
    """Makes sure that no UI is served from the histories in a folder.

    Raises:
        LakehouseError: If one is.
    """
    for path in (folder / SERVED, *folder.glob(f"lakehouses/*/{SERVED}")):
        with contextlib.suppress(FileNotFoundError), path.open() as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                raise LakehouseError(
                    f"The history in {path.parent} is served at http://{HOST}:{lock.read()}. Stop "
                    "that first (Ctrl-C where it runs).",
                    Code.HISTORY,
                ) from None


def _serve(services: Services, port: int, folder: Path) -> None:
    code = folder / "code"  # a Unix socket, which other users cannot reach
    workspace = folder / "workspace.yaml"
    server = {"grpc_server": {"socket": str(code), "location_name": LOCATION}}
    workspace.write_text(yaml.safe_dump({"load_from": [server]}))
    loads = ("--module-name", MODULE, "--location-name", LOCATION)
    start = ("code-server", "start", "--socket", str(code), *loads, "--log-level", "warning")
    services.start("code server", "dagster", *start)
    if not _await(code, services):
        return
    at = ("--workspace", str(workspace))
    services.start("daemon", "dagster._daemon", "run", *at)
    listen = ("--host", HOST, "--port", str(port))
    services.start("webserver", "stedi_assets.webserver", *listen, *at)
    while services.wait(LOOK_SECONDS):
        pass


def _await(path: Path, services: Services) -> bool:
    """Waits until a Unix socket answers; False if a signal arrives before."""
    for _ in range(int(START_SECONDS / LOOK_SECONDS)):
        with socket.socket(socket.AF_UNIX) as probe, contextlib.suppress(OSError):
            probe.connect(str(path))
            return True
        if not services.wait(LOOK_SECONDS):
            return False
    sys.exit(f"The code server did not answer within {START_SECONDS} s; the lines above say why.")
