"""Who agreed to research, taken from landing itself, whatever the tables between may say."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

CONSENT = "consent"
SHARED_DEVICES = "devices_shared_without_consent"

DESCRIPTIONS = {
    CONSENT: (
        "No row belongs to a person without consent to research, judged by the customer records "
        "that landed rather than by the tables this one was made from."
    ),
    SHARED_DEVICES: (
        "Readings of a device that is also registered to a person without consent; it cannot be "
        "told whose they are."
    ),
}


def consenting(customer_landing: DataFrame) -> DataFrame:
    """The customer records that carry consent: shareWithResearchAsOfDate there and not 0."""
    return customer_landing.where(F.col("shareWithResearchAsOfDate") != 0)


def not_consenting(customer_landing: DataFrame) -> DataFrame:
    """The customer records that carry none."""
    return customer_landing.where(F.coalesce("shareWithResearchAsOfDate", F.lit(0)) == 0)


def readings_with_consent(
    accelerometer_landing: DataFrame, customer_landing: DataFrame
) -> DataFrame:
    """The phone readings, without their user, of people who agreed."""
    people = consenting(customer_landing)
    return accelerometer_landing.join(
        people, accelerometer_landing.user == people.email, "left_semi"
    ).select("timestamp", "x", "y", "z")
