"""Whether Athena counts as many rows of each table as the lakehouse holds."""

import dagster as dg
from dagster import AssetCheckResult, ResourceParam
from dagster_aws.athena.resources import AthenaError

from stedi_assets.catalog.athena import Athena
from stedi_assets.catalog.glue import GlueCatalog
from stedi_assets.catalog.registration import figures
from stedi_assets.catalog.table_input import RECORD_COUNT
from stedi_assets.lakehouse.lakehouse import Lakehouse
from stedi_assets.tables import TABLES, Table, Zone

ATHENA_ROW_COUNT = "athena_row_count"


def row_count(table: Table) -> dg.AssetChecksDefinition:
    """The check that Athena reads a table whole."""

    @dg.asset_check(
        name=ATHENA_ROW_COUNT,
        asset=table.name,
        description="Athena counts as many rows as the table has by its own log.",
    )
    def check(
        lakehouse: ResourceParam[Lakehouse], catalog: ResourceParam[GlueCatalog], athena: Athena
    ) -> AssetCheckResult:
        shown = figures(lakehouse, table)
        if shown is None:
            return _failed(
                f"{table.name} is not materialised, or has changed since. Materialise it."
            )
        if table.zone is Zone.LANDING and (reason := _reads_otherwise(lakehouse, table)):
            return AssetCheckResult(passed=True, description=f"Not compared: {reason}.")
        try:
            counted = athena.count(query(catalog.database, table))
        except AthenaError as error:
            return _failed(f"Athena did not count {table.name}: {error}.")
        rows = int(shown[RECORD_COUNT])
        same = counted == rows
        return AssetCheckResult(
            passed=same,
            description=None if same else f"Athena counts {counted:,}, the lakehouse {rows:,}.",
            metadata={"rows": rows, "rows_in_athena": counted},
        )

    return check


def query(database: str, table: Table) -> str:
    """The query that counts a table's rows in Athena."""
    count = f'SELECT count(*) FROM "{database}"."{table.name}"'
    if table.zone is not Zone.LANDING:
        return count
    # A blank line is a row of nulls.
    required = next(column.name for column in table.columns if column.required)
    return f'{count} WHERE "{required.lower()}" IS NOT NULL'


def _reads_otherwise(lakehouse: Lakehouse, table: Table) -> str | None:
    """Why Athena counts other rows of a landing table, if it does."""
    profile, folder = lakehouse.landing_profile(table), lakehouse.landing(table)
    if profile is not None and not profile.conforming:
        return "Athena reads lines, and some are not conforming"
    if folder.current != folder.files:
        return "Athena reads superseded files too"
    return None


def _failed(description: str) -> AssetCheckResult:
    return AssetCheckResult(passed=False, description=description)


CHECKS = [row_count(table) for table in TABLES.values()]
