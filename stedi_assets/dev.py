"""Serves the Dagster UI and its daemon on loopback: `make dev`.

It starts the guarded webserver, which `dagster dev` cannot. All services stop with this process.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from types import FrameType

import yaml

from stedi_assets.errors import fault_ends_process
from stedi_assets.loopback import HOST, require_free
from stedi_assets.orchestration import runs
from stedi_assets.settings import PROJECT, Settings

LOOK_SECONDS = 0.2
START_SECONDS = 120
STOP_SECONDS = 10


class Services:
    """Processes of one process group, which stop together."""

    def __init__(self) -> None:
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._group = 0
        self._asked_to_end = threading.Event()

    def start(self, name: str, *command: str) -> None:
        """Starts a service in the group, which is not the terminal's."""
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, cwd=PROJECT, process_group=self._group
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


def main() -> None:
    """Serves until a signal arrives."""
    port = int(sys.argv[1])
    with fault_ends_process():
        Settings.from_environment()
        require_free(port, "dev", "PORT")
    home = os.environ.get("DAGSTER_HOME")
    if not home:
        sys.exit("DAGSTER_HOME is not set: run `make dev`, or name a folder for the history.")
    with runs.history(Path(home)):
        pass  # creates the databases, under a lock, before several processes open them
    services = Services()
    services.end_on_signals()
    with tempfile.TemporaryDirectory(prefix="stedi-dev-") as folder:
        try:
            _serve(services, port, Path(folder))
        finally:
            services.stop()


def _serve(services: Services, port: int, folder: Path) -> None:
    [location] = yaml.safe_load((PROJECT / "workspace.yaml").read_text())["load_from"]
    module, name = location["python_module"].values()
    code = folder / "code"  # a Unix socket, which other users cannot reach
    workspace = folder / "workspace.yaml"
    server = {"grpc_server": {"socket": str(code), "location_name": name}}
    workspace.write_text(yaml.safe_dump({"load_from": [server]}))
    program = Path(sys.executable).with_name
    loads = ("--module-name", module, "--location-name", name)
    start = ("code-server", "start", "--socket", str(code), *loads, "--log-level", "warning")
    services.start("code server", str(program("dagster")), *start)
    if not _await(code, services):
        return
    at = ("--workspace", str(workspace))
    services.start("daemon", str(program("dagster-daemon")), "run", *at)
    listen = ("--host", HOST, "--port", str(port))
    services.start("webserver", sys.executable, "-m", "stedi_assets.webserver", *listen, *at)
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


if __name__ == "__main__":
    main()
