"""The real Dagster daemon and code server, for a while."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import dagster as dg

from stedi_assets.orchestration.history import INSTANCE

PROJECT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
WAIT_SECONDS = 120  # much more than it takes, for a machine with other work


def home(folder: Path) -> Path:
    """A DAGSTER_HOME with the settings of `make dev` and no history yet."""
    folder.mkdir()
    shutil.copy(INSTANCE, folder)
    return folder


@contextmanager
def running(environment: Mapping[str, str], log: Path) -> Iterator[None]:
    """Runs both until the end of the block, at which they are killed with the runs they started."""
    with log.open("a") as output:
        daemon = subprocess.Popen(
            [BIN / "dagster-daemon", "run", "-w", "workspace.yaml"],
            cwd=PROJECT,
            env=dict(environment),
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        try:
            yield
        finally:
            # The code server and its runs are processes of this group.
            os.killpg(daemon.pid, signal.SIGKILL)
            daemon.wait()


def dagster(command: str, environment: Mapping[str, str]) -> None:
    """Runs a command of Dagster's to its end."""
    ended = subprocess.run(
        [BIN / "dagster", *command.split()],
        cwd=PROJECT,
        env=dict(environment),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr


def until(condition: Callable[[], bool], log: Path) -> None:
    """Waits."""
    end = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < end, log.read_text()[-5000:]
        time.sleep(0.2)


def statuses(instance: dg.DagsterInstance) -> list[dg.DagsterRunStatus]:
    """Those of all runs, the latest first."""
    return [run.status for run in instance.get_runs()]
