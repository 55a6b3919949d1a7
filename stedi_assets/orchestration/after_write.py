"""What follows the write of a table: its pictures, and its entry in the catalog."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import dagster as dg

from stedi_assets import pictures
from stedi_assets.catalog import registration
from stedi_assets.catalog.glue import GlueCatalog
from stedi_assets.lakehouse.lakehouse import Lakehouse
from stedi_assets.orchestration.io_manager import LakehouseIOManager
from stedi_assets.tables import Table
from stedi_assets.tables.machine_learning import MACHINE_LEARNING_CURATED

NOT_DRAWN = "pictures_not_drawn"


def io_manager(lakehouse: Lakehouse, catalog: GlueCatalog | None) -> LakehouseIOManager:
    """The IO manager with all that follows a write.

    Args:
        lakehouse: Where the tables are.
        catalog: Where to register them; None for nowhere.
    """
    return LakehouseIOManager(lakehouse, [draw, functools.partial(registration.register, catalog)])


def draw(lakehouse: Lakehouse, table: Table) -> Mapping[str, Any]:
    """The pictures of the training table, where all paths end; nothing of another.

    The table is committed by then, so that a picture which fails is a warning with its reason.
    """
    if table != MACHINE_LEARNING_CURATED:
        return {}
    try:
        return pictures.metadata(lakehouse.read)
    except Exception as error:
        # What an engine says may quote a row.
        reason = f"{type(error).__name__}: the pictures were not drawn; the table is written."
        dg.get_dagster_logger().warning(reason)
        return {NOT_DRAWN: reason}
