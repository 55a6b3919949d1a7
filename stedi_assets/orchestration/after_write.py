"""What follows the write of a table: its pictures, and its entry in the catalog."""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import dagster as dg
from pydantic import BaseModel, ValidationError

from stedi_assets import pictures
from stedi_assets.catalog import registration
from stedi_assets.catalog.glue import GlueCatalog
from stedi_assets.lakehouse import lookups
from stedi_assets.lakehouse.lakehouse import Lakehouse
from stedi_assets.orchestration.io_manager import LakehouseIOManager
from stedi_assets.tables import Table

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

NOT_DRAWN, DRAWN = "pictures_not_drawn", "pictures_drawn"
FIGURES = "_figures.json"
# To look at all of more takes longer than a run that has little else to do: of those about as many
# as the sample are counted.
LARGE, SAMPLE = 1_000_000, 250_000
DAY = 24 * 3_600_000


def io_manager(lakehouse: Lakehouse, catalog: GlueCatalog | None) -> LakehouseIOManager:
    """The IO manager with all that follows a write.

    Args:
        lakehouse: Where the tables are.
        catalog: Where to register them; None for nowhere.
    """
    return LakehouseIOManager(lakehouse, [draw, functools.partial(registration.register, catalog)])


def draw(lakehouse: Lakehouse, table: Table) -> Mapping[str, Any]:
    """The pictures of machine_learning_curated, where all paths end; {} for any other table.

    The table is committed by then, so that a picture which fails is a warning with its reason.
    """
    if table != pictures.SHOWN_ON:
        return {}
    try:
        drawn = _drawn(lakehouse, table)
        when = dg.MetadataValue.timestamp(drawn.at / 1000)
        return {**pictures.metadata(drawn.figures), DRAWN: when}
    except Exception as error:
        # What an engine says may quote a row.
        reason = f"{type(error).__name__}: the pictures were not drawn; the table is written."
        dg.get_dagster_logger().warning(reason)
        return {NOT_DRAWN: reason}


class _Drawn(BaseModel, frozen=True):
    """The figures of pictures, of which state of the table, and when (epoch milliseconds, UTC)."""

    of: str | None
    at: int
    figures: dict[str, list[dict[str, Any]]]


def _drawn(lakehouse: Lakehouse, table: Table) -> _Drawn:
    """The figures of the table as it is; of a large one they may be a day old."""
    state, now = lakehouse.state(table), time.time_ns() // 1_000_000
    assert state is not None
    kept = lakehouse.kept_beside(table, FIGURES)
    with contextlib.suppress(ValidationError):
        last = _Drawn.model_validate_json(kept or "")
        recent = state.rows > LARGE and now - last.at < DAY
        if last.of is not None and (last.of == state.commit.id or recent):
            return last

    def counted(other: Table) -> DataFrame:
        by_value = lookups.value_counts if other.time_column else Lakehouse.scan
        return by_value(lakehouse, other)

    one_in = state.rows // SAMPLE if state.rows > LARGE else 1
    figures = pictures.figures(lakehouse.scan(table), one_in, counted)
    found = _Drawn(of=state.commit.id, at=now, figures=figures)
    lakehouse.keep_beside(table, FIGURES, found.model_dump_json())
    return found
