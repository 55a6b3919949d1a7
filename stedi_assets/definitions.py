"""What Dagster loads."""

import dagster as dg

from stedi_assets import automation
from stedi_assets.assets import curated, landing, sources, trusted
from stedi_assets.assets.declared import with_code_references
from stedi_assets.checks import suites
from stedi_assets.lakehouse.io_manager import LakehouseIOManager
from stedi_assets.resources.source import SourceData
from stedi_assets.resources.spark import SparkResource
from stedi_assets.settings import Settings


def define(settings: Settings) -> dg.Definitions:
    """The whole project, in the place and on the engine that the settings name."""
    return dg.Definitions(
        assets=[
            *sources.SOURCE_FILES,
            *with_code_references(dg.load_assets_from_modules([landing, trusted, curated])),
        ],
        asset_checks=dg.load_asset_checks_from_modules([suites]),
        jobs=[automation.materialize_lakehouse],
        resources={
            "io_manager": LakehouseIOManager(
                uri=settings.lakehouse_uri, spark=SparkResource(remote=settings.spark_remote)
            ),
            "source": SourceData(path=settings.source_data),
        },
        # One process a run, so that one Spark session serves it all.
        executor=dg.in_process_executor,
    )


defs = define(Settings.from_environment())
