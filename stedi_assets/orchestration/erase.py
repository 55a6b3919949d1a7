"""Erasure as a job."""

import re
import time
from collections.abc import Iterator
from typing import Any

import click
import dagster as dg

from stedi_assets.erasure.erasure import AGAIN, JOB, Erasure
from stedi_assets.erasure.record import Record
from stedi_assets.errors import Code, LakehouseError
from stedi_assets.lakehouse.lakehouse import Lakehouse
from stedi_assets.orchestration import headline
from stedi_assets.orchestration.clock import Clock
from stedi_assets.orchestration.cursors import delete_file_names
from stedi_assets.orchestration.failures import faults_fail_step
from stedi_assets.pseudonyms import Pseudonyms
from stedi_assets.tables import DELTA_TABLES, LANDING_TABLES, QUARANTINE_TABLES, quarantine_of

FROM_LANDING = "erase_from_landing"
PSEUDONYM = re.compile(r"[0-9a-f]{64}")


class ConfigRefused(dg.DagsterError, click.ClickException):
    """A run configuration that cannot be used. Dagster's commands print its message alone."""


@dg.config_mapping(
    # The mapping validates it itself: if Dagster does, a command ends in a stack trace.
    config_schema=dg.Permissive(
        {
            FROM_LANDING: dg.Field(
                dg.Any,
                default_value=[],
                description=(
                    "A list of pseudonyms, made by `make pseudonyms`, of the people to erase from "
                    "the landing files as well. Not their addresses: Dagster's history keeps this "
                    "configuration."
                ),
            )
        }
    )
)
def pseudonyms_only(config: dict[str, Any]) -> dict[str, Any]:
    """Refuses what is no list of pseudonyms before there is a run, whose history would keep it."""
    given = config[FROM_LANDING]
    if config.keys() - {FROM_LANDING}:
        raise ConfigRefused(
            f"The configuration of {JOB} has an unknown entry. It takes {FROM_LANDING} alone, a "
            "list of pseudonyms."
        )
    if not isinstance(given, list):
        raise ConfigRefused(f"{FROM_LANDING} is no list. Give it a list of pseudonyms.")
    for place, each in enumerate(given, 1):
        if not (isinstance(each, str) and PSEUDONYM.fullmatch(each)):
            raise ConfigRefused(
                f"Entry {place:,} of {FROM_LANDING} is no pseudonym. Make one of each address by "
                "`make pseudonyms`."
            )
    return {"ops": {erase_people.name: {"config": {FROM_LANDING: given}}}}


@dg.op(
    out={},
    config_schema={FROM_LANDING: [str]},
    description="Erases people who have left from all that the lakehouse keeps.",
)
def erase_people(
    context: dg.OpExecutionContext,
    lakehouse: dg.ResourceParam[Lakehouse],
    pseudonyms: dg.ResourceParam[Pseudonyms],
    clock: Clock,
) -> Iterator[dg.AssetObservation]:
    """Erases, proves and records."""
    asked = frozenset(context.op_config[FROM_LANDING])
    with faults_fail_step(retry=True):
        record = Record(context.run.run_id, clock.now)
        work = Erasure(lakehouse, pseudonyms, asked, record)
        landed = [table for table in reversed(LANDING_TABLES) if asked]
        if asked:
            # If this run is killed, the next one finds them here, whatever is erased by then.
            work.write_record()
        if stale := work.stale():
            # People who still consent leave the tables only once landing is without them.
            for table in landed:
                work.erase_landing(table)
            work.write_record()
            raise LakehouseError(f"{stale} {AGAIN}", Code.PEOPLE_LEFT)
        if work.record_people():
            work.write_record()
        tables = work.stored.tables(QUARANTINE_TABLES)
        for table in LANDING_TABLES:
            if quarantine_of(table) in tables:
                work.erase_quarantine(table)
        work.erase_published()
        tables += work.stored.tables(DELTA_TABLES)
        for table in tables:
            work.delete_history(table)
        # Customers are last: a run after a killed one learns from them what is whose.
        for table in landed:
            work.erase_landing(table)
            if quarantine_of(table) in tables:
                # It was read anew from landing, which holds people who have only withdrawn.
                work.erase_quarantine(table)
                work.delete_history(quarantine_of(table))
        if asked:
            delete_file_names(context.instance)
        record.finished = time.time_ns() // 1_000_000
        if record.erased_anything or asked:
            work.write_record()
    context.log.info(record.summary())
    headline.add_tags(context.instance, context.run.run_id, record.tags)
    yield dg.AssetObservation(
        headline.RUNS.key, description=record.summary(), metadata=record.figures
    )
    for table in (*landed, *tables):
        counts = record.tables.get(table.name, {})
        found = {
            "records_emptied": record.quarantined,
            "lines_erased": record.landing_lines,
            "ambiguous_texts": record.ambiguous,
            "rows_read_as_proof": record.read,
        }
        figures = {name: each[table.name] for name, each in found.items() if table.name in each}
        yield dg.AssetObservation(
            table.name, metadata={**{f"{name}_removed": n for name, n in counts.items()}, **figures}
        )


@dg.job(
    name=JOB,
    config=pseudonyms_only,
    tags={"scope": "files"},
    description=(
        "Removes people who have withdrawn consent from older versions, logs and quarantine, and "
        "those of `erase_from_landing` from landing files too; reads what is left to prove it, and "
        "keeps a record without personal data."
    ),
)
def erase_withdrawn() -> None:
    """Erases people; afterwards no older version can be read."""
    erase_people()
