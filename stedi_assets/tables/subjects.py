"""Whose rows are: the values that are known of people and their devices."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from stedi_assets.tables.consent import person
from stedi_assets.tables.schema import Device, Person, Table, Through

# The columns of a table and the values that they are compared with.
Values = tuple[Sequence[str], DataFrame]


def known(
    table: Table,
    people: DataFrame,
    devices: DataFrame,
    declared: Callable[[str], Table],
    read: Callable[[str], DataFrame],
    values: Callable[[str, str], DataFrame] | None = None,
) -> list[Values]:
    """For each subject of a table its columns, and the values that they have for some people.

    Args:
        table: The table.
        people: A column `email` of the people, as `consent.person` has it.
        devices: A column `serialNumber` of their devices.
        declared: Gives a table by its name.
        read: Gives a table's rows by its name.
        values: Gives the values in a column of a table; None if they are in no cache.
    """
    found: list[Values] = []
    for subject in table.subjects:
        if isinstance(subject, Person):
            found.append((subject.columns, people.select("email").dropna().distinct()))
        elif isinstance(subject, Device):
            found.append((subject.columns, devices.select("serialNumber").dropna().distinct()))
        elif isinstance(subject, Through):
            rows = read(subject.table)
            through = declared(subject.table)
            for [column], theirs in known(through, people, devices, declared, read, values):
                # Each value once: that of a person or a device is on many rows.
                written = (
                    values(subject.table, column) if values else rows.select(column).distinct()
                )
                rows = _restricted(rows, column, written, theirs)
            found.append((subject.columns, rows.select(*subject.columns)))
    return found


def _restricted(rows: DataFrame, column: str, written: DataFrame, values: DataFrame) -> DataFrame:
    who = person("_written") if values.columns == ["email"] else F.col("_written")
    of = values.toDF("_known")
    theirs = written.toDF("_written").join(of, who == of["_known"], "left_semi")
    return rows.join(theirs, rows[column] == theirs["_written"], "left_semi")
