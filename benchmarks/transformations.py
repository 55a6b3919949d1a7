"""The eight tables by this project's own code, without Dagster, checks and pictures.

Usage: python -m benchmarks.transformations SOURCE_DATA LAKEHOUSE
"""

from __future__ import annotations

import functools
import gc
import sys

from stedi_assets.engine.spark import SparkResource
from stedi_assets.lakehouse import making
from stedi_assets.lakehouse.commit import Commit
from stedi_assets.lakehouse.lakehouse import Lakehouse
from stedi_assets.orchestration.clock import Clock
from stedi_assets.orchestration.source import SourceData
from stedi_assets.policy import NO_OPTION
from stedi_assets.pseudonyms import Pseudonyms
from stedi_assets.tables import DELTA_TABLES, LANDING_TABLES, TABLES, Table, quarantine_of


def main(source: str, lakehouse: str) -> None:
    """Uploads, reads and quarantines each source, then writes each table as Delta."""
    spark = SparkResource()
    stored = Lakehouse(lakehouse, spark)
    for table in LANDING_TABLES:
        land(stored, SourceData(path=source), table)
    for table in DELTA_TABLES:
        make(stored, table)
    spark.stop()


def land(stored: Lakehouse, source: SourceData, table: Table) -> None:
    """Copies a source's files, and sets aside what of them cannot be read."""
    folder = stored.landing(table)
    folder.ingest(source.folder(table), settle_seconds=0)
    profile = folder.profile
    malformed = functools.partial(folder.malformed, profile)
    stored.write(quarantine_of(table), malformed, Commit(profile=profile))


def make(stored: Lakehouse, table: Table) -> None:
    """Computes a table by its rule from the tables that the rule names."""
    rows = making.made(
        table, lambda name: stored.read(TABLES[name]), Clock().now, NO_OPTION, Pseudonyms("")
    )
    stored.write(table, stored.spark.cached(rows))


if __name__ == "__main__":
    main(*sys.argv[1:])
    gc.freeze()  # as the command does at its end
