"""Runs of `make materialize` in processes of their own, which start with the libraries imported.

A third of such a run is imports, and the engine keeps its first AWS settings, so that each set of
settings needs a process.
"""

from __future__ import annotations

import multiprocessing
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

HANGING_SECONDS = 120
LIBRARIES = [
    "dagster",
    "dagster_pyspark",
    "deltalake",
    "boto3",
    "pyspark.sql.connect.session",
    "alembic.command",
    "pygal",
    "rich.table",
    "upath",
    "pysail.spark",
]

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(LIBRARIES)


class Run:
    """A run that has begun.

    Attributes:
        process: The process.
    """

    def __init__(self, settings: Mapping[str, str], *options: str) -> None:
        with tempfile.NamedTemporaryFile(delete=False) as printed:
            self._printed = Path(printed.name)
        self.process = FORKS.Process(
            target=_materialize, args=(dict(settings), str(self._printed), options)
        )
        self.process.start()

    @property
    def printed(self) -> str:
        """What it has said until now."""
        return self._printed.read_text()

    @property
    def exit_status(self) -> int | None:
        """The exit status, or None while it runs."""
        return self.process.exitcode

    def end(self) -> Run:
        """Waits for its end."""
        self.process.join(HANGING_SECONDS)
        assert self.exit_status is not None, f"still runs:\n{self.printed}"
        return self


def _materialize(settings: dict[str, str], printed: str, options: Sequence[str]) -> None:
    os.environ.clear()
    os.environ.update(settings)
    with Path(printed).open("w") as output:
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
    from stedi_assets import cli
    from stedi_assets.orchestration import failures

    failures.RETRY_SECONDS = 0  # what is at fault in a test stays so
    cli.main(["materialize", *options])
