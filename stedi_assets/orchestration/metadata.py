"""What Dagster shows of a table, derived from its declaration and its log."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from stedi_assets.lakehouse.delta import TableState
from stedi_assets.lakehouse.making import NewVersion
from stedi_assets.lakehouse.plan import Mode
from stedi_assets.tables import Column, Table, Zone, files_of
from stedi_assets.tables.columns import PERSONAL_DATA

SCHEMA = "dagster/column_schema"
LINEAGE = "dagster/column_lineage"
ORIGIN = "from"
POLICY = "privacy_policy"
OPTIONS = "options"
MODE = "mode"
REASON = "reason"
CAME, LEFT = "people_came", "people_left"
# The longest time from a withdrawal, by its own date, to the table without that person.
WAITED = "hours_from_withdrawal_to_removal"

# The graph of all assets with every group open. The UI names a group by its code location too, but
# for one that no other location shares.
GRAPH = "/asset-groups?expanded=" + ",".join(
    f"global@global:{group}" for group in (*(z for z in Zone if z is not Zone.RECORDS), "runs")
)
LINK = f"[All tables, from files to training]({GRAPH})"


def megabytes(size: int) -> float:
    """A size in bytes as the UI shows and plots it."""
    return round(size / 1e6, 1)


def column_schema(table: Table, lineage: dg.TableColumnLineage | None = None) -> dg.TableSchema:
    """The columns with their types, meaning, constraints, sensitivity and origin."""
    origins = lineage.deps_by_column if lineage else {}
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                column.name,
                column.type.value,
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

    Without the schema: where both it and the materialisation have one, Dagster shows the columns'
    names in lower case (dagster#21161).
    """
    return {
        LINEAGE: lineage,
        "dagster/table_name": table.name,
        "location": table.location,
    }


def materialization(
    table: Table, uri: str, state: TableState, lineage: dg.TableColumnLineage
) -> dict[str, Any]:
    """The metadata of one write, read from the table's log.

    OpenLineage and `dg.build_column_schema_change_checks` look here for the schema.
    """
    return {
        SCHEMA: column_schema(table, lineage),
        LINEAGE: lineage,
        "dagster/row_count": state.rows,
        "dagster/uri": uri,
        "dagster/table_name": table.name,
        "size_mb": megabytes(state.size_bytes),
        "files": state.files,
        "delta_version": state.version,
    }


def made(new: NewVersion) -> dict[str, Any]:
    """The metadata of how much of a table was made anew, and why."""
    plan = new.plan
    shown: dict[str, Any] = {MODE: plan.mode.value, REASON: plan.reason}
    if plan.mode is Mode.RANGES:
        milliseconds = sum(last - first + 1 for first, last in plan.ranges)
        shown["minutes_made"] = milliseconds // 60_000
    if new.people:
        shown |= {CAME: new.people.came, LEFT: new.people.left}
        if new.people.waited is not None:
            shown[WAITED] = round(new.people.waited / 3_600_000, 1)
    return shown


def lineage(table: Table, parents: Sequence[Table]) -> dg.TableColumnLineage:
    """For each column the parent's column that it is taken from.

    A parent named earlier gives the value; a later one with the same column only restricts rows.
    """
    deps = {}
    for column in table.column_names:
        origins = [(each.name, column) for each in parents if column in each.column_names]
        if origin := table.derived.get(column, next(iter(origins), None)):
            deps[column] = [dg.TableColumnDep(dg.AssetKey(origin[0]), origin[1])]
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


def _tags(column: Column, origins: Sequence[dg.TableColumnDep]) -> dict[str, str]:
    """What the page shows of a column; the open-source UI shows its lineage nowhere else."""
    tags = {PERSONAL_DATA: "true"} if column.personal else {}
    if origins:
        asset = origins[0].asset_key.to_user_string()
        tags[ORIGIN] = f"{asset}.{origins[0].column_name}" if len(origins) == 1 else asset
    return tags


def _bounds(column: Column) -> list[str]:
    bounds = [(">=", column.minimum), ("<=", column.maximum)]
    shown = _day if column.is_time else str
    return [f"{sign} {shown(bound)}" for sign, bound in bounds if bound is not None]


def _day(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%d")
