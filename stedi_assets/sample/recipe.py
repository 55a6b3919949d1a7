"""What a sample has of one source."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from stedi_assets.sample.cohort import Cohort


@dataclass(frozen=True)
class Recipe:
    """How a source's records are made from a cohort, and how many rows its tables have then.

    Attributes:
        lines: Makes the records that land, one JSON object each, as many for every cohort; None if
            nothing of the source lands.
        rows: Counts the rows of the source's derived tables without an engine: table to rows.
            Cohorts share no person, device or timestamp, so that rows of cohorts add up.
    """

    lines: Callable[[Cohort], list[str]] | None
    rows: Callable[[Cohort], Mapping[str, int]]
