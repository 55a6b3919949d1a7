"""Pictures of the tables' rows, each with its figures as a table."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import dagster as dg

from stedi_assets.pictures import funnel, movement
from stedi_assets.pictures.chart import Picture
from stedi_assets.pictures.figures import Figures, markdown_table
from stedi_assets.tables import Table
from stedi_assets.tables.machine_learning import MACHINE_LEARNING_CURATED

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

FIGURES = "figures"
# Where all paths end, so that its page has the pictures.
SHOWN_ON = MACHINE_LEARNING_CURATED


@dataclass(frozen=True)
class Drawing:
    """How figures are drawn: the names of their columns, their meaning, and what draws them."""

    columns: Sequence[str]
    caption: str
    pictures: Callable[[Figures], Sequence[Picture]]


DRAWINGS: Mapping[str, Drawing] = {
    "funnel": Drawing(funnel.COLUMNS, funnel.CAPTION, funnel.pictures),
    "movement_over_time": Drawing(
        (movement.TIME, *movement.CLASSES), movement.CAPTION, movement.pictures_over_time
    ),
    "movement_by_distance": Drawing(
        (movement.DISTANCE, *movement.CLASSES), movement.CAPTION, movement.pictures_by_distance
    ),
}


def figures(
    readings: DataFrame, one_in: int, read: Callable[[Table], DataFrame]
) -> dict[str, Figures]:
    """The figures of all pictures.

    Args:
        readings: The rows of machine_learning_curated.
        one_in: As `movement.figures` has it.
        read: As `funnel.figures` has it.
    """
    over_time, by_distance = movement.figures(readings, one_in)
    return {
        "funnel": funnel.figures(read),
        "movement_over_time": over_time,
        "movement_by_distance": by_distance,
    }


def metadata(figures: Mapping[str, Figures]) -> Mapping[str, Any]:
    """What machine_learning_curated shows: its pictures as Markdown, and their figures as JSON."""
    shown = {name: _markdown(name, found) for name, found in figures.items() if found}
    return {**shown, FIGURES: dg.MetadataValue.json(dict(figures))}


def _markdown(name: str, figures: Figures) -> dg.MarkdownMetadataValue:
    drawing = DRAWINGS[name]
    images = [f"![{picture.alternative}]({picture.uri})" for picture in drawing.pictures(figures)]
    return dg.MetadataValue.md(
        "\n\n".join([*images, drawing.caption, markdown_table(drawing.columns, figures)])
    )
