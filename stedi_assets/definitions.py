"""What Dagster loads."""

import dagster as dg

from stedi_assets.assets import curated, landing, sources, trusted
from stedi_assets.assets.declared import with_code_references
from stedi_assets.automation import jobs, notify, registration, runs, schedules, sensors
from stedi_assets.checks import catalog, suites
from stedi_assets.lakehouse.address import without_userinfo
from stedi_assets.lakehouse.io_manager import LakehouseIOManager
from stedi_assets.resources.catalog import GlueCatalog
from stedi_assets.resources.clock import Clock
from stedi_assets.resources.pseudonyms import Pseudonyms
from stedi_assets.resources.source import SourceData
from stedi_assets.resources.spark import SparkResource
from stedi_assets.settings import Settings

# One process a run, so that one Spark session serves it all; a process a step, as in Dagster's own
# default, only for a run whose configuration says so.
EXECUTOR = runs.in_turn.configured(
    lambda chosen: chosen,
    name="in_process_or_multiprocess",
    config_schema=dg.Field(
        dg.Selector({"in_process": dict, "multiprocess": dict}),
        default_value={"in_process": {}},
    ),
)


def define(settings: Settings) -> dg.Definitions:
    """The whole project, in the place and on the engine that the settings name."""
    catalogued = GlueCatalog(database=settings.glue_database) if settings.glue_database else None
    project = dg.Definitions(
        assets=[
            *sources.SOURCE_FILES,
            *with_code_references(dg.load_assets_from_modules([landing, trusted, curated])),
        ],
        asset_checks=dg.load_asset_checks_from_modules([suites]),
        jobs=jobs.JOBS,
        schedules=schedules.SCHEDULES,
        sensors=[
            sensors.landing_sensor,
            sensors.automation_conditions,
            notify.failure_sensor(notify.notifiers(settings)),
        ],
        resources={
            "io_manager": LakehouseIOManager(
                uri=without_userinfo(settings.lakehouse_uri),  # which Dagster keeps with each run
                spark=SparkResource(remote=settings.spark_remote),
                catalog=catalogued,
            ),
            "source": SourceData(path=settings.source_data),
            "clock": Clock(),
            # As an object, since Dagster shows the configuration of resources.
            "pseudonyms": dg.ResourceDefinition.hardcoded_resource(
                Pseudonyms(settings.pseudonym_key)
            ),
        },
        executor=EXECUTOR,
    )
    return dg.Definitions.merge(project, *_of_catalog(settings))


def _of_catalog(settings: Settings) -> list[dg.Definitions]:
    """What there is only with a catalog, and with Athena."""
    if not settings.glue_database:
        return []
    found = [dg.Definitions(asset_checks=catalog.CHECKS, jobs=[registration.register_in_catalog])]
    if settings.athena_workgroup:
        # It brings boto3, which takes half a second to import.
        from stedi_assets.checks import athena
        from stedi_assets.resources.athena import Athena

        resources = {"athena": Athena(workgroup=settings.athena_workgroup)}
        found.append(dg.Definitions(asset_checks=athena.CHECKS, resources=resources))
    return found


defs = define(Settings.from_environment())
