"""The lakehouse: the only place that knows where a table is and in which format."""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from stedi_assets import storage
from stedi_assets.engine.spark import SparkResource
from stedi_assets.errors import Code, LakehouseError
from stedi_assets.lakehouse import changes, delta, maintenance, writer
from stedi_assets.lakehouse.changes import Change, Changes, Ranges
from stedi_assets.lakehouse.commit import UNKNOWN, Commit
from stedi_assets.lakehouse.records import Records
from stedi_assets.landing.folder import LandingFolder, current
from stedi_assets.landing.profile import LandingProfile
from stedi_assets.storage import address
from stedi_assets.storage.faults import storage_faults
from stedi_assets.tables import Table, Zone, quarantine_of, records_of

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame, SparkSession

T = TypeVar("T")


class Lakehouse:
    """The tables as one run sees them: each log and folder is read once.

    Args:
        uri: A folder or s3://bucket/prefix.
        spark: Hands out the run's session.
    """

    def __init__(self, uri: str, spark: SparkResource) -> None:
        self.uri = uri
        self.spark = spark
        spark.reach(uri)
        self._landing: dict[str, LandingFolder] = {}
        self._records: dict[str, Records] = {}
        self._frames: dict[str, DataFrame] = {}
        self._states: dict[str, delta.TableState | None] = {}
        self._cached: dict[tuple[str, Ranges | None], tuple[DataFrame, DataFrame]] = {}
        self._copies: list[DataFrame] = []
        self._found: dict[str, tuple[DataFrame, Any]] = {}

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

    @property
    def _in_bucket(self) -> bool:
        return self.uri.startswith(address.S3)

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

    def take_in(self, table: Table, *, anew: bool = False, run: str | None = None) -> Records:
        """Reads what has landed of a source, as `Records.take_in`."""
        records = self.records(table)
        records.take_in(anew=anew, run=run)
        self._drop(table)
        self._drop(quarantine_of(table))
        return records

    def look_again(self, table: Table) -> None:
        """Lists a landing folder anew, of which others have changed files."""
        self._landing.pop(table.name, None)
        self._records.pop(table.name, None)
        self._drop(table)

    def records(self, table: Table) -> Records:
        """The records of a source's landing folder."""
        if table.name not in self._records:
            self._records[table.name] = Records(
                self.landing(table),
                self.uri_of(records_of(table)),
                self.uri_of(quarantine_of(table)),
            )
        return self._records[table.name]

    def landing_profile(self, table: Table) -> LandingProfile | None:
        """What is known of a landing folder as it is now; None where it must be read first."""
        return self.records(table).known_profile()

    def changes(self, table: Table) -> Changes:
        """The last changes of a table; of landing, of its records, once all have been read."""
        if table.zone is Zone.LANDING:
            return self.records(table).taken.changes
        state = self.state(table)
        return state.commit.changes if state and not state.foreign else ()

    def state(self, table: Table) -> delta.TableState | None:
        """What a table's log says, read once a run; None where it has not been materialised."""
        if table.name not in self._states:
            self._states[table.name] = delta.state(self.uri_of(table))
        return self._states[table.name]

    def read(self, table: Table) -> DataFrame:
        """A table as a Spark frame; of landing the well-formed records.

        Raises:
            LakehouseError: If it has not been materialised, or its log is damaged.
        """
        uri = self.uri_of(table)
        with storage_faults(uri):
            if table.zone is Zone.LANDING and table.name not in self._frames:
                self._frames[table.name] = self.records(table).frame()
            if table.name not in self._frames:
                self._require(table)
                self._frames[table.name] = self.spark_session.read.format("delta").load(uri)
            return self._frames[table.name]

    def scan(self, table: Table) -> DataFrame:
        """All rows of a table, to look at some columns; those without times are few, and cached."""
        if table.time_column is None:
            return self.within(table, self.read(table), None)
        base, cached = self._cached.get((table.name, None), (None, None))
        frame = self.read(table)
        return cached if cached is not None and base is frame else frame

    def within(self, table: Table, frame: DataFrame, ranges: Ranges | None) -> DataFrame:
        """A table's rows of some times, or all; cached for the run in a bucket, or without times.

        Args:
            table: The table.
            frame: All its rows.
            ranges: The times; None for all, and of no use to a table without a time column.
        """
        if table.time_column is None:
            ranges = None
        elif not self._in_bucket:
            return self._at(table, frame, ranges)
        base, cached = self._cached.get((table.name, ranges), (None, None))
        if cached is None or base is not frame:
            cached = self.spark.cached(self._at(table, frame, ranges))
            self._cached[table.name, ranges] = frame, cached
        return cached

    def cached(self, frame: DataFrame) -> DataFrame:
        """A frame whose rows are cached for the run: itself, if it is one of those."""
        if not any(frame is each for each in self._copies):
            frame = self.spark.cached(frame)
            self._copies.append(frame)
        return frame

    def _at(self, table: Table, frame: DataFrame, ranges: Ranges | None) -> DataFrame:
        if ranges is None or table.time_column is None:
            return frame
        return frame.where(changes.condition(table.time_column, ranges))

    def once(self, table: Table, name: str, find: Callable[[], T]) -> T:
        """What is found in a table, looked for once as long as it reads the same."""
        frame = self.read(table)
        if self._found.get(name, (None, None))[0] is not frame:
            self._found[name] = frame, find()
        found: T = self._found[name][1]
        return found

    def read_before(self, table: Table, change: Change) -> DataFrame | None:
        """A table as it was before a change; None where that version is gone."""
        files = delta.files_of_version(self.uri_of(table), change.version - 1)
        if files is None:
            return None
        reader = self.spark_session.read.schema(table.ddl)
        return (
            reader.parquet(*files) if files else self.spark_session.createDataFrame([], table.ddl)
        )

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
        self,
        table: Table,
        rows: DataFrame | writer.Rows,
        commit: Commit = UNKNOWN,
        id: str | None = None,
    ) -> delta.TableState:
        """Replaces a table by other rows, in one atomic commit.

        Args:
            table: The table.
            rows: Its new rows. Who reads the table in this run reads what is stored, or in a
                bucket a copy of it on this machine.
            commit: What to keep with the commit.
            id: The id of the new state; None for another than any had.

        Returns:
            The new state.

        Raises:
            LakehouseError: If the table cannot be written; it stays at its last good version.
        """
        uri = self.uri_of(table)
        # The engine would build upon a log that lacks a file; this finds it.
        before = self.state(table)
        version = before.version if before else -1
        commit = self._after(table, commit).changed(id or changes.new_id(), version + 1)
        kept = None
        if self._in_bucket and rows is not None and not callable(rows):
            kept = rows = self.cached(rows)
        written = writer.overwrite(uri, table, rows, commit, version)
        self._drop(table)
        self._states[table.name] = written
        if kept is not None:
            self._frames[table.name] = kept
            self._cached[table.name, None] = kept, kept
        return written

    def replace(
        self, table: Table, rows: DataFrame, commit: Commit, id: str, ranges: Ranges
    ) -> delta.TableState:
        """Replaces the rows of some times by others of these times, in one atomic commit.

        Args:
            table: The table.
            rows: The new rows.
            commit: What to keep with the commit.
            id: The id of the new state.
            ranges: The times.

        Returns:
            The new state.

        Raises:
            LakehouseError: If the table cannot be written; it stays at its last good version.
        """
        before = self.state(table)
        assert before is not None and table.time_column is not None
        where = changes.condition(table.time_column, ranges)
        commit = self._after(table, commit).changed(id, before.version + 1, ranges)
        self._drop(table)
        uri = self.uri_of(table)
        written = writer.update(uri, table, rows, commit, before.version, where)
        self._states[table.name] = written
        return written

    def note(self, table: Table, commit: Commit) -> delta.TableState:
        """Keeps other facts with a table, whose rows stay as they are.

        Raises:
            LakehouseError: If its log cannot be written, or another writer came between.
        """
        before = self.state(table)
        assert before is not None
        commit = self._after(table, commit)
        self._drop(table)
        written = writer.note(self.uri_of(table), commit, before.version)
        self._states[table.name] = written
        return written

    def kept_beside(self, table: Table, name: str) -> bytes | None:
        """What is kept under a name in a table's folder; None where there is nothing."""
        folder = storage.open_folder(self.uri_of(table))
        with storage_faults(folder.uri):
            file = folder.file(name)
            if file is None:
                return None
            with folder.open(file) as stored:
                return stored.read()

    def keep_beside(self, table: Table, name: str, content: str) -> None:
        """Keeps a text in a table's folder, by a name with a leading _ that Delta passes over."""
        folder = storage.open_folder(self.uri_of(table))
        with storage_faults(folder.uri):
            folder.write(name, content, folder.file(name))

    def _after(self, table: Table, commit: Commit) -> Commit:
        """A commit with the table's changes before it."""
        return commit.model_copy(update={"changes": self.changes(table)})

    def _drop(self, table: Table) -> None:
        """Has the next reader look at a table anew."""
        self._states.pop(table.name, None)
        self._frames.pop(table.name, None)
        for key in [key for key in self._cached if key[0] == table.name]:
            del self._cached[key]

    def delete_weaker_versions(
        self, table: Table, spared: Set[str] = frozenset()
    ) -> maintenance.Deleted:
        """Deletes a table's old versions, if any was made under weaker options.

        Nothing is deleted if another run has written the table since this one read its log. Data
        files whose names are spared stay.

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
        deleted = maintenance.delete_old_versions(uri, spared)
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
