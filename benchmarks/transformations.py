"""The eight tables by this project's own code, without Dagster, checks and pictures.

Usage: python -m benchmarks.transformations SOURCE_DATA LAKEHOUSE
"""

from __future__ import annotations

import gc
import sys

from pyspark.sql import DataFrame

from benchmarks.contenders import COMPARED
from stedi_assets.engine.spark import SparkResource
from stedi_assets.lakehouse import making
from stedi_assets.lakehouse.lakehouse import Lakehouse
from stedi_assets.orchestration.clock import Clock
from stedi_assets.orchestration.source import SourceData
from stedi_assets.policy import NO_OPTION
from stedi_assets.pseudonyms import Pseudonyms
from stedi_assets.tables import LANDING_TABLES, TABLES, Table


def main(source: str, lakehouse: str) -> None:
    """Uploads, reads and quarantines each source, then writes each table as Delta."""
    spark = SparkResource()
    stored = Lakehouse(lakehouse, spark)
    for table in LANDING_TABLES:
        land(stored, SourceData(path=source), table)
    for table in COMPARED:
        make(stored, table)
    spark.stop()


def land(stored: Lakehouse, source: SourceData, table: Table) -> None:
    """Copies a source's files, and sets aside what of them cannot be read."""
    folder = stored.landing(table)
    folder.ingest(source.folder(table))
    stored.records(table).take_in()


def make(stored: Lakehouse, table: Table) -> None:
    """Computes a table by its rule from the tables that the rule names."""

    def read(name: str) -> DataFrame:
        return stored.read(TABLES[name])

    now, hidden = Clock().now, Pseudonyms("")
    making.keep(stored, table, making.next_version(stored, table, read, now, NO_OPTION, hidden))


if __name__ == "__main__":
    main(*sys.argv[1:])
    gc.freeze()  # as the command does at its end
