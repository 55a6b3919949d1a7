"""Figures as rows, and as the Markdown table that stands beside a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Figures = Sequence[Mapping[str, Any]]


def markdown_table(names: Sequence[str], figures: Figures) -> str:
    """Some of the figures as rows under their names, numbers to the right."""
    rule = ["---:" if isinstance(figures[0][name], int | float) else "---" for name in names]
    rows = [[_text(row[name]) for name in names] for row in figures]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (names, rule, *rows))


def _text(value: Any) -> str:
    said = "" if value is None else str(value)
    return said.replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ")
