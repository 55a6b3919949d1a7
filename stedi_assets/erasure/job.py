"""Erasure as a job."""

import re
import time
from collections.abc import Iterator
from typing import Any

import dagster as dg
from pydantic import Field

from stedi_assets.erasure.work import AGAIN, JOB, Erasure, Record
from stedi_assets.errors import LakehouseError, transient_faults_retried
from stedi_assets.lakehouse.io_manager import LakehouseIOManager
from stedi_assets.resources.clock import Clock
from stedi_assets.resources.pseudonyms import Pseudonyms
from stedi_assets.tables import DELTA_TABLES, LANDING_TABLES, QUARANTINE_TABLES

PSEUDONYM = re.compile(r"[0-9a-f]{64}")


class ErasureConfig(dg.Config):
    """Whom to erase from landing too."""

    erase_from_landing: list[str] = Field(
        default=[],
        description=(
            "Pseudonyms, by `make pseudonyms`, of the people to take out of the landing files as "
            "well. Not their addresses: what stands here is kept in Dagster's history."
        ),
    )


@dg.config_mapping
def pseudonyms_only(config: ErasureConfig) -> dict[str, Any]:
    """Refuses an address before a run is made, which would keep it."""
    if not all(map(PSEUDONYM.fullmatch, config.erase_from_landing)):
        raise LakehouseError(
            "erase_from_landing has an entry that is no pseudonym. Make one of each address by "
            "`make pseudonyms`."
        )
    return {"ops": {erase_people.name: {"config": config.model_dump()}}}


@dg.op(out={}, description="Erases people who have left from all that the lakehouse keeps.")
def erase_people(
    context: dg.OpExecutionContext,
    config: ErasureConfig,
    io_manager: dg.ResourceParam[LakehouseIOManager],
    pseudonyms: dg.ResourceParam[Pseudonyms],
    clock: Clock,
) -> Iterator[dg.AssetObservation]:
    """Erases, proves and records."""
    requested = frozenset(config.erase_from_landing)
    with transient_faults_retried():
        record = Record(context.run.run_id, clock.now)
        work = Erasure(io_manager, pseudonyms, requested, record)
        landed = [table for table in reversed(LANDING_TABLES) if requested]
        if stale := work.stale():
            # Of people who still agree landing must be without them before the tables can be.
            for table in landed:
                work.clear_landing(table)
            work.keep_record()
            raise LakehouseError(f"{stale} {AGAIN}")
        if work.note_people() or requested:
            work.keep_record()
        tables = work.tables(QUARANTINE_TABLES)
        for table in tables:
            work.quarantine(table)
        tables += work.tables(DELTA_TABLES)
        for table in tables:
            work.forget(table)
        # The customer's are the last, since they tell what is theirs to a run after a killed one.
        for table in landed:
            work.clear_landing(table)
        record.finished = time.time_ns() // 1_000_000
        if record.erased_anything or requested:
            work.keep_record()
    for table in (*landed, *tables):
        counts = record.tables.get(table.name, {})
        found = {"pieces_blanked": record.quarantined, "lines_erased": record.landing_lines}
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
