"""What Dagster loads."""

import dagster as dg

from stedi_assets.assets import curated, landing, sources, trusted
from stedi_assets.assets.declared import under_policy, with_code_references
from stedi_assets.automation import jobs, notify, registration, runs, schedules, sensors
from stedi_assets.checks import catalog, suites
from stedi_assets.lakehouse.address import without_userinfo
from stedi_assets.lakehouse.io_manager import LakehouseIOManager
from stedi_assets.resources.catalog import GlueCatalog
from stedi_assets.resources.clock import Clock
from stedi_assets.resources.policy import policy_resource
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


def lakehouse(settings: Settings) -> LakehouseIOManager:
    """The lakehouse, on the engine and with the catalog that the settings name."""
    return LakehouseIOManager(
        uri=without_userinfo(settings.lakehouse_uri),  # which Dagster keeps with each run
        spark=SparkResource(remote=settings.spark_remote),
        catalog=GlueCatalog(database=settings.glue_database) if settings.glue_database else None,
    )


def define(settings: Settings) -> dg.Definitions:
    """The whole project, in the place and on the engine that the settings name."""
    pseudonyms = Pseudonyms(settings.pseudonym_key)
    project = dg.Definitions(
        assets=[
            *sources.SOURCE_FILES,
            *with_code_references(
                under_policy(
                    dg.load_assets_from_modules([landing, trusted, curated]), settings.policy
                )
            ),
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
            "io_manager": _as_set(lakehouse(settings)),
            "source": _as_set(SourceData(path=settings.source_data)),
            "clock": _as_set(Clock()),
            # By a function, since Dagster shows the configuration of resources.
            "pseudonyms": dg.ResourceDefinition(lambda _: pseudonyms, config_schema={}),
            "policy": policy_resource(settings.policy, pseudonyms),
        },
        executor=EXECUTOR,
    )
    return dg.Definitions.merge(project, *_of_catalog(settings))


def _as_set(resource: dg.ConfigurableResource | dg.ConfigurableIOManager) -> dg.ResourceDefinition:
    """The resource with the values that it has, of which a run's configuration can change none.

    Whoever may start a run could otherwise have it read or write anywhere.
    """
    definition = resource.get_resource_definition()
    values = definition.config_schema.default_value
    return definition.configured(lambda _: values, config_schema={})


def _of_catalog(settings: Settings) -> list[dg.Definitions]:
    """What there is only with a catalog, and with Athena."""
    if not settings.glue_database:
        return []
    found = [dg.Definitions(asset_checks=catalog.CHECKS, jobs=[registration.register_in_catalog])]
    if settings.athena_workgroup:
        # It brings boto3, which takes half a second to import.
        from stedi_assets.checks import athena
        from stedi_assets.resources.athena import Athena

        resources = {"athena": _as_set(Athena(workgroup=settings.athena_workgroup))}
        found.append(dg.Definitions(asset_checks=athena.CHECKS, resources=resources))
    return found


defs = define(Settings.from_environment())
