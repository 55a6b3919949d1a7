"""How many rows each table must have, counted anew from its parents another way than it is made.

Each function returns one row with the column `expected`, what it finds along the way for checks
of their own (`COUNTED_ALONG`), and figures that tell where the other rows are. A join that
multiplies rows cannot do so here in the same manner, so the check catches it.
"""

import functools
import operator

from pyspark.sql import Column as Expression
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from stedi_assets import tables
from stedi_assets.tables import REPLACED, SUPERSEDED, consent
from stedi_assets.tables.policy import Options

COUNTS = "counts"
TWO_PEOPLE = "pairs_of_two_people"
BEFORE_CONSENT = "readings_before_consent"
IMPOSSIBLE_CONSENT = "impossible_consent"
NEAR_DUPLICATES = "near_duplicate_people"
COUNTED_ALONG = (TWO_PEOPLE, BEFORE_CONSENT, IMPOSSIBLE_CONSENT, NEAR_DUPLICATES)

DESCRIPTIONS = {
    COUNTS: ("As many rows as an independent recount of its parents gives."),
    TWO_PEOPLE: "No row pairs one person's phone with another's device.",
    BEFORE_CONSENT: "No row was recorded before its person consented.",
    IMPOSSIBLE_CONSENT: (
        "No one's latest record dates their consent, or itself, at a time that cannot be: before "
        "2000 or later than now."
    ),
    NEAR_DUPLICATES: (
        "No one's e-mail address looks like another person's: equal after NFKC and full case "
        "folding, without characters that are not seen."
    ),
}
FAULTS = {
    TWO_PEOPLE: (
        "pair one person's phone with another's device, because both moved in the same "
        "millisecond. The option match_device leaves them out."
    ),
    BEFORE_CONSENT: (
        "were recorded before the person consented. The option after_consent_only leaves them out."
    ),
    IMPOSSIBLE_CONSENT: (
        "have a latest record that dates their consent, or itself, before 2000 or later than now. "
        "It does not count as consent."
    ),
    NEAR_DUPLICATES: (
        "have an e-mail address that looks like another person's. If they are one person, a "
        "withdrawal under one address does not reach the other: correct the address at its source."
    ),
}


def customer_trusted(customer_landing: DataFrame, as_of: int) -> DataFrame:
    """Each person's devices, if all of their records of the latest date give consent.

    Besides `expected` the row has `impossible_consent`; `people`, who landed, `people_agreeing`
    of them, and the `records` that they are told by.

    Args:
        customer_landing: The customer records.
        as_of: When the table was made (epoch milliseconds, UTC).
    """
    replaced = SUPERSEDED in customer_landing.columns
    known = (
        customer_landing
        if replaced
        else customer_landing.withColumns({SUPERSEDED: F.lit(False), REPLACED: F.lit(-1)})
    )
    records = known.select(
        consent.person("email").alias("email"),
        consent.device("serialNumber").alias("serialNumber"),
        consent.written().alias("written"),
        consent.agrees(as_of).alias("agrees"),
        consent.impossible(as_of).alias("odd"),
        F.col(SUPERSEDED).alias("superseded"),
        F.coalesce(REPLACED, F.lit(-1)).alias("file"),
    ).where("email is not null")
    if replaced:
        each = records.groupBy("email", "file").agg(F.bool_and("superseded").alias("uncorrected"))
        records = records.join(each, ["email", "file"]).where(
            "uncorrected or not (superseded and odd)"
        )
    # By the date all records of one date are told apart from older ones, without ranking any.
    dated = records.groupBy("email", "written").agg(
        F.bool_and("agrees").alias("agrees"),
        F.bool_or("odd").alias("impossible"),
        F.sum(F.lit(1)).alias("records"),
    )
    people = dated.groupBy("email").agg(
        F.max_by("agrees", "written").alias("agrees"),
        F.max_by("impossible", "written").alias("impossible"),
        F.sum("records").alias("records"),
    )
    owned = records.where("serialNumber is not null").groupBy("email")
    counted = owned.agg(F.count_distinct("serialNumber").alias("devices"))
    return people.join(counted, "email", "left").agg(
        _total(F.when(F.col("agrees"), F.coalesce("devices", F.lit(1)))).alias("expected"),
        F.count_if("impossible").alias(IMPOSSIBLE_CONSENT),
        F.count(F.lit(1)).alias("people"),
        F.count_if("agrees").alias("people_agreeing"),
        _total("records").alias("records"),
    )


def accelerometer_trusted(
    accelerometer_landing: DataFrame, customer_trusted: DataFrame
) -> DataFrame:
    """The different landing readings of each trusted customer, and how often others repeat them."""
    people = customer_trusted.select("email").distinct()
    readings = accelerometer_landing.withColumn("user", consent.person("user"))
    theirs = people.join(readings, F.col("email") == F.col("user"))
    return _readings(theirs, *tables.ACCELEROMETER_TRUSTED.column_names).agg(*_different())


def customer_curated(customer_trusted: DataFrame, accelerometer_trusted: DataFrame) -> DataFrame:
    """The different trusted records of the people who have readings."""
    people = accelerometer_trusted.select(F.col("user").alias("email")).distinct()
    return (
        customer_trusted.distinct().join(people, "email").agg(F.count(F.lit(1)).alias("expected"))
    )


def step_trainer_trusted(step_trainer_landing: DataFrame, customer_curated: DataFrame) -> DataFrame:
    """The different landing readings of curated customers' devices, and how often others repeat."""
    devices = customer_curated.select("serialNumber").distinct()
    theirs = devices.join(step_trainer_landing, "serialNumber")
    return _readings(theirs, *tables.STEP_TRAINER_TRUSTED.column_names).agg(*_different())


def machine_learning_curated(
    step_trainer_trusted: DataFrame,
    accelerometer_trusted: DataFrame,
    customer_curated: DataFrame,
    options: Options,
) -> DataFrame:
    """For each reading of a device the phone readings of its millisecond, summed.

    Besides `expected` the row has, of those, `pairs_of_two_people` whose device is not registered
    to the phone's owner, and `readings_before_consent` that are not later than the owner's consent;
    and how well a person is hidden among the others: `people`, and the `fewest_rows_of_a_person`.
    """
    phones = _readings(accelerometer_trusted, "timestamp", "user")
    owners = customer_curated.select(
        F.col("email").alias("owner"),
        F.col("serialNumber").alias("owned"),
        F.col("shareWithResearchAsOfDate").alias("consented"),
    )
    # Joined by what tells their rows apart, so that whoever has two devices counts once.
    people = owners.groupBy("owner").agg(F.min("consented").alias("consented"))
    owned = owners.groupBy(F.col("owner").alias("its_owner"), "owned").agg(
        F.min("consented").alias("consented_with_it")
    )
    consented = "consented_with_it" if options.match_device else "consented"
    permitted = [F.col("matches")] if options.match_device else []
    permitted += [F.col(consented) < F.col("timestamp")] if options.after_consent_only else []
    # The embedded engine holds the left side of a join: each time the smaller.
    moved = people.join(phones, F.col("owner") == F.col("user"))
    devices = step_trainer_trusted.select("sensorReadingTime", "serialNumber")
    beside = devices.join(moved, F.col("sensorReadingTime") == F.col("timestamp"))
    theirs = (F.col("its_owner") == F.col("user")) & (F.col("owned") == F.col("serialNumber"))
    pairs = (
        owned.join(beside, theirs, "right")
        .select(
            "user",
            "timestamp",
            "consented",
            "consented_with_it",
            # Whoever owns no device moved beside another's.
            F.col("owned").isNotNull().alias("matches"),
            F.col("readings").alias("rows"),
        )
        .where(functools.reduce(operator.and_, permitted, F.lit(True)))
    )
    each = pairs.groupBy("user").agg(
        F.sum("rows").alias("rows"),
        F.sum(F.when(~F.col("matches"), F.col("rows"))).alias(TWO_PEOPLE),
        F.sum(F.when(F.col("consented") >= F.col("timestamp"), F.col("rows"))).alias(
            BEFORE_CONSENT
        ),
    )
    return each.agg(
        _total("rows").alias("expected"),
        *[_total(name).alias(name) for name in (TWO_PEOPLE, BEFORE_CONSENT)],
        F.count(F.lit(1)).alias("people"),
        F.coalesce(F.min("rows"), F.lit(0)).alias("fewest_rows_of_a_person"),
    )


def _readings(readings: DataFrame, *by: str) -> DataFrame:
    # Not count: the embedded engine fails to plan it where a table has one value of `by` only.
    return readings.groupBy(*by).agg(F.sum(F.lit(1)).alias("readings"))


def _different() -> tuple[Expression, Expression]:
    rows = F.count(F.lit(1))
    return rows.alias("expected"), (_total("readings") - rows).alias("repeated")


def _total(rows: Expression | str) -> Expression:
    return F.coalesce(F.sum(rows), F.lit(0))
