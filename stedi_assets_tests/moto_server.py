"""A moto server, which answers as AWS does, in a process of its own."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.request import urlopen

START_SECONDS = 60


@contextmanager
def moto_server() -> Iterator[str]:
    """Runs a moto server on a free port of this machine and gives its endpoint URL.

    It has its own process because delta-rs holds the interpreter while it waits for an answer, so
    a server in a thread of the same process would never give one.

    Raises:
        RuntimeError: The server ended, or did not start in time; with what it printed.
    """
    with TemporaryDirectory() as folder:
        log = Path(folder) / "moto.log"
        # Port 0 lets the server choose, so that no other process can take the port meanwhile.
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"]
        with (
            log.open("w") as output,
            subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT) as server,
        ):
            try:
                endpoint = _endpoint(server, log)
                with urlopen(f"{endpoint}/moto-api/data.json", timeout=START_SECONDS):
                    yield endpoint
            finally:
                server.kill()  # it keeps nothing that an orderly end would save


def _endpoint(server: subprocess.Popen, log: Path) -> str:
    """Waits for the line that names the address."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        if running := re.search(r"Running on (http://[\d.:]+)\n", log.read_text()):
            return running[1]
        time.sleep(0.05)
    raise RuntimeError(f"The moto server did not start. It printed:\n{log.read_text()}")
