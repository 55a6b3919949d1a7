"""The consent funnel: how many rows and how many people are left in each table."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable
from typing import TYPE_CHECKING

from stedi_assets import tables
from stedi_assets.errors import LakehouseError
from stedi_assets.pictures import chart
from stedi_assets.pictures.chart import Picture
from stedi_assets.pictures.figures import Figures
from stedi_assets.tables import Table
from stedi_assets.tables.accelerometer import ACCELEROMETER_TRUSTED
from stedi_assets.tables.customer import CUSTOMER_CURATED, CUSTOMER_LANDING, CUSTOMER_TRUSTED
from stedi_assets.tables.machine_learning import MACHINE_LEARNING_CURATED
from stedi_assets.tables.step_trainer import STEP_TRAINER_LANDING, STEP_TRAINER_TRUSTED

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, Row

# Whose customer records say who owns the devices of a table that names devices only.
OWNERS = {
    STEP_TRAINER_LANDING.name: CUSTOMER_LANDING,
    STEP_TRAINER_TRUSTED.name: CUSTOMER_CURATED,
    MACHINE_LEARNING_CURATED.name: CUSTOMER_CURATED,
}
COLUMNS = ("table", "zone", "rows", "people")
CAPTION = (
    "A person is an e-mail address that landed. A device stands for the people who registered it; "
    "one with a pseudonym leads to no one."
)
STAGES = (
    *tables.LANDING_TABLES,
    CUSTOMER_TRUSTED,
    ACCELEROMETER_TRUSTED,
    STEP_TRAINER_TRUSTED,
    CUSTOMER_CURATED,
    MACHINE_LEARNING_CURATED,
)


def figures(read: Callable[[Table], DataFrame]) -> Figures:
    """For each table that the lakehouse has its zone, rows and different people, in one query.

    Args:
        read: Hands out a table's rows.
    """
    counts = []
    for table in STAGES:
        # The training table can be made where landing was cleared: its page then starts later.
        with contextlib.suppress(LakehouseError):
            counts.append(_counted(table, read))
    united = functools.reduce(lambda one, other: one.unionByName(other), counts)
    counted = {row.table: row for row in united.collect()}
    return [
        {
            "table": table.name,
            "zone": table.zone.value,
            "rows": counted[table.name].rows,
            "people": _people(table, counted[table.name]),
        }
        for table in STAGES
        if table.name in counted
    ]


def pictures(figures: Figures) -> list[Picture]:
    """Bars of the people, and of the rows, that each table has."""
    zones = {each["table"]: each["zone"] for each in figures}
    columns = {figure: _column(figures, figure) for figure in ("people", "rows")}
    return [
        chart.bars(f"{figure.title()} in each table", column, [zones[table] for table in column])
        for figure, column in columns.items()
    ]


def _people(table: Table, counted: Row) -> int | None:
    pseudonyms = table == MACHINE_LEARNING_CURATED and counted.rows and not counted.people
    return None if pseudonyms else counted.people


def _column(figures: Figures, name: str) -> dict[str, int]:
    return {each["table"]: each[name] for each in figures if each[name] is not None}


def _counted(table: Table, read: Callable[[Table], DataFrame]) -> DataFrame:
    from pyspark.sql import functions as F

    from stedi_assets.landing.folder import current
    from stedi_assets.tables import consent

    rows = current(read(table))
    rows_of_table = rows.agg(F.lit(table.name).alias("table"), F.count(F.lit(1)).alias("rows"))
    if table.name in OWNERS:
        owners = read(OWNERS[table.name])
        people = owners.join(rows, owners.serialNumber == rows.serialNumber, "left_semi")
    else:
        people = rows
    email = consent.person("user" if "user" in people.columns else "email")
    return rows_of_table.crossJoin(people.agg(F.count_distinct(email).alias("people")))
