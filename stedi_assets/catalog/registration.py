"""Registers tables in the catalog as the lakehouse has them."""

from __future__ import annotations

from stedi_assets.catalog.glue import GlueCatalog
from stedi_assets.catalog.table_input import RECORD_COUNT, VERSION
from stedi_assets.lakehouse.lakehouse import Lakehouse
from stedi_assets.tables import Table, Zone


def figures(lakehouse: Lakehouse, table: Table) -> dict[str, str] | None:
    """The catalog's figures of a table's last write; None where it is not materialised as it is.

    The version is that of the Delta log, or the fingerprint of the files that landed.
    """
    if table.zone is Zone.LANDING:
        if profile := lakehouse.landing_profile(table):
            return {RECORD_COUNT: str(profile.records), VERSION: profile.fingerprint}
    elif state := lakehouse.state(table):
        return {RECORD_COUNT: str(state.rows), VERSION: str(state.version)}
    return None


def register(catalog: GlueCatalog | None, lakehouse: Lakehouse, table: Table) -> dict[str, str]:
    """Registers a table as it is now, where there is a catalog.

    Returns:
        Metadata that says under which name it is registered, or nothing where it is not.

    Raises:
        LakehouseError: If it cannot be registered; the table itself is as it was.
    """
    shown = figures(lakehouse, table) if catalog else None
    if catalog is None or shown is None:
        return {}
    catalog.register(table, lakehouse.uri_of(table), shown)
    return {"glue_table": catalog.name_of(table)}
