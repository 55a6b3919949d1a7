"""Serves Spark Connect with Delta Lake from a JVM on loopback: `stedi spark-server`.

A client of the server can do whatever this user can, and every user of the machine reaches
loopback, so it serves only clients with its token. The JVM gets the token by its environment, since
every user can read a command's arguments.
"""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import IO

import pyspark

from stedi_assets.engine import jvm
from stedi_assets.errors import Code, LakehouseError
from stedi_assets.loopback import HOST, require_free
from stedi_assets.settings import Settings

TOKEN = "SPARK_CONNECT_AUTHENTICATE_TOKEN"  # Spark's own variable
SERVER = "org.apache.spark.sql.connect.service.SparkConnectServer"
LOOK_SECONDS = 0.2


def remote(port: int, token: str) -> str:
    """The address with a token. PySpark insists on TLS for any host name but localhost."""
    return f"sc://localhost:{port}/;token={token}"


def command(port: int, lakehouse_uri: str = "", master: str = "local[*]") -> list[str]:
    """The server's command.

    Args:
        port: Where on loopback it listens.
        lakehouse_uri: Where the tables are that it is to reach.
        master: The address of the cluster's master, or `local` for this process alone.
    """
    settings = {
        **jvm.settings(lakehouse_uri),
        "spark.connect.grpc.binding.address": HOST,
        "spark.connect.grpc.binding.port": str(port),
    }
    options = [f"--conf={name}={value}" for name, value in settings.items()]
    submit = str(Path(pyspark.__file__).parent / "bin" / "spark-submit")
    # spark-submit takes this name in place of a jar, since Spark has the server's class itself.
    return [submit, f"--master={master}", *options, f"--class={SERVER}", "spark-internal"]


def serve(port: int) -> None:
    """Runs the server until it ends, and says when it answers.

    What it logs is shown only if it ends before: Ivy's log of fetching jars is long.

    Raises:
        LakehouseError: If there is no Java, something listens at the port, or the server does not
            start.
        SystemExit: With the server's status, if it ends later.
    """
    require_free(port, "spark-server", "SPARK_PORT")
    jvm.require_java()
    token = os.environ.get(TOKEN) or secrets.token_urlsafe(32)
    print("Starting Spark Connect. Its first start fetches its jars, for a minute.", flush=True)
    with tempfile.TemporaryFile() as log:
        server = subprocess.Popen(
            command(port, Settings.from_environment().lakehouse_uri),
            env={**os.environ, TOKEN: token},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        signal.signal(signal.SIGTERM, lambda *_: server.terminate())
        try:
            _await(server, port, log)
            print(
                f"Spark Connect is ready on port {port}, for clients with its token. Ctrl-C stops "
                f"it. To use it:\nexport STEDI_SPARK_REMOTE='{remote(port, token)}'",
                flush=True,
            )
            sys.exit(server.wait())
        finally:
            server.terminate()
            server.wait()


def _await(server: subprocess.Popen[bytes], port: int, log: IO[bytes]) -> None:
    while server.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex((HOST, port)) == 0:
                return
        time.sleep(LOOK_SECONDS)
    log.seek(0)
    sys.stderr.write(log.read().decode(errors="replace"))
    raise LakehouseError(
        f"The Spark server has ended with status {server.returncode} before it was ready; the "
        "lines above say why. Correct it, then start again.",
        Code.ENGINE_SETUP,
    )
