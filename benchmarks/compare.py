"""Measures this project beside its rivals, taking turns: `make bench SCALE=1,30`."""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks import results
from benchmarks.contenders import COMPARED, CONTENDERS, JVM, PROJECT, Contender, Content
from benchmarks.measure import Taken
from stedi_assets.engine import jvm
from stedi_assets.errors import LakehouseError
from stedi_assets.sample.files import write_sample
from stedi_assets.sample.spec import SampleSpec
from stedi_assets.tables import LANDING_TABLES, Table

ROUNDS = 3
# JSON lines, their copy in landing, and what the run that needs most has on disk besides.
BYTES_OF_SCALE = 40 << 20


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures at each scale and writes the results."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.compare", description=__doc__)
    parser.add_argument("--scales", default="1", help="times 956 customers, such as 1,30,300")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="runs of each contender")
    parser.add_argument("--out", type=Path, default=results.FOLDER, metavar="FOLDER")
    parser.add_argument("--work", type=Path, default=PROJECT / "build/bench", metavar="FOLDER")
    options = parser.parse_args(arguments)
    scales = prepared(options.work, options.scales, lambda scales: scales[-1] * BYTES_OF_SCALE)
    contenders = [each for each in CONTENDERS if each is not JVM or has_java()]
    print(f"{len(contenders)} contenders at scale {scales}, {options.rounds} rounds", flush=True)
    found: dict[int, results.Scale] = {}
    try:
        for scale in scales:
            source = options.work / "source"
            rows = write_sample(source, SampleSpec(scale=scale))["rows"]
            if not found:
                compare(contenders, source, rows, rounds=1)  # files and compiled modules are cold
            found[scale] = results.Scale(
                rows["accelerometer_landing"],
                sum(file.stat().st_size for file in source.rglob("*.json")),
                compare(contenders, source, rows, options.rounds),
            )
            shutil.rmtree(source)
    finally:
        shutil.rmtree(options.work)
    results.write(options.out, found, options.rounds)
    print(f"Written to {options.out}/RESULTS.md")


def compare(
    contenders: Sequence[Contender],
    source: Path,
    rows: dict[str, int],
    rounds: int,
    tables: Sequence[Table] = (*LANDING_TABLES, *COMPARED),
) -> dict[Contender, list[Taken]]:
    """Runs the contenders in turn, and makes sure that all have made the same rows.

    Args:
        contenders: Who takes part.
        source: The JSON lines.
        rows: How many rows the generator records for each table.
        rounds: How often each runs.
        tables: The tables that are compared.

    Returns:
        What each run took.

    Raises:
        AssertionError: If a contender has made other rows than the first, or not as many as the
            generator says.
    """
    first: dict[str, Content] = {}
    taken: dict[Contender, list[Taken]] = {each: [] for each in contenders}
    for number in range(rounds):
        for contender in contenders:
            output = source.with_name("output")
            one = contender.take(source, output)
            made = contender.contents(output, tables)
            counts = {table: content.rows for table, content in made.items()}
            expected = {table: rows[table] for table in made}
            assert counts == expected, f"{contender.name} made {counts} instead of {expected}"
            first = first or made
            other = [table for table in made if made[table] != first[table]]
            assert not other, f"{contender.name} made other rows of {', '.join(other)}"
            taken[contender].append(one)
            print(f"  round {number + 1}  {contender.name:18} {one}", flush=True)
            for folder in output.parent.glob("output*"):  # with its history and what it parsed
                shutil.rmtree(folder)
    return taken


def has_java() -> bool:
    """Whether the JVM script can take part; if not, says why."""
    try:
        jvm.require_java()
    except LakehouseError as error:
        print(f"The JVM script is left out: {error}")
        return False
    return True


def prepared(work: Path, scales: str, needed: Callable[[Sequence[int]], int]) -> Sequence[int]:
    """The scales of a command in order, for which there is an empty folder with room.

    Args:
        work: The folder.
        scales: The scales, with commas between them.
        needed: How many bytes they need.
    """
    found = sorted(int(scale) for scale in scales.split(","))
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    require_room(work, scales, needed(found))
    return found


def require_room(folder: Path, scales: str, needed: int) -> None:
    """Ends the command if the disk has less than the needed bytes free."""
    free = shutil.disk_usage(folder).free
    if free < needed:
        sys.exit(
            f"SCALE={scales} needs about {needed / 1e9:.0f} GB in {folder}, which has "
            f"{free / 1e9:.0f} GB free. Make room, or choose a smaller scale."
        )


if __name__ == "__main__":
    main()
