"""The files that the sources make: external assets, which nothing here materialises."""

import dagster as dg

from stedi_assets import tables
from stedi_assets.orchestration import metadata as describe
from stedi_assets.orchestration.table_assets import owner
from stedi_assets.tables import Table


def source_files(landing: Table) -> dg.AssetSpec:
    """The files that land as a table."""
    return dg.AssetSpec(
        tables.files_of(landing),
        group_name="source",
        kinds={"json"},
        owners=[owner(landing)],
        tags={describe.PERSONAL_DATA: str(landing.personal).lower(), "source": landing.source},
        description=(
            f"JSON lines that the source makes, under `{landing.location}` of the source folder. "
            f"`{landing.name}` takes them as they are."
        ),
        metadata={"dagster/column_schema": describe.column_schema(landing)},
    )


SOURCE_FILES = [source_files(table) for table in tables.LANDING_TABLES]
