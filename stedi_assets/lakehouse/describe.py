"""What Dagster shows of a table, derived from its declaration and its log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg

from stedi_assets.lakehouse.delta import TableState
from stedi_assets.tables import Column, Table

PERSONAL_DATA = "personal_data"
LINEAGE = "dagster/column_lineage"


def column_schema(table: Table) -> dg.TableSchema:
    """The columns with their types, meaning, constraints and sensitivity."""
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                column.name,
                column.type,
                description=column.description,
                constraints=dg.TableColumnConstraints(
                    nullable=not column.required,
                    unique=table.key == (column.name,),
                    other=_bounds(column),
                ),
                tags={PERSONAL_DATA: "true"} if column.personal else {},
            )
            for column in table.columns
        ],
        constraints=dg.TableConstraints(
            other=[f"no two rows share {', '.join(table.key)}"] if table.key else []
        ),
    )


def definition(table: Table) -> dict[str, Any]:
    """The metadata that holds before the table is materialised."""
    return {
        "dagster/column_schema": column_schema(table),
        "dagster/table_name": table.name,
        "location": table.location,
    }


def materialization(table: Table, uri: str, state: TableState) -> dict[str, Any]:
    """The metadata of one write, read from the table's log."""
    return {
        "dagster/row_count": state.rows,
        "dagster/uri": uri,
        "dagster/table_name": table.name,
        "dagster/column_schema": column_schema(table),
        "size_bytes": state.size_bytes,
        "files": state.files,
        "delta_version": state.version,
    }


def lineage(table: Table, parents: Sequence[Table]) -> Mapping[str, Any]:
    """For each column the parent's column that it is taken from.

    A parent named earlier gives the value; a later one with the same column only restricts rows.
    """
    deps = {}
    for column in table.column_names:
        origin = next((parent for parent in parents if column in parent.column_names), None)
        if origin is not None:
            deps[column] = [dg.TableColumnDep(dg.AssetKey(origin.name), column)]
    return {LINEAGE: dg.TableColumnLineage(deps)}


def _bounds(column: Column) -> list[str]:
    bounds = []
    if column.minimum is not None:
        bounds.append(f">= {column.minimum}")
    if column.maximum is not None:
        bounds.append(f"<= {column.maximum}")
    return bounds
