"""What is in records that were read, batch by batch."""

from __future__ import annotations

import functools
import operator
from collections.abc import Sequence
from typing import TYPE_CHECKING

from stedi_assets.lakehouse.taken import Found
from stedi_assets.landing.folder import GROUPS
from stedi_assets.tables import Table, plausible
from stedi_assets.tables.columns import BATCH

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def found_in(table: Table, stored: DataFrame, numbers: Sequence[int]) -> dict[int, Found]:
    """Counts the records of batches, and finds their times, in one query.

    Args:
        table: The landing table.
        stored: All records of it, each with the number of its batch.
        numbers: Those of the batches.
    """
    from pyspark.sql import functions as F

    faults = {column.name: plausible.implausible(column) for column in table.columns}
    any_fault = functools.reduce(operator.or_, faults.values())
    figures = [F.count_if(fault).alias(name) for name, fault in faults.items()]
    if time := table.time_column:
        figures += [F.min(time).alias("_first"), F.max(time).alias("_last")]
    if len(numbers) < GROUPS:
        stored = stored.where(F.col(BATCH).isin(*numbers))
    counted = stored.groupBy(BATCH).agg(
        F.count(F.lit(1)).alias("_records"), F.count_if(any_fault).alias("_any"), *figures
    )
    none = Found(records=0, times=None, implausible=0, implausible_values={})
    return dict.fromkeys(numbers, none) | {
        row[BATCH]: Found(
            records=row["_records"],
            times=(row["_first"], row["_last"]) if time else None,
            implausible=row["_any"],
            implausible_values={name: row[name] for name in faults if row[name]},
        )
        for row in counted.collect()
        if row[BATCH] in numbers
    }
