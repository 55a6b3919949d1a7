"""Groups of people who are connected by devices that they share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.errors import AnalysisException
from pyspark.sql import functions as F

from stedi_assets.tables.checkpoints import checkpointed

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

FIRST = "firstOfGroup"


def with_first_of_group(owners: DataFrame) -> DataFrame:
    """Adds to each person the smallest address among all who share devices with them.

    People who share a device are of one group, and so are those who share one with either of them.
    In each round people take the smallest address that those beside them know, and then what its
    own person knows, so that a chain of people takes few rounds. Only those who share a device take
    part, and nothing is collected but whether there is another round.

    Args:
        owners: `email` and `serialNumber`, which no two rows share, and other columns.

    Returns:
        Its columns and `firstOfGroup`. Each round runs a query.
    """
    owned = owners.select("email", "serialNumber")
    people = owned.groupBy("serialNumber").agg(F.count(F.lit(1)).alias("_people"))
    shared = people.where("_people > 1").select("serialNumber")
    links = _cut(shared.join(owned, "serialNumber"))
    known = links.select("email", F.col("email").alias(FIRST)).distinct()
    while links.limit(1).count():
        beside = known.join(links, "email").groupBy("serialNumber").agg(F.min(FIRST).alias(FIRST))
        nearer = beside.join(links, "serialNumber").groupBy("email").agg(F.min(FIRST).alias(FIRST))
        nearer = _cut(nearer)
        its = nearer.toDF("_first", "_its")
        next_known = its.join(nearer, F.col("_first") == F.col(FIRST)).select(
            "email", F.col("_its").alias(FIRST)
        )
        next_known = _cut(next_known)
        before = known.toDF("email", "_before")
        if not before.join(next_known, "email").where(f"_before <> {FIRST}").limit(1).count():
            break
        known = next_known
    alone = F.coalesce(FIRST, "email").alias(FIRST)
    return known.join(owners, "email", "right").select(*owners.columns, alone)


def _cut(frame: DataFrame) -> DataFrame:
    """The frame, with a plan that is a scan where the engine has a disk for its rows."""
    try:
        return checkpointed(frame)
    except AnalysisException:
        return frame.cache()  # a Sail server has none, if no one has given it a place
