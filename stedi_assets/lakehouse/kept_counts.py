"""Counts by bucket of time, kept in the lakehouse: only buckets that have changed are counted anew.

They hold nothing but what tables have, from which they can be counted at any time.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stedi_assets import storage
from stedi_assets.lakehouse import changes
from stedi_assets.storage.faults import storage_faults
from stedi_assets.tables.buckets import time_in

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from stedi_assets.engine.spark import SparkResource
    from stedi_assets.lakehouse.changes import Changes, Ranges
    from stedi_assets.storage.folder import Folder, StoredFile

# What was counted: the id of the state of the table, and by which code.
STATE, CODE = "_state", "_code"


@dataclass(frozen=True)
class KeptCounts:
    """Counts of a table with times.

    Attributes:
        uri: The folder that they are kept in.
        ddl: Their columns as a Spark DDL schema, `bucket` among them.
        sums: The column whose sum tells whether they are whole.
        code: A digest of the code that counts.
        spark: Hands out the run's session.
    """

    uri: str
    ddl: str
    sums: str
    code: str
    spark: SparkResource

    def of(
        self, count: Callable[[Ranges | None], DataFrame], total: int, seen: Changes
    ) -> DataFrame:
        """The counts of the table as it is, cached.

        Args:
            count: Counts the rows of some times, or all.
            total: What they must sum up to.
            seen: The table's last changes; without any they are not kept.
        """
        if not seen:
            return self.spark.cached(count(None))
        folder = storage.open_folder(self.uri)
        with storage_faults(self.uri):
            stored = folder.files()
        kept, state = self._stored(stored)
        new = changes.since(seen, state) if kept is not None else None
        found = kept if new == () else None
        if found is None and kept is not None and new:
            found = self._with_changes(count, kept, new)
        if found is None or self._sum_of(found) != total:
            found, new = self.spark.cached(count(None)), None
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
            ddl = f"{self.ddl}, `{STATE}` string, `{CODE}` string"
            kept = self.spark.cached(session.read.schema(ddl).parquet(*files))
            marks = kept.select(STATE, CODE).distinct().limit(2).collect()
            if [row[CODE] for row in marks] == [self.code]:
                return kept.drop(STATE, CODE), marks[0][STATE]
        return None, None

    def _with_changes(
        self, count: Callable[[Ranges | None], DataFrame], kept: DataFrame, new: Changes
    ) -> DataFrame | None:
        ranges = changes.ranges_of(new)
        if ranges is None:
            return None
        at = kept.withColumn("_time", time_in())
        others = at.where(f"not ({changes.condition('_time', ranges)})").drop("_time")
        return self.spark.cached(others.unionByName(count(ranges)))

    def _keep(
        self, folder: Folder, counts: DataFrame, state: str, before: list[StoredFile]
    ) -> None:
        from pyspark.sql import functions as F

        with storage_faults(self.uri):
            folder.create()
            kept = counts.withColumns({STATE: F.lit(state), CODE: F.lit(self.code)})
            kept.write.mode("append").parquet(self.uri)
            folder.remove([file.name for file in before])

    def _sum_of(self, counts: DataFrame) -> int:
        from pyspark.sql import functions as F

        return int(counts.agg(F.coalesce(F.sum(self.sums), F.lit(0))).collect()[0][0])

    def forget(self) -> None:
        """Deletes what is kept.

        Raises:
            LakehouseError: If storage fails.
        """
        folder = storage.open_folder(self.uri)
        with storage_faults(self.uri):
            folder.remove([file.name for file in folder.files()])
