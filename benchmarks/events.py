"""Measures what a run costs after each event, taking turns: `make bench-events SCALE=1,30`."""

from __future__ import annotations

import argparse
import itertools
import os
import shutil
import subprocess
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks import event_results, results
from benchmarks.compare import ROUNDS, prepared
from benchmarks.contenders import COMPARED, DUCKDB, PROJECT, WHOLE, Contender
from benchmarks.delivery import (
    BEFORE,
    EVENTS,
    FILES,
    FIRST_LOAD,
    NEW_FILES,
    REBUILD,
    Event,
    deliver,
)
from benchmarks.measure import Taken
from stedi_assets.sample.spec import SampleSpec

# The source, its copy in landing and the tables, once as loaded and once as a run changes them.
BYTES_OF_SCALE = 60 << 20


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures at each scale and writes the results."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.events", description=__doc__)
    parser.add_argument("--scales", default="1", help="times 956 customers, such as 1,30,300")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="runs after each event")
    parser.add_argument("--before", type=Path, help="python of an environment with another version")
    parser.add_argument("--out", type=Path, default=results.FOLDER, metavar="FOLDER")
    parser.add_argument("--work", type=Path, default=PROJECT / "build/events", metavar="FOLDER")
    options = parser.parse_args(arguments)
    scales = prepared(options.work, options.scales, lambda scales: sum(scales) * BYTES_OF_SCALE)
    before = options.before and replace(WHOLE, python=options.before.absolute())
    try:
        print(f"Scales {scales}, {options.rounds} rounds", flush=True)
        found = measure(options.work, scales, options.rounds, before)
    finally:
        shutil.rmtree(options.work)
    event_results.write(options.out, found, options.rounds)
    print("\n".join(event_results.targets(found)))
    print(f"Written to {options.out}/EVENTS.md")


def measure(
    work: Path, scales: Sequence[int], rounds: int, before: Contender | None
) -> dict[int, results.Scale[Event]]:
    """Loads a source at each scale, and measures the run after each event, rounds after rounds.

    What each command of the last round printed, with the seconds of each table, is then in
    `<work>.log`.

    Args:
        work: An empty folder.
        scales: The scales.
        rounds: How many rounds.
        before: Another version of the project, whose first load takes turns with this one's.
    """
    stages = {scale: Stage(work / f"{scale}", scale) for scale in scales}
    taken = {scale: defaultdict[Event, list[Taken]](list) for scale in scales}
    stages[scales[0]].run(FIRST_LOAD)  # files and compiled modules are cold
    said = {}
    for number in range(rounds):
        for event, scale in itertools.product(EVENTS, scales):
            stage = stages[scale]
            runs = {BEFORE: stage.run(event, before)} if event is FIRST_LOAD and before else {}
            runs[event] = stage.run(event)
            if event is NEW_FILES:
                runs[REBUILD] = stage.rebuild()
            for what, one in runs.items():
                taken[scale][what].append(one)
                said[what, scale] = one.said
                print(f"  round {number + 1}  {what.name:25} scale {scale:<4} {one}", flush=True)
    log = [f"== {event.name}, scale {scale}\n{text}\n" for (event, scale), text in said.items()]
    work.with_suffix(".log").write_text("".join(log))
    return {
        scale: results.Scale(stage.delivery.readings, stage.size_bytes, taken[scale])
        for scale, stage in stages.items()
    }


class Stage:
    """A source at one scale, and the lakehouse that events happen to.

    Attributes:
        loaded: The folder of the source and, from the first load on, the lakehouse and its history.
        now: A copy of it in which the last run was, always at one path; none after a first load.
        delivery: What arrives later.
        size_bytes: Of the source.
    """

    def __init__(self, folder: Path, scale: int, files: int = FILES) -> None:
        self.loaded, self.now = folder / "loaded", folder / "now"
        source, spec = self.loaded / "source", SampleSpec(scale=scale)
        self.delivery = deliver(source, folder / "arriving", spec, files)
        self.size_bytes = sum(file.stat().st_size for file in source.rglob("*.json"))

    def run(self, event: Event, contender: Contender = WHOLE) -> Taken:
        """Makes an event happen to the loaded lakehouse, and measures the run after it.

        Raises:
            AssertionError: If the tables have other rows then than the generator's.
        """
        shutil.rmtree(self.now, ignore_errors=True)
        self.now.mkdir()
        copied = [self.loaded / "source"] if event is FIRST_LOAD else [*self.loaded.iterdir()]
        # With its times: a file that has another is another version of it.
        subprocess.run(["cp", "-a", *copied, self.now], check=True)
        self.delivery.arrive(event, self.now / "source")
        os.sync()  # else the copy would be written to the disk while the run is measured
        lakehouse = self.now / "lakehouse"
        taken = contender.take(self.now / "source", lakehouse)
        self._require_rows(event, contender, lakehouse)
        if event is FIRST_LOAD and contender is WHOLE:
            contender.maintain(self.now / "source", lakehouse)
            shutil.rmtree(self.loaded)
            self.now.rename(self.loaded)
        return taken

    def rebuild(self) -> Taken:
        """Measures how DuckDB makes all tables of the source as it is after `NEW_FILES`."""
        output = self.now / "duckdb"
        shutil.rmtree(output, ignore_errors=True)
        taken = DUCKDB.take(self.now / "source", output)
        self._require_rows(NEW_FILES, DUCKDB, output)
        return taken

    def _require_rows(self, event: Event, contender: Contender, output: Path) -> None:
        found = contender.contents(output, COMPARED)
        made = {table: content.rows for table, content in found.items()}
        expected = {table.name: self.delivery.rows[event][table.name] for table in COMPARED}
        assert made == expected, f"{contender.name}, {event.name}: {made} instead of {expected}"


if __name__ == "__main__":
    main()
