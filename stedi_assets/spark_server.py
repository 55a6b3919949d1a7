"""Serves Spark Connect with Delta Lake from a JVM on loopback: `stedi spark-server`.

A client of the server can do whatever this user can, and every user of the machine reaches
loopback, so it serves only clients with its token. The JVM gets the token by its environment, since
every user can read a command's arguments.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

import pyspark

from stedi_assets.engine import jvm
from stedi_assets.loopback import HOST, require_free
from stedi_assets.settings import Settings

TOKEN = "SPARK_CONNECT_AUTHENTICATE_TOKEN"  # Spark's own variable
SERVER = "org.apache.spark.sql.connect.service.SparkConnectServer"


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
    """Replaces this process by the server, if there is Java and the port is free.

    Raises:
        LakehouseError: If there is not, or something listens at the port.
    """
    require_free(port, "spark-server", "SPARK_PORT")
    jvm.require_java()
    token = os.environ.get(TOKEN) or secrets.token_urlsafe(32)
    print(
        f"Spark Connect will answer on port {port}, to clients with this token. Ctrl-C stops it. "
        f"To use it:\nexport STEDI_SPARK_REMOTE='{remote(port, token)}'",
        flush=True,
    )
    arguments = command(port, Settings.from_environment().lakehouse_uri)
    os.execve(arguments[0], arguments, {**os.environ, TOKEN: token})
