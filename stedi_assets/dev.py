"""Serves the Dagster UI and its daemon on loopback: `make dev`."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from stedi_assets.automation import runs
from stedi_assets.loopback import HOST, require_free


def main() -> None:
    """Becomes `dagster dev`, once it is sure that the port is free."""
    port = int(sys.argv[1])
    require_free(port, "make dev", "PORT")
    home = os.environ.get("DAGSTER_HOME")
    if home:  # without one `dagster dev` keeps its history in a temporary folder
        with runs.history(Path(home)):
            pass  # made here, under a lock, since several processes are about to open it
    dagster = str(Path(sys.executable).with_name("dagster"))
    # Dagster would rather be started as `dg dev`, and says so at every start.
    os.environ.setdefault("PYTHONWARNINGS", "ignore:Function `dev_command` is superseded")
    address = ["--host", HOST, "--port", str(port)]
    os.execv(dagster, [dagster, "dev", "--workspace", "workspace.yaml", *address])


if __name__ == "__main__":
    main()
