"""Runs on a small file system of their own, which fills up and is made read-only.

A program for `unshare --map-root-user --mount`: there, anyone may mount.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import dagster as dg
from rich.console import Console

import stedi_assets.definitions
import stedi_assets.materialize
from stedi_assets.errors import LakehouseError
from stedi_assets.lakehouse import delta
from stedi_assets.orchestration import history
from stedi_assets.orchestration.failures import shown_of
from stedi_assets.settings import Settings
from stedi_assets.tables import DELTA_TABLES

SIZE = "8m"
LEAST_SCRATCH_BLOCKS = 3  # or Python chooses another folder for temporary files


def materialize(
    lakehouse: Path, source: Path, instance: dg.DagsterInstance
) -> dg.ExecuteInProcessResult:
    """Materialises everything."""
    defs = stedi_assets.definitions.define(
        Settings(lakehouse_uri=str(lakehouse), source_data=str(source))
    )
    return stedi_assets.materialize.materialize(defs, instance, Console(file=io.StringIO()))


def run(lakehouse: Path, source: Path) -> dict[str, object]:
    """Materialises everything, and tells what failed and what is there."""
    with dg.DagsterInstance.ephemeral() as instance:
        result = materialize(lakehouse, source, instance)
    failed = {
        str(event.step_key): shown_of(event.step_failure_data)
        for event in result.all_node_events
        if event.is_step_failure
    }
    states = {
        table.name: delta.state(f"file://{lakehouse}/{table.location}") for table in DELTA_TABLES
    }
    return {
        "failed": failed,
        "rows": {name: state and state.rows for name, state in states.items()},
    }


def full_beside(mount: Path, source: Path) -> dict[str, object]:
    """What is said where another disk than the lakehouse's is full."""
    lakehouse = source.parent / "lakehouse"
    os.environ["DAGSTER_HOME"] = str(mount)
    try:
        with history.opened(mount) as instance:
            fill(mount)
            materialize(lakehouse, source, instance)
        said = "no error"
    except LakehouseError as error:
        said = str(error)
    del os.environ["DAGSTER_HOME"]
    (mount / "filler").unlink()
    fill(mount, leave_blocks=LEAST_SCRATCH_BLOCKS)
    tempfile.tempdir = str(mount)
    return {"history": said, "scratch": run(lakehouse, source)["failed"]}


def fill(mount: Path, leave_blocks: int = 0) -> None:
    """Fills a file system up, but for some blocks."""
    filler = mount / "filler"
    with filler.open("wb", buffering=0) as rest, contextlib.suppress(OSError):
        while rest.write(bytes(4096)):
            pass
    os.truncate(filler, filler.stat().st_size - leave_blocks * 4096)


def main(mount: Path, source: Path, beside: bool) -> None:
    """Prints what became of a run in each condition of the file system."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "lake", mount], check=True)
    if beside:
        print(json.dumps(full_beside(mount, source)))
        return
    lakehouse = mount / "lakehouse"
    told = {"good": run(lakehouse, source)}

    for new in source.rglob("*.later"):
        new.rename(new.with_suffix(".json"))
    fill(mount)
    told["full"] = run(lakehouse, source)
    # Landing takes what is new, and the tables nothing.
    fill(mount, leave_blocks=5)
    told["nearly full"] = run(lakehouse, source)
    (mount / "filler").unlink()

    subprocess.run(["mount", "-o", "remount,ro", mount], check=True)
    told["read-only"] = run(lakehouse, source)
    subprocess.run(["mount", "-o", "remount,rw", mount], check=True)
    told["fixed"] = run(lakehouse, source)
    print(json.dumps(told))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), "beside" in sys.argv)
