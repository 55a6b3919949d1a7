"""Writes what was measured as a table and a plot: RESULTS.md and results.svg."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Generic, Protocol, TypeVar

import pygal
from pygal.style import CleanStyle

from benchmarks.conditions import conditions
from benchmarks.contenders import (
    DUCKDB,
    DUCKDB_DUTY,
    JVM,
    POLARS_DUTY,
    PROJECT,
    TRANSFORMATIONS,
    WHOLE,
    Contender,
)
from benchmarks.measure import Taken

FOLDER = PROJECT / "build/benchmarks"
# Of two contenders, which one's wall clock is divided by which.
RATIOS = (
    (WHOLE, JVM),
    (WHOLE, DUCKDB),
    (TRANSFORMATIONS, JVM),
    (TRANSFORMATIONS, DUCKDB),
    (TRANSFORMATIONS, DUCKDB_DUTY),
    (TRANSFORMATIONS, POLARS_DUTY),
)

# Those of Okabe and Ito, which people with any colour vision tell apart.
COLOURS = ("#e69f00", "#56b4e9", "#009e73", "#f0e442", "#0072b2", "#d55e00", "#cc79a7", "#000000")


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

    def memory_gb(self, of: K) -> float:
        """The median of its peak memory."""
        return statistics.median(one.memory for one in self.taken[of]) / 1e9

    def checks_share(self, of: K) -> float:
        """The median share of its processor time that steps take which only check."""
        return statistics.median((one.checks or 0) / one.cpu for one in self.taken[of])


@dataclass(frozen=True)
class Target:
    """What a figure of the first load may be at most.

    Attributes:
        figure: What the results call it.
        scale: The scale at which it is measured.
        most: The greatest value.
        of: Gives it; the contenders that it speaks of took part.
        contenders: Those.
    """

    figure: str
    scale: int
    most: float
    of: Callable[[Scale[Contender]], float]
    contenders: tuple[Contender, ...]


def _ratio(scale: int, most: float, one: Contender, other: Contender) -> Target:
    figure = f"{one.name} / {other.name}, wall"
    return Target(figure, scale, most, lambda m: m.wall(one) / m.wall(other), (one, other))


TARGETS = (
    _ratio(1, 0.25, WHOLE, JVM),
    _ratio(30, 0.30, WHOLE, JVM),
    _ratio(300, 0.35, WHOLE, JVM),
    _ratio(300, 3.0, TRANSFORMATIONS, DUCKDB),
    _ratio(300, 1.2, TRANSFORMATIONS, DUCKDB_DUTY),
    _ratio(300, 4.0, WHOLE, DUCKDB),
    Target("checks' share of CPU", 300, 0.25, lambda m: m.checks_share(WHOLE), (WHOLE,)),
    Target("peak memory, GB", 300, 2.0, lambda m: m.memory_gb(WHOLE), (WHOLE,)),
)


def write(folder: Path, found: Mapping[int, Scale[Contender]], rounds: int) -> None:
    """Writes the table and the plot.

    Args:
        folder: Where to.
        found: Scale to what was measured there.
        rounds: How many runs each median is of.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "results.svg").write_bytes(_plot(found))
    lines = [*_heading(found, rounds), *_targets(found), *_ratios(found), *_table(found)]
    lines += _growth(found)
    (folder / "RESULTS.md").write_text("\n".join([*lines, *_contenders(found)]) + "\n")


def _heading(found: Mapping[int, Scale[Contender]], rounds: int) -> Iterator[str]:
    yield "# Results"
    yield ""
    command = f"make bench-rivals SCALE={','.join(map(str, found))}"
    yield from conditions(
        command,
        rounds,
        "- All runs made the same rows, by digest, and as many as the generator.",
    )
    yield "- Steps that only check: those of derived tables; landing is checked as it is read."
    yield ""
    yield "![Wall clock of each contender, in multiples of DuckDB's, by scale](results.svg)"


def _targets(found: Mapping[int, Scale[Contender]]) -> Iterator[str]:
    yield ""
    yield "## Targets"
    yield ""
    yield "| figure | scale | at most | measured | |"
    yield "| --- | ---: | ---: | ---: | --- |"
    for target in TARGETS:
        measured = found.get(target.scale)
        value = None
        if measured and all(each in measured.taken for each in target.contenders):
            value = target.of(measured)
        yield (
            f"| {target.figure} | {target.scale} | {target.most:g} "
            f"| {with_verdict(value, target.most)} |"
        )


def with_verdict(measured: float | None, most: float) -> str:
    """Two cells of a table: a figure, and whether it is at most what it should be."""
    if measured is None:
        return "| not measured"
    return f"{measured:.2f} | {'met' if measured <= most else '**missed**'}"


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
        yield (
            f"| {each.name} | {measured.wall(each):.2f} | ({min(walls):.2f} to {max(walls):.2f}) "
            f"| {cpu:.2f} | {measured.memory_gb(each):.2f} |"
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
        "Each reads JSON lines and makes the eight tables up to machine_learning_curated, each "
        "read back from its files. The whole command also makes customer_training and "
        "training_set, runs the checks, draws the pictures and keeps the run's history. The "
        "transformations are the project's own code without those. Both copy and hash the files, "
        "judge every line, quarantine what is malformed, judge each person's current consent and "
        "keep each reading once; so do the rivals of the same duty. The other rivals trust every "
        "line."
    )


def _plot(found: Mapping[int, Scale[Contender]]) -> bytes:
    """A group of bars for each scale, each as a multiple of DuckDB's wall clock: 1 is its line."""
    scales = list(found.items())
    taking_part = list(scales[0][1].taken)
    base = DUCKDB if DUCKDB in taking_part else taking_part[0]
    chart = pygal.Bar(
        js=(),
        style=CleanStyle(colors=COLOURS, value_font_size=11, legend_font_size=13),
        title=f"Wall clock of a first load, in multiples of {base.name}'s",
        logarithmic=True,
        print_values=True,
        value_formatter=lambda ratio: f"{ratio:.1f}",
        legend_at_bottom=True,
        legend_at_bottom_columns=3,
        truncate_legend=-1,  # not at all
        width=1100,
        disable_xml_declaration=False,
    )
    chart.x_labels = [f"scale {s}: {base.name} {m.wall(base):.1f} s" for s, m in scales]
    for contender in taking_part:
        chart.add(contender.name, [m.wall(contender) / m.wall(base) for _, m in scales])
    return bytes(chart.render())
