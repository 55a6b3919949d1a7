"""Runs on a small file system of their own, which fills up and is made read-only.

A program for `unshare --map-root-user --mount`: there, anyone may mount.
"""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import dagster as dg
from rich.console import Console

import stedi_assets.definitions
import stedi_assets.materialize
from stedi_assets.lakehouse import delta
from stedi_assets.orchestration.failures import shown_of
from stedi_assets.settings import Settings
from stedi_assets.tables import DELTA_TABLES

SIZE = "8m"


def run(lakehouse: Path, source: Path) -> dict[str, object]:
    """Materialises everything, and tells what failed and what is there."""
    defs = stedi_assets.definitions.define(Settings(str(lakehouse), str(source)))
    with dg.DagsterInstance.ephemeral() as instance:
        result = stedi_assets.materialize.materialize(defs, instance, Console(file=io.StringIO()))
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


def main(mount: Path, source: Path) -> None:
    """Prints what became of a run in each condition of the file system."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "lake", mount], check=True)
    lakehouse = mount / "lakehouse"
    told = {"good": run(lakehouse, source)}

    for new in source.rglob("*.later"):
        new.rename(new.with_suffix(".json"))
    filler = mount / "filler"
    with filler.open("wb", buffering=0) as rest:
        try:
            while rest.write(bytes(4096)):
                pass
        except OSError:
            told["full"] = run(lakehouse, source)
    # Landing takes what is new, and the tables nothing.
    filler.write_bytes(filler.read_bytes()[: -5 * 4096])
    told["nearly full"] = run(lakehouse, source)
    filler.unlink()

    subprocess.run(["mount", "-o", "remount,ro", mount], check=True)
    told["read-only"] = run(lakehouse, source)
    subprocess.run(["mount", "-o", "remount,rw", mount], check=True)
    told["mended"] = run(lakehouse, source)
    print(json.dumps(told))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
