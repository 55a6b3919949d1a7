"""The IO manager: the only place that knows where a table is and in which format."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import dagster as dg
from pydantic import Field, PrivateAttr

from stedi_assets.errors import LakehouseError
from stedi_assets.lakehouse import delta, describe, storage
from stedi_assets.lakehouse.landing import LandingFolder, LandingProfile
from stedi_assets.resources.spark import SparkResource
from stedi_assets.tables import TABLES, Table, Zone, quarantine_of

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


class LakehouseIOManager(dg.ConfigurableIOManager):
    """Keeps each asset at its place in the lakehouse, as a Delta table.

    Inputs load by their annotation: `pyspark.sql.DataFrame`, `pandas.DataFrame` or
    `pyarrow.Table`. The input metadata `columns`, a list of names, loads only those. Landing
    assets load as the well-formed records of their files.
    """

    uri: str = Field(description="A folder or s3://bucket/prefix.")
    spark: SparkResource
    _landing: dict[str, LandingFolder] = PrivateAttr(default_factory=dict)

    def handle_output(self, context: dg.OutputContext, obj: DataFrame) -> None:
        """Replaces the table by a frame, in one atomic commit."""
        table = TABLES[context.asset_key.to_user_string()]
        commit = {"run": context.run_id, "config": context.step_context.op_config or {}}
        written = self.write(table, obj, commit)
        context.add_output_metadata(describe.materialization(table, self.uri_of(table), written))
        declared = context.asset_spec.metadata
        context.add_output_metadata({describe.LINEAGE: declared[describe.LINEAGE]})

    def load_input(self, context: dg.InputContext) -> Any:
        """Loads a table as the type that the input is annotated with.

        Raises:
            LakehouseError: If the table has not been materialised, or its log is damaged.
        """
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
            rows = self.read(table).select(*(columns or table.column_names)).toArrow()
        else:
            rows = self._existing(table).to_pyarrow_table(columns=columns)
        return rows.to_pandas() if kind == "pandas.DataFrame" else rows

    @property
    def spark_session(self) -> SparkSession:
        """The run's session."""
        session: SparkSession = self.spark.spark_session
        return session

    def uri_of(self, table: Table) -> str:
        """Where a table is.

        Raises:
            LakehouseError: If the lakehouse's own address cannot be used.
        """
        return f"{storage.as_uri(self.uri)}/{table.location}"

    def landing(self, table: Table) -> LandingFolder:
        """A source's landing folder, listed once a run."""
        if table.name not in self._landing:
            self._landing[table.name] = LandingFolder(
                table, self.uri_of(table), lambda: self.spark_session
            )
        return self._landing[table.name]

    def landing_profile(self, table: Table) -> LandingProfile | None:
        """What is known of a landing folder as it is now; None where it must be read first."""
        state = self.state(quarantine_of(table))
        known = (state.commit if state else {}).get("landing")
        if known is None:
            return None
        profile = LandingProfile(**known)
        return profile if self.landing(table).knows(profile) else None

    def state(self, table: Table) -> delta.TableState | None:
        """What a table's log says, or None where it has not been materialised."""
        return delta.state(self.uri_of(table))

    def read(self, table: Table) -> DataFrame:
        """A table as a Spark frame.

        Raises:
            LakehouseError: If it has not been materialised, or its log is damaged.
        """
        if table.zone is Zone.LANDING:
            folder = self.landing(table)
            return folder.records(self.landing_profile(table) or folder.profile)
        self._existing(table)
        return self.spark_session.read.format("delta").load(self.uri_of(table))

    def write(self, table: Table, frame: DataFrame, commit: dict[str, Any]) -> delta.TableState:
        """Replaces a table by a frame, in one atomic commit.

        Args:
            table: The table.
            frame: Its new rows.
            commit: What to keep with the commit.

        Returns:
            The new state.

        Raises:
            LakehouseError: If the table cannot be written; it stays at its last good version.
        """
        uri = self.uri_of(table)
        delta.open_table(uri)
        writer = frame.write.format("delta").mode("overwrite").option("overwriteSchema", "true")
        with delta.write_faults(uri):
            writer.option(delta.COMMIT_METADATA, json.dumps(commit)).save(uri)
        written = delta.state(uri)
        assert written is not None
        return written

    def _existing(self, table: Table) -> Any:
        existing = delta.open_table(self.uri_of(table))
        if existing is None:
            raise LakehouseError(
                f"{table.name} is not in the lakehouse yet: there is no Delta table at "
                f"{self.uri_of(table)}. Materialise it first."
            )
        return existing
