"""Who agrees to research, taken from landing itself, whatever the tables between may say."""

import time

from pyspark.sql import DataFrame

from stedi_assets.tables.consent import (
    AGREES,
    consenting_customers,
    devices,
    last_words,
    person,
    that_count,
)

CONSENT = "consent"
SHARED_DEVICES = "devices_shared_without_consent"

DESCRIPTIONS = {
    CONSENT: (
        "No row belongs to a person without consent to research, judged by the customer records "
        "that landed rather than by the tables this one was made from."
    ),
    SHARED_DEVICES: (
        "No reading is of a device that is also registered to a person without consent."
    ),
}
FAULTS = {
    CONSENT: "belong to no person who consents to research, by the customer records that landed.",
    SHARED_DEVICES: (
        "are of a device that is also registered to a person without consent; it cannot be told "
        "whose they are. The option match_device of machine_learning_curated keeps only those that "
        "go with the phone of an owner who agrees."
    ),
}


def consenting(customer_landing: DataFrame) -> DataFrame:
    """The people whose latest record gives consent by now, once for each device."""
    return consenting_customers(customer_landing, _now())


def not_consenting(customer_landing: DataFrame) -> DataFrame:
    """The `email` and `serialNumber` of each device of the others."""
    records = that_count(customer_landing, _now())
    others = last_words(records, _now()).where(f"not {AGREES}")
    return devices(records).join(others, "email", "left_semi")


def readings_with_consent(
    accelerometer_landing: DataFrame, customer_landing: DataFrame
) -> DataFrame:
    """The phone readings, without their user, of people who agree."""
    readings = accelerometer_landing.withColumn("user", person("user"))
    people = consenting(customer_landing)
    return readings.join(people, readings.user == people.email, "left_semi").select(
        "timestamp", "x", "y", "z"
    )


def _now() -> int:
    # Who agreed when a table was made agrees later too, unless a newer record says otherwise.
    return time.time_ns() // 1_000_000
