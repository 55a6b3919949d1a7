"""The consent funnel: how many rows and how many people are left in each table."""

from __future__ import annotations

import contextlib
import functools
import itertools
from collections.abc import Callable
from typing import TYPE_CHECKING

from stedi_assets.errors import LakehouseError
from stedi_assets.pictures import chart
from stedi_assets.pictures.chart import Picture
from stedi_assets.pictures.figures import Figures
from stedi_assets.tables import TABLES, Table, Zone
from stedi_assets.tables.customer import CUSTOMER_LANDING
from stedi_assets.tables.schema import Device, Person

if TYPE_CHECKING:
    from pyspark.sql import Column as Expression
    from pyspark.sql import DataFrame, Row

COLUMNS = ("table", "zone", "rows", "people")
CAPTION = (
    "A person is an e-mail address that landed. A device stands for the people who registered it; "
    "one with a pseudonym leads to no one."
)


def figures(read: Callable[[Table], DataFrame]) -> Figures:
    """For each table that the lakehouse has its zone, rows and unique people, in one query.

    Args:
        read: Hands out a table's rows, or its value counts, which have their number in `rows`.
    """
    counts = []
    for table in stages():
        # The last table can be made where landing was cleared: its page then starts later.
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
        for table in stages()
        if table.name in counted
    ]


def pictures(figures: Figures) -> list[Picture]:
    """Bars of the people, where their number changes, and of the rows of each table."""
    people = steps(figures)
    return [
        chart.bars(
            "People, where their number changes",
            {label: count for label, _, count in people},
            [zone for _, zone, _ in people],
        ),
        chart.bars(
            "Rows on the way to machine_learning_curated",
            {each["table"]: each["rows"] for each in figures},
            [each["zone"] for each in figures],
        ),
    ]


def steps(figures: Figures) -> list[tuple[str, str, int]]:
    """Tables one after another that have as many people: their names, a zone and the people."""
    known = [each for each in figures if each["people"] is not None]
    found = []
    for people, alike in itertools.groupby(known, key=lambda each: each["people"]):
        first, *others = alike
        label = f"{first['table']} and {len(others)} more" if others else first["table"]
        found.append((label, first["zone"], people))
    return found


def stages() -> list[Table]:
    """Landing, trusted and curated tables, zone by zone."""
    order = [Zone.LANDING, Zone.TRUSTED, Zone.CURATED]
    return sorted(
        (table for table in TABLES.values() if table.zone in order),
        key=lambda table: order.index(table.zone),
    )


def _people(table: Table, counted: Row) -> int | None:
    pseudonyms = table.pseudonymised and counted.rows and not counted.people
    return None if pseudonyms else counted.people


def _counted(table: Table, read: Callable[[Table], DataFrame]) -> DataFrame:
    from pyspark.sql import functions as F

    from stedi_assets.landing.folder import current
    from stedi_assets.tables import recount
    from stedi_assets.tables.value_counts import ROWS

    rows, subject = current(read(table)), table.subjects[0]
    count = recount.total(ROWS) if ROWS in rows.columns else F.count(F.lit(1))
    counts = F.lit(table.name).alias("table"), count.alias("rows")
    if not isinstance(subject, Device):
        [column] = subject.columns
        return rows.agg(*counts, F.count_distinct(_person(table, column)).alias("people"))
    registered = _owners(table, subject.column)
    owners = read(registered)
    serials = rows.select(F.col(subject.column).alias("_serial")).distinct()
    theirs = owners.join(serials, owners.serialNumber == serials["_serial"], "left_semi")
    people = theirs.agg(F.count_distinct(_person(registered, "email")).alias("people"))
    return rows.agg(*counts).crossJoin(people)


def _person(table: Table, column: str) -> Expression:
    """Who the address in a column names; those in tables that rules make are written so."""
    from pyspark.sql import functions as F

    from stedi_assets.tables import consent

    return consent.person(column) if table.zone is Zone.LANDING else F.col(column)


def _owners(table: Table, column: str) -> Table:
    """The table of people that says whose the devices in a column are, by its references."""
    while column in table.references:
        target, column = table.references[column]
        table = TABLES[target]
        if any(isinstance(subject, Person) for subject in table.subjects):
            return table
    return CUSTOMER_LANDING
