"""A table's value counts, kept in its folder: only buckets that have changed are counted anew.

They hold nothing but what the table has, from which they can be counted at any time.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from stedi_assets import storage
from stedi_assets.lakehouse import changes
from stedi_assets.storage.faults import storage_faults
from stedi_assets.tables import code
from stedi_assets.tables import value_counts as value_counts_module
from stedi_assets.tables.buckets import time_in
from stedi_assets.tables.value_counts import ROWS, ddl_of, value_counts

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from stedi_assets.engine.spark import SparkResource
    from stedi_assets.lakehouse.changes import Changes
    from stedi_assets.storage.folder import Folder, StoredFile
    from stedi_assets.tables import Table

FOLDER = "_value_counts"
# What was counted: the id of the state of the table, and by which code.
STATE, CODE = "_state", "_code"


class KeptCounts:
    """The value counts of a table with times.

    Args:
        table: The table.
        uri: The folder that its rows are in.
        spark: Hands out the run's session.
    """

    def __init__(self, table: Table, uri: str, spark: SparkResource) -> None:
        self.table = table
        self.uri = f"{uri}/{FOLDER}"
        self.spark = spark

    def of(self, frame: DataFrame, rows: int, seen: Changes) -> DataFrame:
        """The counts of the table as it is, cached.

        Args:
            frame: Its rows.
            rows: How many it has.
            seen: Its last changes, at least one.
        """
        folder = storage.open_folder(self.uri)
        with storage_faults(self.uri):
            stored = folder.files()
        kept, state = self._stored(stored)
        new = changes.since(seen, state) if kept is not None else None
        found = kept if new == () else None
        if found is None and kept is not None and new:
            found = self._with_changes(frame, kept, new)
        if found is None or _rows_of(found) != rows:
            found, new = self.spark.cached(value_counts(self.table, frame)), None
        if new != ():
            self._keep(folder, found, seen[-1].id, stored)
        return found

    def _stored(self, stored: list[StoredFile]) -> tuple[DataFrame | None, str | None]:
        """What is kept, and of which state; None where that is not known, or it is of several."""
        from pyspark.errors import PySparkException

        files = [file.uri for file in stored if file.name.endswith(".parquet")]
        if not files:
            return None, None
        session = self.spark.spark_session
        # Another run may have replaced them meanwhile.
        with contextlib.suppress(PySparkException):
            ddl = f"{ddl_of(self.table)}, `{STATE}` string, `{CODE}` string"
            kept = self.spark.cached(session.read.schema(ddl).parquet(*files))
            marks = kept.select(STATE, CODE).distinct().limit(2).collect()
            if [row[CODE] for row in marks] == [_code()]:
                return kept.drop(STATE, CODE), marks[0][STATE]
        return None, None

    def _with_changes(self, frame: DataFrame, kept: DataFrame, new: Changes) -> DataFrame | None:
        ranges = changes.ranges_of(new)
        if ranges is None:
            return None
        assert self.table.time_column is not None
        at = kept.withColumn("_time", time_in())
        others = at.where(f"not ({changes.condition('_time', ranges)})").drop("_time")
        changed = frame.where(changes.condition(self.table.time_column, ranges))
        return self.spark.cached(others.unionByName(value_counts(self.table, changed)))

    def _keep(
        self, folder: Folder, counts: DataFrame, state: str, before: list[StoredFile]
    ) -> None:
        from pyspark.sql import functions as F

        with storage_faults(self.uri):
            folder.create()
            kept = counts.withColumns({STATE: F.lit(state), CODE: F.lit(_code())})
            kept.write.mode("append").parquet(self.uri)
            folder.remove([file.name for file in before])

    def forget(self) -> None:
        """Deletes what is kept.

        Raises:
            LakehouseError: If storage fails.
        """
        folder = storage.open_folder(self.uri)
        with storage_faults(self.uri):
            folder.remove([file.name for file in folder.files()])


def _code() -> str:
    return code.version(value_counts_module)


def _rows_of(counts: DataFrame) -> int:
    from pyspark.sql import functions as F

    return int(counts.agg(F.coalesce(F.sum(ROWS), F.lit(0))).collect()[0][0])
