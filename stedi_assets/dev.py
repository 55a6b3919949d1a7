"""Serves the Dagster UI and its daemon on loopback: `make dev`."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

HOST = "127.0.0.1"


def main() -> None:
    """Becomes `dagster dev`, once it is sure that the port is free."""
    port = int(sys.argv[1])
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            sys.exit(
                f"Port {port} is in use: another `make dev` may be running. "
                f"Stop what listens there, or choose another port: make dev PORT={port + 1}"
            )
    dagster = str(Path(sys.executable).with_name("dagster"))
    # Dagster would rather be started as `dg dev`, and says so at every start.
    os.environ.setdefault("PYTHONWARNINGS", "ignore:Function `dev_command` is superseded")
    address = ["--host", HOST, "--port", str(port)]
    os.execv(dagster, [dagster, "dev", "--workspace", "workspace.yaml", *address])


if __name__ == "__main__":
    main()
