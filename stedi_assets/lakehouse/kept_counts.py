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
    from pyspark.sql import DataFrame, SparkSession

    from stedi_assets.engine.spark import SparkResource
    from stedi_assets.lakehouse.changes import Changes, Ranges
    from stedi_assets.storage.folder import Folder, StoredFile

# What was counted, by which code, and in which write: the id of the state of the table, and others.
MARK = "_of"


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
        with storage_faults(self._table_uri):
            stored = folder.files()
        state = self._state_of(stored)
        new = changes.since(seen, state)
        if new == () and (found := self._read(stored, total)) is not None:
            return found
        ranges = changes.ranges_of(new) if new else None
        if ranges is not None:
            counts = self._others(stored, ranges).unionByName(count(ranges))
            if (found := self._replaced(folder, stored, counts, seen[-1].id, total)) is not None:
                return found
        found = self._replaced(folder, stored, count(None), seen[-1].id, None)
        assert found is not None
        return found

    @property
    def _table_uri(self) -> str:
        """The folder of the table, which faults name: a file that is damaged may be one of its."""
        return self.uri.rpartition("/")[0]

    def _stored(self, stored: list[StoredFile]) -> DataFrame:
        files = [file.uri for file in stored if file.name.endswith(".parquet")]
        session: SparkSession = self.spark.spark_session
        ddl = f"{self.ddl}, `{MARK}` string"
        reader = session.read.schema(ddl)
        return reader.parquet(*files) if files else session.createDataFrame([], ddl)

    def _state_of(self, stored: list[StoredFile]) -> str | None:
        """The state that was counted; None where it is not known, or of several writes."""
        from pyspark.errors import PySparkException

        # Another run may have replaced them meanwhile.
        with contextlib.suppress(PySparkException):
            marks = self._stored(stored).select(MARK).distinct().limit(2).collect()
            if len(marks) == 1 and marks[0][0]:
                state, code, _ = marks[0][0].split("/")
                return state if code == self.code else None
        return None

    def _read(self, stored: list[StoredFile], total: int) -> DataFrame | None:
        """What is kept, cached; None where it cannot be read, or is not whole."""
        from pyspark.errors import PySparkException

        with contextlib.suppress(PySparkException):
            found = self.spark.cached(self._stored(stored).drop(MARK))
            return found if self._sum_of(found) == total else None
        return None

    def _others(self, stored: list[StoredFile], ranges: Ranges) -> DataFrame:
        """What is kept of other times."""
        at = self._stored(stored).drop(MARK).withColumn("_time", time_in())
        return at.where(f"not ({changes.condition('_time', ranges)})").drop("_time")

    def _replaced(
        self,
        folder: Folder,
        before: list[StoredFile],
        counts: DataFrame,
        state: str,
        total: int | None,
    ) -> DataFrame | None:
        """Keeps other counts in place of what is kept; None, and not, if they are not whole."""
        from pyspark.errors import PySparkException
        from pyspark.sql import functions as F

        with storage_faults(self._table_uri):
            try:
                found = self.spark.cached(counts)
                if total is not None and self._sum_of(found) != total:
                    return None
            except PySparkException:
                if total is None:
                    raise
                return None  # what is kept may have been replaced meanwhile
            folder.create()
            mark = f"{state}/{self.code}/{changes.new_id()}"
            found.withColumn(MARK, F.lit(mark)).write.mode("append").parquet(self.uri)
            old = sorted(file.name for file in before)
            if self.spark.computes_again:
                # Of files that are about to be deleted.
                written = [file for file in folder.files() if file.name not in old]
                kept = self._stored(written).where(F.col(MARK) == mark)
                found = self.spark.cached(kept.drop(MARK))
            folder.remove(old)
        return found

    def _sum_of(self, counts: DataFrame) -> int:
        from pyspark.sql import functions as F

        return int(counts.agg(F.coalesce(F.sum(self.sums), F.lit(0))).collect()[0][0])

    def delete(self) -> None:
        """Deletes what is kept.

        Raises:
            LakehouseError: If storage fails.
        """
        folder = storage.open_folder(self.uri)
        with storage_faults(self._table_uri):
            folder.remove([file.name for file in folder.files()])
