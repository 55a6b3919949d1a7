"""The lakehouse: the only place that knows where a table is and in which format."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from stedi_assets import storage
from stedi_assets.engine.spark import SparkResource
from stedi_assets.errors import Code, LakehouseError
from stedi_assets.lakehouse import delta, maintenance
from stedi_assets.lakehouse.commit import UNKNOWN, Commit
from stedi_assets.landing.folder import LandingFolder, current
from stedi_assets.landing.profile import LandingProfile
from stedi_assets.storage import address
from stedi_assets.storage.faults import storage_faults
from stedi_assets.tables import Table, Zone, quarantine_of

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame, SparkSession


class Lakehouse:
    """The tables as one run sees them: each log and folder is read once, each frame cached.

    Args:
        uri: A folder or s3://bucket/prefix.
        spark: Hands out the run's session.
    """

    def __init__(self, uri: str, spark: SparkResource) -> None:
        self.uri = uri
        self.spark = spark
        spark.reach(uri)
        self._landing: dict[str, LandingFolder] = {}
        self._profiles: dict[str, LandingProfile] = {}
        self._frames: dict[str, DataFrame] = {}
        self._states: dict[str, delta.TableState | None] = {}

    @property
    def spark_session(self) -> SparkSession:
        """The run's session."""
        session: SparkSession = self.spark.spark_session
        return session

    @property
    def root(self) -> str:
        """The lakehouse's URI.

        Raises:
            LakehouseError: If its address cannot be used.
        """
        return address.as_uri(self.uri)

    def uri_of(self, table: Table) -> str:
        """Where a table is.

        Raises:
            LakehouseError: If the lakehouse's own address cannot be used, or a symbolic link
                leads out of it.
        """
        root = self.root
        if root.startswith(address.LOCAL):
            address.within(Path(root.removeprefix(address.LOCAL)), table.location)
        return f"{root}/{table.location}"

    def landing(self, table: Table) -> LandingFolder:
        """A source's landing folder, listed once a run."""
        if table.name not in self._landing:
            self._landing[table.name] = LandingFolder(table, self.uri_of(table), self.spark)
        return self._landing[table.name]

    def landing_profile(self, table: Table) -> LandingProfile | None:
        """What is known of a landing folder as it is now; None where it must be read first."""
        quarantine = quarantine_of(table)
        if quarantine.name not in self._profiles:
            state = self.state(quarantine)
            profile = state.commit.profile if state else None
            if profile is None or not self.landing(table).knows(profile):
                return None
            self._profiles[quarantine.name] = profile
        return self._profiles[quarantine.name]

    def state(self, table: Table) -> delta.TableState | None:
        """What a table's log says, read once a run; None where it has not been materialised."""
        if table.name not in self._states:
            self._states[table.name] = delta.state(self.uri_of(table))
        return self._states[table.name]

    def read(self, table: Table) -> DataFrame:
        """A table as a Spark frame, cached for the run; of landing the well-formed records.

        Raises:
            LakehouseError: If it has not been materialised, or its log is damaged.
        """
        uri = self.uri_of(table)
        with storage_faults(uri):
            if table.zone is Zone.LANDING:
                folder = self.landing(table)
                return folder.records(self.landing_profile(table) or folder.profile)
            if table.name not in self._frames:
                self._require(table)
                stored = self.spark_session.read.format("delta").load(uri)
                self._frames[table.name] = self.spark.cached(stored)
            return self._frames[table.name]

    def arrow(self, table: Table, columns: Sequence[str] | None = None) -> pa.Table:
        """A table as Arrow holds it, all of it in memory; of landing the current records.

        Args:
            table: The table.
            columns: The columns to read; None for all.

        Raises:
            LakehouseError: If it has not been materialised, or cannot be read without Spark.
        """
        if table.zone is Zone.LANDING:
            return current(self.read(table)).select(*(columns or table.column_names)).toArrow()
        self._require(table)
        uri = self.uri_of(table)
        stored = delta.open_table(uri)
        assert stored is not None
        return delta.dataset(uri, stored).to_table(columns)

    def write(
        self, table: Table, rows: DataFrame | delta.Rows, commit: Commit = UNKNOWN
    ) -> delta.TableState:
        """Replaces a table by other rows, in one atomic commit.

        Args:
            table: The table.
            rows: Its new rows. A frame must be cached: who reads the table in this run gets it.
            commit: What to keep with the commit.

        Returns:
            The new state.

        Raises:
            LakehouseError: If the table cannot be written; it stays at its last good version.
        """
        uri = self.uri_of(table)
        self._profiles.pop(table.name, None)
        self._frames.pop(table.name, None)
        # The engine would build upon a log that lacks a file; this finds it.
        before = self.state(table)
        written = delta.overwrite(uri, table, rows, commit, before.version if before else -1)
        self._states[table.name] = written
        if rows is not None and not callable(rows):
            self._frames[table.name] = rows
        return written

    def delete_weaker_versions(self, table: Table) -> maintenance.Deleted:
        """Deletes a table's old versions, if any was made under weaker options.

        Nothing is deleted if another run has written the table since this one read its log.

        Raises:
            LakehouseError: If storage fails; the current version is whole, and the next call
                deletes the rest.
        """
        state, uri = self.state(table), self.uri_of(table)
        until = state.commit.weaker_until if state else None
        if state is None or until is None or not maintenance.keeps_versions_until(uri, until):
            return maintenance.Deleted()
        now = delta.state(uri)
        if now is None or now.version != state.version:
            return maintenance.Deleted()
        deleted = maintenance.delete_old_versions(uri)
        with storage_faults(uri):
            storage.open_folder(uri).delete_noncurrent_versions()
        self._states.pop(table.name)
        return deleted

    def _require(self, table: Table) -> None:
        if self.state(table) is None:
            raise LakehouseError(
                f"{table.name} is not in the lakehouse yet: there is no Delta table at "
                f"{self.uri_of(table)}. Materialise it first.",
                Code.NOT_MATERIALISED,
            )
