"""Whether Athena counts as many rows of each table as the lakehouse holds."""

import dagster as dg
from dagster import AssetCheckResult, ResourceParam
from dagster_aws.athena.resources import AthenaError

from stedi_assets.catalog.table_input import RECORD_COUNT
from stedi_assets.lakehouse.io_manager import LakehouseIOManager
from stedi_assets.resources.athena import Athena
from stedi_assets.tables import TABLES, Table, Zone

ATHENA_ROW_COUNT = "athena_row_count"


def row_count(table: Table) -> dg.AssetChecksDefinition:
    """The check that Athena reads a table whole."""

    @dg.asset_check(
        name=ATHENA_ROW_COUNT,
        asset=table.name,
        description="Athena counts as many rows as the table has by its own log.",
    )
    def check(io_manager: ResourceParam[LakehouseIOManager], athena: Athena) -> AssetCheckResult:
        figures = io_manager.figures(table)
        if figures is None:
            return _failed(f"{table.name} is not materialised as it is now. Materialise it.")
        if table.zone is Zone.LANDING and (reason := _reads_otherwise(io_manager, table)):
            return AssetCheckResult(passed=True, description=f"Not compared: {reason}.")
        assert io_manager.catalog is not None  # or there would be no such check
        try:
            counted = athena.count(query(io_manager.catalog.database, table))
        except AthenaError as error:
            return _failed(f"Athena did not count {table.name}: {error}.")
        rows = int(figures[RECORD_COUNT])
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


def _reads_otherwise(io_manager: LakehouseIOManager, table: Table) -> str | None:
    """Why Athena counts other rows of a landing table, if it does."""
    profile, folder = io_manager.landing_profile(table), io_manager.landing(table)
    if profile is not None and not profile.tidy:
        return "Athena reads lines, and some are not just as declared"
    if folder.current != folder.files:
        return "Athena reads superseded files too"
    return None


def _failed(description: str) -> AssetCheckResult:
    return AssetCheckResult(passed=False, description=description)


CHECKS = [row_count(table) for table in TABLES.values()]
