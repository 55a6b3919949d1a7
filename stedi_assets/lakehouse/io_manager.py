"""The IO manager: the only place that knows where a table is and in which format."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
from pydantic import Field, PrivateAttr

from stedi_assets import pictures
from stedi_assets.catalog.table_input import RECORD_COUNT, VERSION
from stedi_assets.errors import LakehouseError, transient_faults_retried
from stedi_assets.lakehouse import address, delta, describe, landing, storage, upkeep
from stedi_assets.lakehouse.faults import storage_faults
from stedi_assets.lakehouse.landing import LandingFolder
from stedi_assets.lakehouse.landing_profile import LandingProfile
from stedi_assets.resources.catalog import GlueCatalog
from stedi_assets.resources.clock import time_of_run
from stedi_assets.resources.spark import SparkResource
from stedi_assets.tables import TABLES, Table, Zone, quarantine_of

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


@dataclass(frozen=True)
class NewVersion:
    """A table's next version.

    Attributes:
        frame: Its rows, cached.
        commit: What to keep with them, besides the run.
    """

    frame: DataFrame
    commit: dict[str, Any]


class LakehouseIOManager(dg.ConfigurableIOManager):
    """Keeps each asset at its place in the lakehouse, as a Delta table.

    Inputs load by their annotation: `pyspark.sql.DataFrame`, `pandas.DataFrame` or
    `pyarrow.Table`. The input metadata `columns`, a list of names, loads only those. Landing
    assets load as the well-formed records of their files.
    """

    uri: str = Field(description="A folder or s3://bucket/prefix.")
    spark: SparkResource
    catalog: GlueCatalog | None = Field(default=None, description="Where to register tables.")
    _landing: dict[str, LandingFolder] = PrivateAttr(default_factory=dict)
    _profiles: dict[str, LandingProfile] = PrivateAttr(default_factory=dict)
    _frames: dict[str, DataFrame] = PrivateAttr(default_factory=dict)
    _states: dict[str, delta.TableState | None] = PrivateAttr(default_factory=dict)

    def handle_output(self, context: dg.OutputContext, obj: NewVersion) -> None:
        """Replaces the table by its next version, in one atomic commit, and registers it."""
        table = TABLES[context.asset_key.to_user_string()]
        commit = {"run": context.run_id, "as_of": time_of_run(context.run_id), **obj.commit}
        with transient_faults_retried():
            written = self.write(table, obj.frame, commit)
            self._frames[table.name] = obj.frame
            shown = pictures.metadata(table, self.read)
        context.add_output_metadata(
            {
                **describe.materialization(table, self.uri_of(table), written),
                describe.LINEAGE: context.asset_spec.metadata[describe.LINEAGE],
                **shown,
            }
        )
        context.add_output_metadata(self.register(table))

    def load_input(self, context: dg.InputContext) -> Any:
        """Loads a table as the type that the input is annotated with.

        Raises:
            LakehouseError: If the table has not been materialised, or its log is damaged.
        """
        with transient_faults_retried():
            return self._load(context)

    def _load(self, context: dg.InputContext) -> Any:
        table = TABLES[context.asset_key.to_user_string()]
        columns = (context.definition_metadata or {}).get("columns")
        wanted = context.dagster_type.typing_type
        kind = f"{wanted.__module__.partition('.')[0]}.{wanted.__name__}"
        if kind == "pyspark.DataFrame":
            frame = self.read(table)
            return frame.select(*columns) if columns else frame
        if kind not in ("pandas.DataFrame", "pyarrow.Table"):
            raise LakehouseError(
                f"{table.name} cannot be loaded as {kind}. Annotate the input as "
                "pyspark.sql.DataFrame, pandas.DataFrame or pyarrow.Table."
            )
        if table.zone is Zone.LANDING:
            current = landing.current(self.read(table))
            rows = current.select(*(columns or table.column_names)).toArrow()
        else:
            self._require(table)
            uri = self.uri_of(table)
            existing = delta.open_table(uri)
            assert existing is not None
            rows = delta.dataset(uri, existing).to_table(columns)
        return rows.to_pandas() if kind == "pandas.DataFrame" else rows

    @property
    def spark_session(self) -> SparkSession:
        """The run's session."""
        session: SparkSession = self.spark.spark_session
        return session

    def uri_of(self, table: Table) -> str:
        """Where a table is.

        Raises:
            LakehouseError: If the lakehouse's own address cannot be used, or a symbolic link
                leads out of it.
        """
        lakehouse = address.as_uri(self.uri)
        if self.catalog:
            self.catalog.require_usable(lakehouse)
        if lakehouse.startswith(address.LOCAL):
            address.within(Path(lakehouse.removeprefix(address.LOCAL)), table.location)
        return f"{lakehouse}/{table.location}"

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
            profile = LandingProfile.of(state.commit) if state else None
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
        """A table as a Spark frame, fetched once a run however often it is read.

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
                self._frames[table.name] = self.spark.hold(stored)
            return self._frames[table.name]

    def write(self, table: Table, rows: delta.Rows, commit: dict[str, Any]) -> delta.TableState:
        """Replaces a table by other rows, in one atomic commit.

        Args:
            table: The table.
            rows: Its new rows.
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
        return written

    def forget_weaker_versions(self, table: Table) -> upkeep.Forgotten:
        """Deletes a table's older versions, if any was made under weaker options.

        Nothing is deleted if another run has written the table since this one looked at it.

        Raises:
            LakehouseError: If storage fails; the current version is whole, and to call this again
                deletes the rest.
        """
        state, uri = self.state(table), self.uri_of(table)
        until = state.commit.get("weaker_until") if state else None
        if state is None or until is None or not upkeep.keeps_versions_until(uri, until):
            return upkeep.Forgotten()
        now = delta.state(uri)
        if now is None or now.version != state.version:
            return upkeep.Forgotten()
        forgotten = upkeep.forget_history(uri)
        with storage_faults(uri):
            storage.open_folder(uri).forget_versions()
        self._states.pop(table.name)
        self.register(table)
        return forgotten

    def figures(self, table: Table) -> dict[str, str] | None:
        """The catalog's figures of a table's last write; None where it is not materialised as is.

        The version is that of the Delta log, or the fingerprint of the files that landed.
        """
        if table.zone is Zone.LANDING:
            if profile := self.landing_profile(table):
                return {RECORD_COUNT: str(profile.records), VERSION: profile.fingerprint}
        elif state := self.state(table):
            return {RECORD_COUNT: str(state.rows), VERSION: str(state.version)}
        return None

    def register(self, table: Table) -> dict[str, str]:
        """Tells the catalog, where there is one, of a table as it is now.

        Returns:
            Metadata that says under which name it is registered, or nothing where it is not.

        Raises:
            LakehouseError: If it cannot be registered; the table itself is as it was.
        """
        figures = self.figures(table) if self.catalog else None
        if self.catalog is None or figures is None:
            return {}
        self.catalog.register(table, self.uri_of(table), figures)
        return {"glue_table": self.catalog.name_of(table)}

    def _require(self, table: Table) -> None:
        if self.state(table) is None:
            raise LakehouseError(
                f"{table.name} is not in the lakehouse yet: there is no Delta table at "
                f"{self.uri_of(table)}. Materialise it first."
            )
