"""The job that registers tables in the Glue Data Catalog again, for when only that failed."""

import dagster as dg

from stedi_assets.catalog.glue import REGISTER_JOB, GlueCatalog
from stedi_assets.catalog.registration import register
from stedi_assets.lakehouse.lakehouse import Lakehouse
from stedi_assets.tables import TABLES


@dg.op
def register_tables(
    context: dg.OpExecutionContext,
    lakehouse: dg.ResourceParam[Lakehouse],
    catalog: dg.ResourceParam[GlueCatalog | None],
) -> None:
    """Registers the current version of each table."""
    for table in TABLES.values():
        registered = register(catalog, lakehouse, table).get("glue_table")
        context.log.info(
            f"{table.name} is registered as {registered}."
            if registered
            else f"{table.name} has no version of this release, so it was left out."
        )


@dg.job(
    name=REGISTER_JOB,
    description="Registers every table in the Glue Data Catalog again, and computes nothing.",
)
def register_in_catalog() -> None:
    """Registers every table."""
    register_tables()
