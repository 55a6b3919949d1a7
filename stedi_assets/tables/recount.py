"""Who agrees to research and how many rows tables must have, found another way than by the rules.

Checks compare tables with these: aggregates where the rules rank, joins where they only restrict,
consent judged anew. They share only the definitions of a person and a device.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from stedi_assets.tables.buckets import BUCKET, bucket
from stedi_assets.tables.columns import REPLACED, SUPERSEDED, YEAR_2000
from stedi_assets.tables.consent import UNKNOWN, device, person
from stedi_assets.tables.schema import Person, Table

if TYPE_CHECKING:
    from pyspark.sql import Column as Expression
    from pyspark.sql import DataFrame

    from stedi_assets.policy import Options


PERSON, EXPECTED = "person", "expected"
# The columns that a recount by bucket of time and person has besides others.
PERSON_DDL = f"`{BUCKET}` bigint, `{PERSON}` string, `{EXPECTED}` bigint"
PERSON_COLUMNS = BUCKET, PERSON, EXPECTED


def people(customer_landing: DataFrame, as_of: int) -> DataFrame:
    """Everyone who landed.

    Args:
        customer_landing: The customer records.
        as_of: The time by which to judge (epoch milliseconds, UTC).

    Returns:
        `email`; whether the person `agrees`, and ever `agreed`; whether their latest record has an
        `impossible` date; how many `records` count.
    """
    # By the date all records of one date are grouped apart from older ones, without ranking any.
    dated = (
        _records(customer_landing, as_of)
        .groupBy("email", "written")
        .agg(
            F.bool_and("agrees").alias("agrees"),
            F.bool_or("odd").alias("impossible"),
            F.sum(F.lit(1)).alias("records"),
        )
    )
    return dated.groupBy("email").agg(
        _at_last("agrees").alias("agrees"),
        F.bool_or("agrees").alias("agreed"),
        _at_last("impossible").alias("impossible"),
        F.sum("records").alias("records"),
    )


def _at_last(holds: str) -> Expression:
    """Whether something holds of the latest; the engine's `max_by` takes six times as long."""
    latest_of_these = F.max(F.when(F.col(holds), F.col("written")))
    return F.coalesce(latest_of_these == F.max("written"), F.lit(False))


def devices(customer_landing: DataFrame, as_of: int) -> DataFrame:
    """The `email` and `serialNumber` of each device of everyone who landed, as for `people`."""
    owned = _records(customer_landing, as_of).where("serialNumber is not null")
    return owned.groupBy("email", "serialNumber").agg(F.count(F.lit(1)).alias("_records"))


def customers(people: DataFrame, devices: DataFrame) -> DataFrame:
    """The rows of customer_trusted: a row a device of everyone who agrees, one if they have none.

    Args:
        people: Everyone who landed, when the table was made.
        devices: Theirs.

    Returns:
        One row: `expected`; `impossible_consent`; `people`, who landed, and of them
        `people_agreeing` and `people_withdrawn`, who agreed once; the `records` that count.
    """
    counted = devices.groupBy("email").agg(F.count(F.lit(1)).alias("devices"))
    return people.join(counted, "email", "left").agg(
        total(F.when(F.col("agrees"), F.coalesce("devices", F.lit(1)))).alias(EXPECTED),
        F.count_if("impossible").alias("impossible_consent"),
        F.count(F.lit(1)).alias("people"),
        F.count_if("agrees").alias("people_agreeing"),
        F.count_if(F.col("agreed") & ~F.col("agrees")).alias("people_withdrawn"),
        total("records").alias("records"),
    )


def paired(
    step_trainer_trusted: DataFrame,
    accelerometer_trusted: DataFrame,
    customer_curated: DataFrame,
) -> DataFrame:
    """Pairs phone readings with the device readings beside them, for tables of such pairs.

    Returns:
        For each `bucket` of time and each `person`, whose phone it was, how many `rows`; apart by
        whether the device `matches`, so is registered to that person, and whether the readings are
        not later than their consent, `before`, or than that with this device, `before_with_it`.
    """
    owners = customer_curated.select(
        F.col("email").alias("owner"),
        F.col("serialNumber").alias("owned"),
        F.col("shareWithResearchAsOfDate").alias("consented"),
    )
    # Unique by what is joined, so that whoever has two devices counts once.
    people = owners.groupBy("owner").agg(F.min("consented").alias("consented"))
    owned = owners.groupBy(F.col("owner").alias("its_owner"), "owned").agg(
        F.min("consented").alias("consented_with_it")
    )
    phones = accelerometer_trusted.select("timestamp", "user")
    # The embedded engine keeps the left side of a join in memory: each time the smaller.
    moved = people.join(phones, F.col("owner") == F.col("user"))
    devices = step_trainer_trusted.select("sensorReadingTime", "serialNumber")
    beside = devices.join(moved, F.col("sensorReadingTime") == F.col("timestamp"))
    theirs = (F.col("its_owner") == F.col("user")) & (F.col("owned") == F.col("serialNumber"))
    return (
        owned.join(beside, theirs, "right")
        .groupBy(
            bucket("timestamp"),
            F.col("user").alias(PERSON),
            # Whoever owns no device moved beside another's.
            F.col("owned").isNotNull().alias("matches"),
            (F.col("consented") >= F.col("timestamp")).alias("before"),
            (F.col("consented_with_it") >= F.col("timestamp")).alias("before_with_it"),
        )
        # Not count: the embedded engine fails to plan it where a key has one value only.
        .agg(F.sum(F.lit(1)).alias("rows"))
    )


def pairs(paired: DataFrame, options: Options) -> DataFrame:
    """The rows of machine_learning_curated.

    Returns:
        For each `bucket` of time and each `person` in it: `expected`; of those,
        `pairs_of_two_people` whose device is not registered to the phone's owner, and
        `readings_before_consent` that are not later than the owner's consent.
    """
    found = paired
    if options.match_device:
        found = found.where("matches")
    if options.after_consent_only:
        found = found.where("not before_with_it" if options.match_device else "not before")
    return found.groupBy(BUCKET, PERSON).agg(
        total("rows").alias(EXPECTED),
        total(F.when(~F.col("matches"), F.col("rows"))).alias("pairs_of_two_people"),
        total(F.when(F.col("before"), F.col("rows"))).alias("readings_before_consent"),
    )


def own_pairs(paired: DataFrame) -> DataFrame:
    """The rows of training_set: for each `bucket` of time and each `person` in it `expected`."""
    found = paired.where("matches and not before_with_it").groupBy(BUCKET, PERSON)
    return found.agg(total("rows").alias(EXPECTED))


def kept_rows(table: Table, frames: Mapping[str, DataFrame]) -> DataFrame:
    """The rows of a table's first parent that refer to others as the table declares, repeated ones.

    Args:
        table: The table, whose rule keeps these rows once each.
        frames: The rows of its parents, by name.
    """
    rows = frames[table.parents[0]].select(*table.column_names)
    people = [each.column for each in table.subjects if isinstance(each, Person)]
    for column, (target, name) in table.references.items():
        known = frames[target].select(F.col(name).alias(column)).distinct()
        by = column
        if column in people:
            # Each address once: that of a person is on many rows.
            by = "_written"
            written = rows.select(F.col(column).alias(by)).distinct()
            known = written.withColumn(column, person(by)).join(known, column)
            rows = rows.withColumnRenamed(column, by)
        rows = known.join(rows, by).select(*table.column_names)
    return rows


def unique_rows(rows: DataFrame, columns: Sequence[str], time_column: str | None) -> DataFrame:
    """Counts the rows that differ in some columns.

    Returns:
        `expected`, and how often others repeat one of these rows, `repeated`; with a time column
        for each `bucket`.
    """
    by = [bucket(time_column)] if time_column else []
    unique = rows.groupBy(*by, *columns).agg(F.sum(F.lit(1)).alias("times"))
    count = F.count(F.lit(1))
    return unique.groupBy(*([BUCKET] if by else [])).agg(
        count.alias(EXPECTED), (total("times") - count).alias("repeated")
    )


def total(rows: Expression | str) -> Expression:
    """A sum that is 0 where there are no rows."""
    return F.coalesce(F.sum(rows), F.lit(0))


def _records(customer_landing: DataFrame, as_of: int) -> DataFrame:
    """The records that count, each with its person, device and what its dates say."""
    updated, shared = "nullif(lastUpdateDate, 0)", "nullif(shareWithResearchAsOfDate, 0)"
    possible = f"between {YEAR_2000} and {as_of}"
    replaced = SUPERSEDED in customer_landing.columns
    columns: list[Expression | str] = [
        person("email").alias("email"),
        device("serialNumber").alias("serialNumber"),
        F.expr(
            f"case when {updated} is null then 0 when {updated} < {YEAR_2000} then {UNKNOWN} "
            f"else {updated} end"
        ).alias("written"),
        F.expr(f"ifnull({shared} {possible} and ifnull({updated} {possible}, true), false)").alias(
            "agrees"
        ),
        F.expr(
            f"ifnull(not {shared} {possible}, false) or ifnull(not {updated} {possible}, false)"
        ).alias("odd"),
    ]
    if not replaced:
        return customer_landing.select(columns).where("email is not null")
    columns += [SUPERSEDED, F.coalesce(REPLACED, F.lit(-1)).alias("file")]
    records = customer_landing.select(columns).where("email is not null")
    each = records.groupBy("email", "file").agg(F.bool_and(SUPERSEDED).alias("uncorrected"))
    return records.join(each, ["email", "file"]).where(f"uncorrected or not ({SUPERSEDED} and odd)")
