"""Serves Spark Connect with Delta Lake from a JVM on loopback: `make spark-server`."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

import pyspark

from stedi_assets.errors import LakehouseError
from stedi_assets.resources import jvm

HOST = "127.0.0.1"
SERVER = "org.apache.spark.sql.connect.service.SparkConnectServer"


def command(port: int) -> list[str]:
    """The command that is the server.

    Args:
        port: Where it listens, on loopback: whoever reaches it can do what this user can.
    """
    settings = {
        **jvm.settings(),
        "spark.connect.grpc.binding.address": HOST,
        "spark.connect.grpc.binding.port": str(port),
    }
    options = [f"--conf={name}={value}" for name, value in settings.items()]
    submit = str(Path(pyspark.__file__).parent / "bin" / "spark-submit")
    # The server is in a jar that Spark has anyway: it takes a name in place of one.
    return [submit, "--master=local[*]", *options, f"--class={SERVER}", "spark-internal"]


def main() -> None:
    """Becomes the server, once it is sure that there is Java and that the port is free."""
    port = int(sys.argv[1])
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            sys.exit(
                f"Port {port} is in use: another `make spark-server` may be running. Stop what "
                f"listens there, or choose another port: make spark-server SPARK_PORT={port + 1}"
            )
    try:
        jvm.require_java()
    except LakehouseError as error:
        sys.exit(str(error))
    print(f"Spark Connect will answer at sc://{HOST}:{port}; Ctrl-C ends it.", flush=True)
    arguments = command(port)
    os.execv(arguments[0], arguments)


if __name__ == "__main__":
    main()
