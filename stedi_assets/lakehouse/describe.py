"""What Dagster shows of a table, derived from its declaration and its log."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import dagster as dg

from stedi_assets.lakehouse.delta import TableState
from stedi_assets.pictures.figures import markdown_table
from stedi_assets.tables import Column, Table, Zone, files_of

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

PREVIEW_ROWS = 10
PERSONAL_DATA = "personal_data"
LINEAGE = "dagster/column_lineage"
ORIGIN = "from"
WITHHELD = "…"
# Letters and digits as a device's number has them; no name, e-mail, phone or date looks so.
IDENTIFIER = re.compile(r"(?=.*[A-Za-z])(?=.*\d)[\w.:-]{1,64}", re.ASCII)


def column_schema(table: Table, lineage: dg.TableColumnLineage | None = None) -> dg.TableSchema:
    """The columns with their types, meaning, constraints, sensitivity and origin."""
    origins = lineage.deps_by_column if lineage else {}
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
                tags=_tags(column, origins.get(column.name, ())),
            )
            for column in table.columns
        ],
        constraints=dg.TableConstraints(
            other=[f"no two rows share {', '.join(table.key)}"] if table.key else []
        ),
    )


def definition(table: Table, lineage: dg.TableColumnLineage) -> dict[str, Any]:
    """The metadata that holds before the table is materialised.

    The schema stands here alone: where a materialisation tells it too, Dagster shows the columns'
    names in lower case.
    """
    return {
        "dagster/column_schema": column_schema(table, lineage),
        LINEAGE: lineage,
        "dagster/table_name": table.name,
        "location": table.location,
    }


def materialization(table: Table, uri: str, state: TableState) -> dict[str, Any]:
    """The metadata of one write, read from the table's log."""
    return {
        "dagster/row_count": state.rows,
        "dagster/uri": uri,
        "dagster/table_name": table.name,
        "size_bytes": state.size_bytes,
        "files": state.files,
        "delta_version": state.version,
    }


def lineage(table: Table, parents: Sequence[Table]) -> dg.TableColumnLineage:
    """For each column the parent's column that it is taken from.

    A parent named earlier gives the value; a later one with the same column only restricts rows.
    """
    deps = {}
    for column in table.column_names:
        origin = next((parent for parent in parents if column in parent.column_names), None)
        if origin is not None:
            deps[column] = [dg.TableColumnDep(dg.AssetKey(origin.name), column)]
    return dg.TableColumnLineage(deps)


def landing_lineage(table: Table) -> dg.TableColumnLineage:
    """For each column of a landing table the field of the source's files."""
    files = dg.AssetKey(files_of(table))
    return dg.TableColumnLineage(
        {column: [dg.TableColumnDep(files, column)] for column in table.column_names}
    )


def quarantine_lineage(table: Table, landing: Table) -> dg.TableColumnLineage:
    """What is quarantined comes of the whole record; its place and time come of no column."""
    whole = [dg.TableColumnDep(dg.AssetKey(landing.name), name) for name in landing.column_names]
    return dg.TableColumnLineage(
        {name: whole if name in ("line", "reason") else [] for name in table.column_names}
    )


def preview(table: Table, read: Callable[[Table], DataFrame]) -> Mapping[str, Any]:
    """The first rows, in the order of their values, without the columns of personal data.

    A value that its column was not made for is withheld: where a record's fields are displaced, it
    may be a person's name or phone.

    Args:
        table: The table.
        read: Hands out its rows.
    """
    columns = [column for column in table.columns if not column.personal]
    shown = [column.name for column in columns]
    rows = read(table).select(*shown).orderBy(*shown).limit(PREVIEW_ROWS).collect()
    if not rows:
        return {}
    ours = table.zone is Zone.QUARANTINE  # reasons are this project's own words
    figures = [
        {c.name: row[c.name] if ours or _fits(c, row[c.name]) else WITHHELD for c in columns}
        for row in rows
    ]
    return {"preview": dg.MetadataValue.md(markdown_table(shown, figures))}


def _fits(column: Column, value: Any) -> bool:
    if value is None or value == 0:
        return True
    if column.type == "string":
        return isinstance(value, str) and bool(IDENTIFIER.fullmatch(value))
    least = column.minimum if column.minimum is not None else value
    most = column.maximum if column.maximum is not None else value
    return isinstance(value, int | float) and least <= value <= most


def _tags(column: Column, origins: Sequence[dg.TableColumnDep]) -> dict[str, str]:
    """What the page tells of a column; the open-source UI shows its lineage nowhere else."""
    tags = {PERSONAL_DATA: "true"} if column.personal else {}
    if origins:
        asset = origins[0].asset_key.to_user_string()
        tags[ORIGIN] = f"{asset}.{origins[0].column_name}" if len(origins) == 1 else asset
    return tags


def _bounds(column: Column) -> list[str]:
    bounds = []
    if column.minimum is not None:
        bounds.append(f">= {column.minimum}")
    if column.maximum is not None:
        bounds.append(f"<= {column.maximum}")
    return bounds
