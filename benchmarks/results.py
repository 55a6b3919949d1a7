"""Writes what was measured as a table and a plot: RESULTS.md and results.svg."""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from typing import Generic, Protocol, TypeVar

import psutil
import pygal
from pygal.style import CleanStyle

from benchmarks.contenders import (
    CONTENDERS,
    DUCKDB,
    JVM,
    PROJECT,
    TRANSFORMATIONS,
    WHOLE,
    Contender,
)
from benchmarks.measure import Taken

FOLDER = PROJECT / "build/benchmarks"
PACKAGES = ("dagster", "pyspark", "pysail", "deltalake", "pyarrow", "duckdb", "polars")
# Of two contenders, which one's wall clock is divided by which.
RATIOS = ((WHOLE, JVM), (TRANSFORMATIONS, JVM), (TRANSFORMATIONS, DUCKDB))


class Named(Protocol):
    """What takes turns: a contender, or an event."""

    @property
    def name(self) -> str:
        """What the results call it."""


K = TypeVar("K", bound=Named)


@dataclass(frozen=True)
class Scale(Generic[K]):
    """What was measured at one scale.

    Attributes:
        readings: How many accelerometer rows landed.
        size_bytes: How many bytes of JSON lines, of all sources.
        taken: What each run of each that took turns took.
    """

    readings: int
    size_bytes: int
    taken: Mapping[K, list[Taken]]

    def wall(self, of: K) -> float:
        """The median of its seconds."""
        return statistics.median(one.wall for one in self.taken[of])


def write(folder: Path, found: Mapping[int, Scale[Contender]], rounds: int) -> None:
    """Writes the table and the plot.

    Args:
        folder: Where to.
        found: Scale to what was measured there.
        rounds: How many runs each median is of.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "results.svg").write_bytes(_plot(found))
    lines = [*_heading(found, rounds), *_table(found), *_ratios(found), *_growth(found)]
    (folder / "RESULTS.md").write_text("\n".join([*lines, *_contenders(found)]) + "\n")


def _heading(found: Mapping[int, Scale[Contender]], rounds: int) -> Iterator[str]:
    yield "# Results"
    yield ""
    yield from conditions(f"make bench SCALE={','.join(map(str, found))}", rounds)
    yield ""
    yield "![Seconds from command to exit, by contender and scale](results.svg)"


def conditions(command: str, rounds: int) -> Iterator[str]:
    """By what, when, on what and how it was measured."""
    memory = psutil.virtual_memory().total / 2**30
    yield f"Written by `{command}` on {datetime.now(UTC):%Y-%m-%d}. Do not edit."
    yield ""
    yield (
        f"- Machine: {len(os.sched_getaffinity(0))} cores of {_processor()}, {memory:.0f} GB, "
        f"{platform.system()} {platform.machine()}."
    )
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    yield f"- Versions: Python {platform.python_version()}, {_java()}, {packages}."
    yield (
        f"- Each figure is the median of {rounds} runs, all taking turns; in brackets, the least "
        "and the greatest wall clock."
    )
    yield "- Wall clock and processor time are from command to exit, imports and start-up included."
    yield "- Memory is the most that all processes of the command had resident at one time."
    yield "- Every run's row counts were compared with the generator's: all are equal."


def _table(found: Mapping[int, Scale[Contender]]) -> Iterator[str]:
    for scale, measured in found.items():
        yield from scale_table(scale, measured, "contender")


def scale_table(scale: int, measured: Scale[K], what: str) -> Iterator[str]:
    """What was measured at one scale, under a heading."""
    yield ""
    yield (
        f"## Scale {scale}: {measured.readings:,} accelerometer readings, "
        f"{measured.size_bytes / 1e6:,.0f} MB of JSON lines"
    )
    yield ""
    yield f"| {what} | wall, s | | CPU, s | peak memory, GB |"
    yield "| --- | ---: | --- | ---: | ---: |"
    for each, taken in measured.taken.items():
        walls = [one.wall for one in taken]
        cpu = statistics.median(one.cpu for one in taken)
        memory = statistics.median(one.memory for one in taken) / 1e9
        yield (
            f"| {each.name} | {measured.wall(each):.2f} | ({min(walls):.2f} to {max(walls):.2f}) "
            f"| {cpu:.2f} | {memory:.2f} |"
        )


def _ratios(found: Mapping[int, Scale[Contender]]) -> Iterator[str]:
    yield ""
    yield "## Wall clock against rivals"
    yield ""
    yield "| ratio |" + "".join(f" scale {scale} |" for scale in found)
    yield "| --- |" + " ---: |" * len(found)
    for one, other in RATIOS:
        if all(other in measured.taken for measured in found.values()):
            ratios = [each.wall(one) / each.wall(other) for each in found.values()]
            yield f"| {one.name} / {other.name} |" + "".join(f" {ratio:.2f} |" for ratio in ratios)


def _growth(found: Mapping[int, Scale[Contender]]) -> Iterator[str]:
    if len(found) < 2:
        return
    yield ""
    yield "## Growth"
    yield ""
    yield (
        "The slope is the wall clock of a million more accelerometer readings, with all that comes "
        "with them, between one scale and the next."
    )
    yield ""
    yield "| contender | from scale | to scale | slope, s a million | wall a row, later / earlier |"
    yield "| --- | ---: | ---: | ---: | ---: |"
    for (small, less), (large, more) in pairwise(found.items()):
        for contender in more.taken:
            slope = (more.wall(contender) - less.wall(contender)) / (more.readings - less.readings)
            a_row = [each.wall(contender) / each.readings for each in (less, more)]
            yield (
                f"| {contender.name} | {small} | {large} | {slope * 1e6:.2f} "
                f"| {a_row[1] / a_row[0]:.2f} |"
            )


def _contenders(found: Mapping[int, Scale[Contender]]) -> Iterator[str]:
    yield ""
    yield "## Contenders"
    yield ""
    yield "| contender | what runs | writes |"
    yield "| --- | --- | --- |"
    for contender in next(iter(found.values())).taken:
        yield f"| {contender.name} | `{contender.script}` | {contender.writes} |"
    yield ""
    yield (
        "Each reads JSON lines and makes the eight tables, each read back from its files. The "
        "whole command also runs the checks, draws the pictures and keeps the run's history. The "
        "transformations are the project's own code without those. Both copy the files into "
        "landing, and look into every line for what cannot be read; the rivals trust every line."
    )


def _plot(found: Mapping[int, Scale[Contender]]) -> bytes:
    chart = pygal.HorizontalBar(
        js=(),
        style=CleanStyle,
        title="Seconds from command to exit",
        logarithmic=True,
        print_values=True,
        value_formatter=lambda seconds: f"{seconds:.1f}",
        disable_xml_declaration=False,
    )
    taking_part = [c for c in CONTENDERS if c in next(iter(found.values())).taken]
    chart.x_labels = [contender.name for contender in taking_part]
    for scale, measured in found.items():
        chart.add(f"scale {scale}", [measured.wall(contender) for contender in taking_part])
    return bytes(chart.render())


def _processor() -> str:
    listed = Path("/proc/cpuinfo")
    if listed.exists():
        for line in listed.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or "an unknown processor"


def _java() -> str:
    try:
        answer = subprocess.run(["java", "-version"], capture_output=True, text=True, check=False)
    except OSError:
        return "no Java"
    return answer.stderr.partition("\n")[0].replace('"', "")
