"""Charts as SVG, drawn by pygal, each with a text alternative."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# The width of the dialogue in which Dagster shows a picture.
WIDTH = 720
INK = "#1f2933"
# Okabe and Ito's colours, which are distinct for every kind of colour vision.
COLORS = ("#0072b2", "#e69f00", "#009e73")


@dataclass(frozen=True)
class Picture:
    """A drawn chart, with the same figures as text in `alternative`."""

    title: str
    svg: str
    alternative: str

    @property
    def uri(self) -> str:
        """The drawing as a data URI."""
        return f"data:image/svg+xml;base64,{base64.b64encode(self.svg.encode()).decode()}"


def bars(title: str, values: Mapping[str, int], kinds: Sequence[str]) -> Picture:
    """A horizontal bar for each value, from top to bottom, with the value beside its label.

    `values` is label to value; `kinds` has the kind of each value, shown as its colour.
    """
    from pygal import HorizontalBar

    color = dict(zip(dict.fromkeys(kinds), COLORS, strict=False))
    lengths = [
        {"value": value, "color": color[kind]}
        for value, kind in zip(values.values(), kinds, strict=True)
    ]
    height = 50 + 28 * len(values)
    chart = HorizontalBar(**_options(title), height=height, show_legend=False, show_x_labels=False)
    labels = [f"{label} {value:,}" for label, value in values.items()]
    chart.x_labels = labels[::-1]  # pygal draws upwards
    chart.add("", lengths[::-1])
    return _drawn(chart, title, "; ".join(labels))


@dataclass(frozen=True)
class Axes:
    """What the axes of a chart show, each with its unit."""

    across: str
    upwards: str


def columns(
    title: str, axes: Axes, labels: Sequence[str], series: Mapping[str, Sequence[int]]
) -> Picture:
    """A stacked column of the series for each label, from left to right."""
    from pygal import StackedBar

    return _of_series(StackedBar(**_options(title, axes), height=340), title, labels, series)


def lines(
    title: str, axes: Axes, labels: Sequence[str], series: Mapping[str, Sequence[float]]
) -> Picture:
    """A line for each series over the labels, from left to right, above zero."""
    from pygal import Line

    chart = Line(**_options(title, axes), height=340, stroke_style={"width": 2})
    return _of_series(chart, title, labels, series)


def _of_series(
    chart: Any, title: str, labels: Sequence[str], series: Mapping[str, Sequence[float]]
) -> Picture:
    chart.x_labels = labels
    chart.x_labels_major_every, chart.show_minor_x_labels = 3, False
    chart.max_scale = 6
    for name, values in series.items():
        chart.add(name, values)
    values_by_series = "; ".join(
        f"{name}: {', '.join(f'{value:,}' for value in values)}" for name, values in series.items()
    )
    return _drawn(chart, title, f"from {labels[0]} to {labels[-1]}, {values_by_series}")


def _options(title: str, axes: Axes | None = None) -> dict[str, Any]:
    from pygal.style import Style

    return {
        "title": title,
        "x_title": axes.across if axes else None,
        "y_title": axes.upwards if axes else None,
        "width": WIDTH,
        "style": Style(
            background="#ffffff",
            plot_background="#ffffff",
            foreground=INK,
            foreground_strong=INK,
            foreground_subtle="#d5dbe1",
            opacity="1",
            colors=COLORS,
            font_family="system-ui, sans-serif",
            title_font_size=14,
            label_font_size=11,
            major_label_font_size=11,
            legend_font_size=12,
            guide_stroke_color="#d5dbe1",
            guide_stroke_dasharray="0",
            major_guide_stroke_color="#d5dbe1",
            major_guide_stroke_dasharray="0",
        ),
        "js": (),  # pygal's default is a script from its own site
        "include_x_axis": True,
        "legend_at_bottom": True,
        "legend_at_bottom_columns": len(COLORS),
        "legend_box_size": 10,
        "truncate_legend": -1,
        "truncate_label": -1,
        "value_formatter": lambda value: f"{value:,g}",
        "disable_xml_declaration": True,
    }


def _drawn(chart: Any, title: str, text: str) -> Picture:
    return Picture(title, chart.render(is_unicode=True), f"{title}: {text}.")
