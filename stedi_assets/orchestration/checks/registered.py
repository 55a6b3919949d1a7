"""Whether the catalog has each table as the lakehouse has it."""

import dagster as dg
from dagster import AssetCheckResult, ResourceParam

from stedi_assets.catalog.glue import REGISTER_JOB, GlueCatalog
from stedi_assets.catalog.registration import figures
from stedi_assets.catalog.table_input import differences, table_input
from stedi_assets.lakehouse.lakehouse import Lakehouse
from stedi_assets.tables import TABLES, Table, Zone

REGISTERED = "registered_in_catalog"


def registered(table: Table) -> dg.AssetChecksDefinition:
    """The check that a table's entry in the catalog is as the table is."""

    @dg.asset_check(
        name=REGISTERED,
        asset=table.name,
        description=(
            "The catalog has the table with its columns, place, row count and version, and it is "
            "this project's."
        ),
    )
    def check(
        lakehouse: ResourceParam[Lakehouse], catalog: ResourceParam[GlueCatalog]
    ) -> AssetCheckResult:
        fault = _fault(lakehouse, catalog, table)
        return AssetCheckResult(passed=fault is None, description=fault)

    return check


def _fault(lakehouse: Lakehouse, catalog: GlueCatalog, table: Table) -> str | None:
    shown = figures(lakehouse, table)
    if shown is None:
        return f"{table.name} is not materialised, or has changed since. Materialise it."
    found = catalog.find(table)
    name = catalog.name_of(table)
    if found is None:
        return f"Glue has no table {name}. Run the job {REGISTER_JOB}."
    differing = differences(table_input(table, lakehouse.uri_of(table), shown), found)
    if differing:
        return (
            f"Glue's {name} differs from the lakehouse in {', '.join(differing)}. "
            f"Run the job {REGISTER_JOB}."
        )
    if table.zone is not Zone.LANDING and (strange := _strange(lakehouse, table, found)):
        return (
            f"Glue's {name} has other columns than the Delta table: {', '.join(strange)}. "
            "Materialise it by the code that declares its columns."
        )
    return None


def _strange(lakehouse: Lakehouse, table: Table, found: dict) -> list[str]:
    """The columns that differ between the catalog and the table's own log."""
    state = lakehouse.state(table)
    assert state is not None
    stored = {(name.lower(), kind) for name, kind in state.columns.items()}
    listed = {(each["Name"], each["Type"]) for each in found["StorageDescriptor"]["Columns"]}
    return sorted({name for name, _ in stored ^ listed})


CHECKS = [registered(table) for table in TABLES.values()]
