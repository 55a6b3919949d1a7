"""The JVM Spark of `make spark-server`, in a process of its own."""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest

from stedi_assets import spark_server
from stedi_assets.engine import jvm
from stedi_assets.errors import LakehouseError
from stedi_assets.loopback import HOST

# The first start fetches the jars.
START_SECONDS = 240
NO_JARS = "unresolved dependenc"


def need_java() -> None:
    """Skips the test where there is no Java, but for CI, which installs it."""
    try:
        jvm.require_java()
    except LakehouseError as error:
        assert not os.environ.get("CI"), str(error)
        pytest.skip(str(error))


def did_not_start(name: str, said: str) -> NoReturn:
    """Skips the test where a JVM could not fetch its jars; fails it for any other reason."""
    if NO_JARS in said:
        pytest.skip("the jars cannot be fetched from Maven Central")
    pytest.fail(f"{name} did not start:\n{said[-2000:]}")


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[str]:
    """Runs a server, and skips the test where there is no Java or Maven Central.

    Args:
        folder: Where it writes its log, and whatever else.

    Yields:
        Its address.
    """
    need_java()
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port = probe.getsockname()[1]
    log = folder / "log"
    command = [sys.executable, "-m", "stedi_assets.cli", "spark-server", "--port", str(port)]
    token = secrets.token_urlsafe(32)
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, spark_server.TOKEN: token},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        _await(process, port, log)
        yield spark_server.remote(port, token)
    finally:
        process.terminate()
        process.wait()


def _await(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    give_up = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < give_up:
        with socket.socket() as probe:
            if probe.connect_ex((HOST, port)) == 0:
                return
        time.sleep(0.2)
    did_not_start("the server", log.read_text())
