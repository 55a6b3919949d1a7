"""The maintenance of the Delta tables as a job."""

from collections.abc import Iterator

import dagster as dg
from pydantic import Field

from stedi_assets.errors import LakehouseError
from stedi_assets.lakehouse.lakehouse import Lakehouse
from stedi_assets.lakehouse.maintenance import maintain as maintain_table
from stedi_assets.orchestration.clock import Clock
from stedi_assets.orchestration.failures import faults_fail_step
from stedi_assets.orchestration.metadata import megabytes
from stedi_assets.tables import (
    DELTA_TABLES,
    LANDING_TABLES,
    QUARANTINE_TABLES,
    Table,
    records_of,
)
from stedi_assets.tables.machine_learning import TRAINING_SET
from stedi_assets.training import published

WEEK_HOURS = 168
# At most 30 days, since old versions hold rows of people who have withdrawn consent; at least a
# day, since a query may still read them.
ALLOWED_HOURS = range(24, 30 * 24 + 1)


class MaintenanceConfig(dg.Config):
    """The retention of old versions."""

    retention_hours: int = Field(
        default=WEEK_HOURS,
        description=(
            "Versions that were replaced longer ago than this are deleted: a day to 30 days, since "
            "until then they hold the rows of people who have withdrawn consent."
        ),
    )


@dg.config_mapping
def _same_retention(config: MaintenanceConfig) -> dict[str, dict]:
    if config.retention_hours not in ALLOWED_HOURS:
        raise LakehouseError(
            f"retention_hours is {config.retention_hours}. Choose {ALLOWED_HOURS[0]} (a day) to "
            f"{ALLOWED_HOURS[-1]} (30 days): old versions hold the rows of people who have "
            "withdrawn consent."
        )
    return {"ops": {op.name: {"config": config.model_dump()} for op in OPS}}


def maintain_op(table: Table, shown_of: Table) -> dg.OpDefinition:
    """The op that maintains one table, and shows it on the page of one."""

    @dg.op(name=f"maintain_{table.name}", out={}, description=f"Maintains {table.name}.")
    def maintain(
        context: dg.OpExecutionContext,
        config: MaintenanceConfig,
        lakehouse: dg.ResourceParam[Lakehouse],
        clock: Clock,
    ) -> Iterator[dg.AssetObservation]:
        with faults_fail_step(retry=True):
            uri = lakehouse.uri_of(table)
            spared = frozenset[str]()
            if table == TRAINING_SET:
                published.erase_left(lakehouse, clock.now)
                spared = published.spared(uri)
            done = maintain_table(table, uri, config.retention_hours, spared)
        if done is None:
            context.log.info(f"{table.name} is not in the lakehouse yet.")
            return
        yield dg.AssetObservation(
            shown_of.name,
            metadata={
                "files_compacted": done.compacted,
                "files_removed": done.removed,
                "removed_mb": megabytes(done.removed_bytes),
                "retention_hours": config.retention_hours,
            },
        )

    return maintain


OPS = (
    *(maintain_op(records_of(table), table) for table in LANDING_TABLES),
    *(maintain_op(table, table) for table in (*QUARANTINE_TABLES, *DELTA_TABLES)),
)


@dg.job(
    config=_same_retention,
    tags={"scope": "files"},
    description=(
        "Clusters every table by time, joins small files and deletes the files of versions that "
        "were replaced longer ago than `retention_hours`: a week, or at most 30 days, since old "
        "versions hold the rows of people who have withdrawn consent. Published versions of the "
        "training set stay until a person in them has. Rows do not change."
    ),
)
def maintenance() -> None:
    """One op for each table, so that one that fails does not stop the others."""
    for op in OPS:
        op()
