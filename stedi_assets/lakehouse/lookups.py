"""What rules and checks look up in a table: its unique values, and how many rows have them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from stedi_assets.lakehouse import changes
from stedi_assets.lakehouse.changes import Ranges
from stedi_assets.lakehouse.kept_counts import KeptCounts
from stedi_assets.lakehouse.lakehouse import Lakehouse
from stedi_assets.tables import Table, Zone, code, records_of, recount
from stedi_assets.tables import value_counts as counts
from stedi_assets.tables.customer import CUSTOMER_CURATED

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

# Folders of what is kept, which Delta passes over.
VALUE_COUNTS, PERSON_COUNTS = "_value_counts", "_person_counts"


def seen_by(
    lakehouse: Lakehouse, reader: Table, table: Table, frame: DataFrame, ranges: Ranges | None
) -> DataFrame:
    """As `Lakehouse.within`, but only as much as the rule of another table looks at.

    One without times that keeps rows by references looks at the values referred to alone.
    """
    columns = [name for target, name in reader.references.values() if target == table.name]
    if reader.recount is None and not reader.time_column and table.time_column and columns:
        return values(lakehouse, table, columns)
    return lakehouse.within(table, frame, ranges)


def values(lakehouse: Lakehouse, table: Table, columns: Sequence[str]) -> DataFrame:
    """The values in columns of a table, of one with times each once, looked for once a run."""
    if table.time_column is None:
        return lakehouse.scan(table).select(*columns)

    def find() -> DataFrame:
        counted = set(columns) <= set(counts.texts_of(table))
        rows = value_counts(lakehouse, table) if counted else lakehouse.scan(table)
        return lakehouse.spark.cached(rows.select(*columns).distinct())

    return lakehouse.once(table, f"values of {table.name}: {', '.join(columns)}", find)


def value_counts(lakehouse: Lakehouse, table: Table) -> DataFrame:
    """The value counts of a table with times: counted where it has changed, and kept."""
    frame = lakehouse.scan(table)

    def count(ranges: Ranges | None) -> DataFrame:
        assert table.time_column is not None
        where = changes.condition(table.time_column, ranges) if ranges is not None else "true"
        return counts.value_counts(table, frame.where(where))

    def find() -> DataFrame:
        return _kept_value_counts(lakehouse, table).of(
            count, _rows_of(lakehouse, table), lakehouse.changes(table)
        )

    return lakehouse.once(table, f"value counts of {table.name}", find)


def person_counts(
    lakehouse: Lakehouse, table: Table, count: Callable[[Ranges | None], DataFrame], total: int
) -> DataFrame:
    """The counts of a table's rows by person, as `KeptCounts.of`.

    They are kept in the folder of the people, since the table itself may name no one.
    """
    return _kept_person_counts(lakehouse, table).of(count, total, lakehouse.changes(table))


def delete_counts(lakehouse: Lakehouse, table: Table) -> None:
    """Deletes the counts that are kept of a table, if it has times."""
    if table.time_column is not None:
        _kept_value_counts(lakehouse, table).delete()
        if table.recount is not None:
            _kept_person_counts(lakehouse, table).delete()


def _kept_value_counts(lakehouse: Lakehouse, table: Table) -> KeptCounts:
    uri = lakehouse.uri_of(records_of(table) if table.zone is Zone.LANDING else table)
    ddl, by = counts.ddl_of(table), code.version(counts)
    return KeptCounts(f"{uri}/{VALUE_COUNTS}", ddl, counts.ROWS, by, lakehouse.spark)


def _kept_person_counts(lakehouse: Lakehouse, table: Table) -> KeptCounts:
    uri = f"{lakehouse.uri_of(CUSTOMER_CURATED)}/{PERSON_COUNTS}_{table.name}"
    by = code.version(recount)
    return KeptCounts(uri, recount.PERSON_DDL, recount.EXPECTED, by, lakehouse.spark)


def _rows_of(lakehouse: Lakehouse, table: Table) -> int:
    if table.zone is Zone.LANDING:
        return lakehouse.records(table).profile.records
    state = lakehouse.state(table)
    return state.rows if state else 0
