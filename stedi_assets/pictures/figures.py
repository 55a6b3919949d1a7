"""Figures: rows of named values, and the Markdown table of them below a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Figures = Sequence[Mapping[str, Any]]


def markdown_table(names: Sequence[str], figures: Figures) -> str:
    """The named values of each row, numbers to the right."""
    rule = ["---:" if isinstance(figures[0][name], int | float) else "---" for name in names]
    rows = [[_text(row[name]) for name in names] for row in figures]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (names, rule, *rows))


def _text(value: Any) -> str:
    text = f"{value:,}" if isinstance(value, int) else "" if value is None else str(value)
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ")
