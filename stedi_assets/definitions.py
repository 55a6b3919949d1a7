"""What Dagster loads."""

import dagster as dg

from stedi_assets import storage
from stedi_assets.catalog.glue import GlueCatalog
from stedi_assets.engine.spark import SparkResource
from stedi_assets.lakehouse.lakehouse import Lakehouse
from stedi_assets.orchestration import (
    headline,
    history,
    jobs,
    landing_assets,
    notify,
    registration,
    runs,
    schedules,
    sensors,
)
from stedi_assets.orchestration.after_write import io_manager
from stedi_assets.orchestration.checks import drift, registered, tables
from stedi_assets.orchestration.clock import Clock
from stedi_assets.orchestration.policy import policy_resource
from stedi_assets.orchestration.source import SourceData
from stedi_assets.orchestration.table_assets import table_asset
from stedi_assets.pseudonyms import Pseudonyms
from stedi_assets.settings import Settings, history_home
from stedi_assets.storage.address import without_userinfo
from stedi_assets.tables import DELTA_TABLES

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


def lakehouse(settings: Settings) -> Lakehouse:
    """The lakehouse, on the engine that the settings name."""
    return Lakehouse(_uri(settings), _spark(settings))


def define(settings: Settings) -> dg.Definitions:
    """The whole project, in the place and on the engine that the settings name."""
    pseudonyms = Pseudonyms(settings.pseudonym_key.get_secret_value())
    project = dg.Definitions(
        assets=[
            headline.RUNS,
            *landing_assets.SOURCE_FILES,
            *landing_assets.ASSETS,
            *(table_asset(table, settings.policy, settings.split) for table in DELTA_TABLES),
        ],
        asset_checks=[*tables.CHECKS, drift.drift],
        jobs=jobs.JOBS,
        schedules=schedules.SCHEDULES,
        sensors=[
            sensors.landing_sensor,
            sensors.automation_conditions,
            notify.failure_sensor(notify.notifiers(settings)),
        ],
        resources={
            "spark": _as_set(_spark(settings)),
            "lakehouse": dg.ResourceDefinition(
                lambda context: _usable(
                    Lakehouse(_uri(settings), context.resources.spark), context.instance
                ),
                config_schema={},
                required_resource_keys={"spark"},
            ),
            "catalog": dg.ResourceDefinition(
                lambda context: _catalog(settings, context.resources.lakehouse),
                config_schema={},
                required_resource_keys={"lakehouse"},
            ),
            "io_manager": dg.IOManagerDefinition(
                lambda context: io_manager(context.resources.lakehouse, context.resources.catalog),
                config_schema={},
                required_resource_keys={"lakehouse", "catalog"},
            ),
            "source": _as_set(SourceData(path=settings.source_data)),
            "clock": _as_set(Clock()),
            # By a function, since Dagster shows the configuration of resources.
            "pseudonyms": dg.ResourceDefinition(lambda _: pseudonyms, config_schema={}),
            "policy": policy_resource(settings.policy, pseudonyms),
        },
        executor=EXECUTOR,
    )
    return dg.Definitions.merge(project, *_of_catalog(settings))


def _uri(settings: Settings) -> str:
    """The lakehouse's address, as Dagster may keep it with a run."""
    return without_userinfo(settings.lakehouse_uri)


def _spark(settings: Settings) -> SparkResource:
    """The engine that the settings name."""
    return SparkResource(remote=settings.spark_remote.get_secret_value())


def _usable(lakehouse: Lakehouse, instance: dg.DagsterInstance | None) -> Lakehouse:
    """The lakehouse, if the settings can lead there; else each step would report the same.

    Raises:
        LakehouseError: If its address or the AWS settings cannot be used, or the history of runs
            is another lakehouse's.
    """
    storage.open_folder(lakehouse.root)
    if instance is not None:
        history.claim(instance, history.identity(lakehouse.uri))
    return lakehouse


def _catalog(settings: Settings, lakehouse: Lakehouse) -> GlueCatalog | None:
    """The catalog that the settings name, if they do and Athena could read the lakehouse by it."""
    if not settings.glue_database:
        return None
    catalog = GlueCatalog(settings.glue_database)
    catalog.require_usable(lakehouse.root)
    return catalog


def _as_set(resource: dg.ConfigurableResource) -> dg.ResourceDefinition:
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
    found = [
        dg.Definitions(asset_checks=registered.CHECKS, jobs=[registration.register_in_catalog])
    ]
    if settings.athena_workgroup:
        # It brings boto3, which takes half a second to import.
        from stedi_assets.catalog.athena import Athena
        from stedi_assets.orchestration.checks import athena_rows

        resources = {"athena": _as_set(Athena(workgroup=settings.athena_workgroup))}
        found.append(dg.Definitions(asset_checks=athena_rows.CHECKS, resources=resources))
    return found


_settings = Settings.from_environment()
if _home := history_home():
    # Else the UI would show what is in there as this lakehouse's.
    history.require_own(_home, history.identity(_settings.lakehouse_uri))
defs = define(_settings)
