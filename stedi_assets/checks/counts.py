"""How many rows each table must have, counted anew from its parents another way than it is made.

Each function returns one row with the column `expected`. A join that multiplies rows cannot do so
here in the same manner, so the check catches it.
"""

from pyspark.sql import Column as Expression
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from stedi_assets.assets.curated import MachineLearningConfig

COUNTS = "counts"
TWO_PEOPLE = "pairs_of_two_people"
BEFORE_CONSENT = "readings_before_consent"
COUNTED_ALONG = (TWO_PEOPLE, BEFORE_CONSENT)

DESCRIPTIONS = {
    COUNTS: (
        "As many rows as an independent recount of its parents gives, and as the manifest "
        "records where it tells of the same files."
    ),
    TWO_PEOPLE: (
        "Rows that pair one person's phone with another's device, because both moved in the same "
        "millisecond. The option match_device leaves them out."
    ),
    BEFORE_CONSENT: (
        "Rows recorded before the person consented. The option after_consent_only leaves them out."
    ),
}


def customer_trusted(customer_landing: DataFrame) -> DataFrame:
    """Landing less the records without consent."""
    without = F.count_if(F.coalesce("shareWithResearchAsOfDate", F.lit(0)) == 0)
    return customer_landing.agg((F.count(F.lit(1)) - without).alias("expected"))


def accelerometer_trusted(
    accelerometer_landing: DataFrame, customer_trusted: DataFrame
) -> DataFrame:
    """The landing readings of each trusted customer, summed."""
    people = customer_trusted.select("email").distinct()
    return (
        _readings(accelerometer_landing, "user")
        .join(people, F.col("user") == F.col("email"))
        .agg(_total("readings").alias("expected"))
    )


def customer_curated(customer_trusted: DataFrame, accelerometer_trusted: DataFrame) -> DataFrame:
    """The different trusted records of the people who have readings."""
    people = accelerometer_trusted.select(F.col("user").alias("email")).distinct()
    return (
        customer_trusted.distinct().join(people, "email").agg(F.count(F.lit(1)).alias("expected"))
    )


def step_trainer_trusted(step_trainer_landing: DataFrame, customer_curated: DataFrame) -> DataFrame:
    """The landing readings of each curated customer's device, summed."""
    devices = customer_curated.select("serialNumber").distinct()
    return (
        _readings(step_trainer_landing, "serialNumber")
        .join(devices, "serialNumber")
        .agg(_total("readings").alias("expected"))
    )


def machine_learning_curated(
    step_trainer_trusted: DataFrame,
    accelerometer_trusted: DataFrame,
    customer_curated: DataFrame,
    options: MachineLearningConfig,
) -> DataFrame:
    """For each millisecond the product of both sides' counts, summed.

    Besides `expected` the row has, of those, `pairs_of_two_people` whose device is not registered
    to the phone's owner, and `readings_before_consent` that are not later than the owner's consent.
    """
    devices = _readings(step_trainer_trusted, "sensorReadingTime", "serialNumber").alias("device")
    phones = _readings(accelerometer_trusted, "timestamp", "user").alias("phone")
    owners = customer_curated.select(
        "email",
        F.col("serialNumber").alias("owned"),
        F.col("shareWithResearchAsOfDate").alias("consented"),
    ).distinct()
    matches = F.col("owned") == F.col("serialNumber")
    after = F.col("consented") < F.col("timestamp")
    permitted = (matches | ~F.lit(options.match_device)) & (
        after | ~F.lit(options.after_consent_only)
    )
    pairs = (
        devices.join(phones, F.col("sensorReadingTime") == F.col("timestamp"))
        .join(owners, F.col("user") == F.col("email"))
        .groupBy("serialNumber", "user", "timestamp")
        .agg(
            F.max(F.col("device.readings") * F.col("phone.readings")).alias("rows"),
            F.bool_or(permitted).alias("permitted"),
            F.bool_or(matches).alias("matches"),
            F.bool_or(after).alias("after"),
        )
        .where("permitted")
    )
    return pairs.agg(
        _total("rows").alias("expected"),
        _total(F.when(~F.col("matches"), F.col("rows"))).alias(TWO_PEOPLE),
        _total(F.when(~F.col("after"), F.col("rows"))).alias(BEFORE_CONSENT),
    )


def _readings(readings: DataFrame, *by: str) -> DataFrame:
    # Not count: the embedded engine fails to plan it where a table has one value of `by` only.
    return readings.groupBy(*by).agg(F.sum(F.lit(1)).alias("readings"))


def _total(rows: Expression | str) -> Expression:
    return F.coalesce(F.sum(rows), F.lit(0))
