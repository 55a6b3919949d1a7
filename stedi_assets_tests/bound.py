"""A lakehouse as the resources that the project's assets, checks and ops take."""

from typing import Any

from stedi_assets.catalog.glue import GlueCatalog
from stedi_assets.lakehouse.lakehouse import Lakehouse
from stedi_assets.orchestration.after_write import io_manager


def bound(lakehouse: Lakehouse, catalog: GlueCatalog | None = None) -> dict[str, Any]:
    """The resources `lakehouse`, `catalog` and `io_manager`."""
    return {
        "lakehouse": lakehouse,
        "catalog": catalog,
        "io_manager": io_manager(lakehouse, catalog),
    }
