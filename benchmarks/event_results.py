"""Writes what runs cost after events as tables and a plot: EVENTS.md and events.svg."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pygal
from pygal.style import CleanStyle

from benchmarks.conditions import conditions
from benchmarks.delivery import (
    BEFORE,
    EVENTS,
    FILES,
    FIRST_LOAD,
    NEW_FILES,
    NOTHING,
    ONE_WITHDRAWS,
    REBUILD,
    REPLACED,
    SOME_WITHDRAW,
    Event,
)
from benchmarks.results import COLOURS, Scale, scale_table, with_verdict


@dataclass(frozen=True)
class Target:
    """How much wall clock the run after an event may take at scale 300.

    Attributes:
        event: The event.
        most: The greatest ratio to what it is compared with, or else the most seconds.
        of: What it is compared with.
        of_scale: The scale of that.
    """

    event: Event
    most: float
    of: Event | None = None
    of_scale: int = 300


SCALE = 300
TARGETS = (
    Target(NOTHING, 1.2, NOTHING, 1),
    Target(NOTHING, 6),
    Target(NEW_FILES, 0.15, FIRST_LOAD),
    Target(NEW_FILES, 1, REBUILD),
    Target(NEW_FILES, 1.3, NEW_FILES, 30),
    Target(ONE_WITHDRAWS, 0.3, FIRST_LOAD),
    Target(SOME_WITHDRAW, 0.6, FIRST_LOAD),
    Target(REPLACED, 0.3, FIRST_LOAD),
    Target(FIRST_LOAD, 1, BEFORE),
)
MOST_MEMORY_GB = 2
Found = Mapping[int, Scale[Event]]


def write(folder: Path, found: Found, rounds: int) -> None:
    """Writes the tables and the plot.

    Args:
        folder: Where to.
        found: Scale to what was measured there.
        rounds: How many runs each median is of.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "events.svg").write_bytes(_plot(found))
    lines = [*_heading(found, rounds), *targets(found), *_ratios(found)]
    for scale, measured in found.items():
        lines += scale_table(scale, measured, "event")
    (folder / "EVENTS.md").write_text("\n".join([*lines, *_meanings(found)]) + "\n")


def _heading(found: Found, rounds: int) -> Iterator[str]:
    yield "# What a run costs after an event"
    yield ""
    command = f"make bench-events SCALE={','.join(map(str, found))}"
    yield from conditions(
        command,
        rounds,
        "- Every run's row counts were compared with the generator's: all are equal.",
    )
    yield (
        "- Each event happens to a copy of the same lakehouse, which the job `maintenance` has "
        "clustered after its first load; `stedi materialize` runs after it."
    )
    yield ""
    yield "![Seconds from command to exit, by event and scale](events.svg)"


def targets(found: Found) -> Iterator[str]:
    """The table of targets; those whose scales were not measured are neither met nor missed."""
    yield ""
    yield "## Targets"
    yield ""
    yield "| event | target | measured | |"
    yield "| --- | --- | ---: | --- |"
    for target in TARGETS:
        of = target.of
        unit = f"times {of.name}, scale {target.of_scale}" if of else "s"
        measured = _measured(target, found)
        yield (
            f"| {target.event.name}, scale {SCALE} | at most {target.most:g} {unit} "
            f"| {with_verdict(measured, target.most)} |"
        )
    memory = None
    if SCALE in found:
        runs = (found[SCALE].taken[event] for event in EVENTS)
        memory = max(one.memory for taken in runs for one in taken) / 1e9
    yield (
        f"| every event, scale {SCALE} | at most {MOST_MEMORY_GB} GB of memory "
        f"| {with_verdict(memory, MOST_MEMORY_GB)} |"
    )


def _measured(target: Target, found: Found) -> float | None:
    walls = {(event, scale): of.wall(event) for scale, of in found.items() for event in of.taken}
    wall = walls.get((target.event, SCALE))
    of = walls.get((target.of, target.of_scale)) if target.of else 1.0
    return wall / of if wall and of else None


def _ratios(found: Found) -> Iterator[str]:
    smallest = min(found)
    yield ""
    yield "## Wall clock against others"
    yield ""
    yield "| event | divided by |" + "".join(f" scale {scale} |" for scale in found)
    yield "| --- | --- |" + " ---: |" * len(found)
    for event in EVENTS:
        of_all = {
            FIRST_LOAD.name: [each.wall(FIRST_LOAD) for each in found.values()],
            REBUILD.name: [each.wall(REBUILD) for each in found.values()],
            f"the same, scale {smallest}": [found[smallest].wall(event)] * len(found),
        }
        for of, walls in of_all.items():
            if of != event.name:
                ratios = [
                    each.wall(event) / wall
                    for each, wall in zip(found.values(), walls, strict=True)
                ]
                yield f"| {event.name} | {of} |" + "".join(f" {ratio:.2f} |" for ratio in ratios)


def _meanings(found: Found) -> Iterator[str]:
    yield ""
    yield "## Events"
    yield ""
    yield "| event | what happens |"
    yield "| --- | --- |"
    for event in next(iter(found.values())).taken:
        yield f"| {event.name} | {event.meaning} |"
    yield ""
    yield (
        f"Each source is delivered in about {FILES:,} files, the readings in slices of time. An "
        "hour has the readings of 956 people, those of a person within two minutes."
    )


def _plot(found: Found) -> bytes:
    chart = pygal.XY(
        js=(),
        style=CleanStyle(colors=COLOURS),
        title="Seconds from command to exit, by scale",
        logarithmic=True,  # both axes
        xrange=(min(found) / 1.5, max(found) * 1.5),
        x_labels=list(found),
        x_title="scale",
        legend_at_bottom=True,
        truncate_legend=-1,  # not at all
        value_formatter=lambda seconds: f"{seconds:.1f}",
        x_value_formatter=lambda scale: f"{scale:g}",
        disable_xml_declaration=False,
    )
    for event in next(iter(found.values())).taken:
        chart.add(event.name, [(scale, each.wall(event)) for scale, each in found.items()])
    return bytes(chart.render())
