"""Why a table loses rows: which rows are gone, and what of landing explains it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stedi_assets.erasure.record import records
from stedi_assets.lakehouse import lookups
from stedi_assets.lakehouse.commit import Commit
from stedi_assets.lakehouse.delta import TableState
from stedi_assets.lakehouse.lakehouse import Lakehouse
from stedi_assets.tables import TABLES, Table, Zone
from stedi_assets.tables.columns import Column
from stedi_assets.tables.consent import person
from stedi_assets.tables.hashes import HASH, row_hash
from stedi_assets.tables.schema import Person

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

WITHDRAWAL, ERASURE, REPLACED_FILE = "withdrawal", "erasure", "replaced_file"


def explained(
    lakehouse: Lakehouse,
    table: Table,
    lost: DataFrame,
    last: TableState,
    commit: Commit,
) -> dict[str, int]:
    """Reason to the rows that are lost by it.

    With the same code and options a row whose records are still in landing is lost because its
    person no longer agrees. Others are explained as far as records left landing for a reason.
    """
    found = dict.fromkeys((WITHDRAWAL, ERASURE, REPLACED_FILE), 0)
    remaining = lost
    for landing, known in _origins(lakehouse, table, lost):
        columns = [name for name in known.columns if name in lost.columns]
        there = lakehouse.spark.cached(lost.join(known.select(*columns), columns, "left_semi"))
        rows, records = _counted(lost.join(there, columns, "left_anti"), columns)
        for reason, gone in _gone_from(lakehouse, landing, last, commit).items():
            # A record may have many rows, and as many records may have come as are gone.
            found[reason] += rows if records <= gone else rows * gone // records
        remaining = remaining.join(there, columns, "left_semi")
    found[WITHDRAWAL], _ = _counted(remaining, [])
    return found


def compared_columns(table: Table) -> list[str]:
    """By what rows are compared: of people by the key, since a newer record changes the rest.

    Not by a column that is derived: a person who joins another group takes their rows along.
    """
    if _is_of_people(table):
        return list(table.key)
    return [name for name in table.column_names if name not in table.derived]


def _is_of_people(table: Table) -> bool:
    """Whether a row stands for a person by their latest record, rather than for a record."""
    return any(
        _origin(table, column)[0].superseded_count for column in table.key or table.column_names[:1]
    )


def _origin(table: Table, column: str) -> tuple[Table, str]:
    """The landing table that a column's values come from, and their column there."""
    if table.zone is Zone.LANDING:
        return table, column
    parents = (TABLES[name] for name in table.parents)
    return _origin(next(each for each in parents if column in each.column_names), column)


def lost_rows(
    lakehouse: Lakehouse, last: DataFrame, frame: DataFrame, columns: list[str]
) -> DataFrame:
    """The rows of the last version that the new one lacks, by some columns, `_rows` of each.

    They are looked for by a hash, which takes less memory than the columns. Null text counts as "".
    """
    from pyspark.sql import functions as F

    # A person may have no device, and joins find no null.
    texts = [name for name, kind in last.select(*columns).dtypes if kind == "string"]

    def hashed(rows: DataFrame) -> DataFrame:
        known = rows.select(*columns)
        known = known.fillna("", texts) if texts else known
        return known.withColumn(HASH, row_hash(known, columns))

    before = hashed(last)
    each = before.select(HASH, F.lit(1).alias("_rows")).union(
        hashed(frame).select(HASH, F.lit(-1).alias("_rows"))
    )
    lost = each.groupBy(HASH).agg(F.sum("_rows").alias("_rows")).where("_rows > 0")
    # The embedded engine plans the join well once it knows that they are few.
    few = lakehouse.spark.cached(lost)
    return lakehouse.spark.cached(few.join(before, HASH).select(*columns, "_rows").distinct())


def _origins(lakehouse: Lakehouse, table: Table, lost: DataFrame) -> list[tuple[Table, DataFrame]]:
    """The landing tables of a table's rows, each with the columns by which a row is found in it.

    Of readings those of the times of lost rows are enough.
    """
    from pyspark.sql import functions as F

    columns = compared_columns(table)
    found: dict[str, dict[str, str]] = {}
    for column in columns:
        landing, name = _origin(table, column)
        found.setdefault(landing.name, {})[column] = name
    if _is_of_people(table):
        # A person's row goes with the last row that refers to them.
        for column, (target, name) in table.references.items():
            landing, origin = _origin(TABLES[target], name)
            found.setdefault(landing.name, {})[column] = origin
    origins = []
    for landed, names in found.items():
        landing = TABLES[landed]
        people = {s.column for s in landing.subjects if isinstance(s, Person)}
        optional = [n for n in names if not _column(landing, names[n]).required]
        values = {n: person(o) if o in people else F.col(o) for n, o in names.items()}
        time = next((n for n, o in names.items() if o == landing.time_column), None)
        if time is None:
            rows = lookups.values(lakehouse, landing, list(names.values()))
        else:
            # The embedded engine holds the left side.
            times = lost.select(F.col(time).alias("_time")).distinct()
            every = lakehouse.scan(landing)
            rows = times.join(every, times["_time"] == every[names[time]])
        rows = rows.select(*[v.alias(name) for name, v in values.items()])
        if optional:
            # Someone may have none, beside those that their records name.
            none = rows.withColumns({name: F.lit(None).cast("string") for name in optional})
            rows = rows.union(none).fillna("", optional)
        origins.append((landing, rows))
    return origins


def _column(table: Table, name: str) -> Column:
    return next(column for column in table.columns if column.name == name)


def _counted(lost: DataFrame, columns: list[str]) -> tuple[int, int]:
    """How many rows are lost, and of how many records."""
    from pyspark.sql import functions as F

    each = lost.groupBy(*columns).agg(F.sum("_rows").alias("_rows")) if columns else lost
    rows, records = F.coalesce(F.sum("_rows"), F.lit(0)), F.count(F.lit(1))
    [found] = each.agg(rows.alias("rows"), records.alias("records")).collect()
    return found.rows, found.records


def _gone_from(
    lakehouse: Lakehouse, landing: Table, last: TableState, commit: Commit
) -> dict[str, int]:
    """Reason to the records that a landing table has fewer by it than the last version saw."""
    before = last.commit.landing.get(landing.name)
    now = commit.landing.get(landing.name)
    made = last.commit.as_of
    if not before or not now or made is None:
        return {}
    fewer = max(0, before.records - now.records)
    erased = min(fewer, _lines_erased(lakehouse, landing, made)) if fewer else 0
    replaced = before.superseded != now.superseded
    return {ERASURE: erased, REPLACED_FILE: fewer - erased if replaced else 0}


def _lines_erased(lakehouse: Lakehouse, landing: Table, since: int) -> int:
    """The lines that erasures took out of a landing table since a time (epoch milliseconds)."""
    return sum(
        record["landing_lines"].get(landing.name, 0)
        for record in records(lakehouse.uri)
        if record["began"] >= since
    )
