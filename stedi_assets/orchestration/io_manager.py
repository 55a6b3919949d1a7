"""The IO manager: hands tables of the lakehouse to Dagster, and takes their next versions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import dagster as dg

from stedi_assets.errors import LakehouseError
from stedi_assets.lakehouse import making
from stedi_assets.lakehouse.lakehouse import Lakehouse
from stedi_assets.orchestration import metadata
from stedi_assets.orchestration.failures import faults_fail_step
from stedi_assets.tables import TABLES, Table

AfterWrite = Callable[[Lakehouse, Table], Mapping[str, Any]]


class LakehouseIOManager(dg.IOManager):
    """Keeps each asset at its place in the lakehouse, as a Delta table.

    Inputs load by their annotation: `pyspark.sql.DataFrame`, `pandas.DataFrame` or
    `pyarrow.Table`. The input metadata `columns`, a list of names, loads only those. Landing
    assets load as the well-formed records of their files.

    Args:
        lakehouse: Where the tables are.
        after_write: What follows a write, and gives metadata for the asset's page.
    """

    def __init__(self, lakehouse: Lakehouse, after_write: Sequence[AfterWrite] = ()) -> None:
        self.lakehouse = lakehouse
        self.after_write = after_write

    def handle_output(self, context: dg.OutputContext, obj: making.NewVersion) -> None:
        """Writes a table's next version, in one atomic commit."""
        table = TABLES[context.asset_key.to_user_string()]
        with faults_fail_step(retry=True):
            written = making.keep(self.lakehouse, table, obj.noting(run=context.run_id))
        context.add_output_metadata(
            metadata.materialization(
                table,
                self.lakehouse.uri_of(table),
                written,
                context.asset_spec.metadata[metadata.LINEAGE],
            )
        )
        with faults_fail_step():
            for follow in self.after_write:
                context.add_output_metadata(follow(self.lakehouse, table))

    def load_input(self, context: dg.InputContext) -> Any:
        """Loads a table as the type that the input is annotated with.

        Raises:
            LakehouseError: If the table has not been materialised, or its log is damaged.
        """
        table = TABLES[context.asset_key.to_user_string()]
        columns = (context.definition_metadata or {}).get("columns")
        wanted = context.dagster_type.typing_type
        kind = f"{wanted.__module__.partition('.')[0]}.{wanted.__name__}"
        with faults_fail_step(retry=True):
            if kind == "pyspark.DataFrame":
                frame = self.lakehouse.read(table)
                return frame.select(*columns) if columns else frame
            if kind not in ("pandas.DataFrame", "pyarrow.Table"):
                raise LakehouseError(
                    f"{table.name} cannot be loaded as {kind}. Annotate the input as "
                    "pyspark.sql.DataFrame, pandas.DataFrame or pyarrow.Table."
                )
            rows = self.lakehouse.arrow(table, columns)
            return rows.to_pandas() if kind == "pandas.DataFrame" else rows
