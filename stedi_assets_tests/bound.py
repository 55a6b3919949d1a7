"""The assets and checks of all tables, and a lakehouse as the resources that they take."""

from typing import Any

import dagster as dg

from stedi_assets.catalog.glue import GlueCatalog
from stedi_assets.lakehouse.lakehouse import Lakehouse
from stedi_assets.orchestration import landing_assets
from stedi_assets.orchestration.after_write import io_manager
from stedi_assets.orchestration.checks import tables as checks
from stedi_assets.orchestration.table_assets import table_asset
from stedi_assets.policy import NO_OPTION, Options
from stedi_assets.tables import DELTA_TABLES, LANDING_TABLES
from stedi_assets_tests.rows import CLOCK, PSEUDONYMS

LANDING = dict(zip([table.name for table in LANDING_TABLES], landing_assets.ASSETS, strict=True))
MADE = {table.name: table_asset(table) for table in DELTA_TABLES}
ASSETS = LANDING | MADE
SUITES = dict(zip(MADE, checks.CHECKS, strict=True))


def bound(
    lakehouse: Lakehouse, catalog: GlueCatalog | None = None, policy: Options = NO_OPTION
) -> dict[str, Any]:
    """The resources of a run, but for its source."""
    return {
        "lakehouse": lakehouse,
        "catalog": catalog,
        "io_manager": io_manager(lakehouse, catalog),
        "clock": CLOCK,
        "pseudonyms": dg.ResourceDefinition.hardcoded_resource(PSEUDONYMS),
        "policy": dg.ResourceDefinition.hardcoded_resource(policy),
    }
