"""The curated zone: what analysts and models work with."""

from dagster import ResourceParam
from pydantic import Field
from pyspark.sql import DataFrame

from stedi_assets import tables
from stedi_assets.orchestration.table_assets import TableConfig, table_asset
from stedi_assets.pseudonyms import Pseudonyms


class MachineLearningConfig(TableConfig):
    """Which of the paired readings may train a model; the privacy policy gives the defaults."""

    after_consent_only: bool = Field(
        default=False,
        description=(
            "Keep only readings that took place after the user granted permission: "
            "shareWithResearchAsOfDate < sensorReadingTime."
        ),
    )
    match_device: bool = Field(
        default=False,
        description=(
            "Keep only readings of a device that is registered to the phone's owner. Without "
            "it, two people's readings of the same millisecond are paired with each other."
        ),
    )
    pseudonymise_devices: bool = Field(
        default=False,
        description=(
            "Replace serialNumber by a pseudonym: its HMAC-SHA256 under the secret "
            "STEDI_PSEUDONYM_KEY. Rows stay the same otherwise."
        ),
    )


@table_asset(tables.CUSTOMER_CURATED)
def customer_curated(customer_trusted: DataFrame, accelerometer_trusted: DataFrame) -> DataFrame:
    """Keeps the trusted customers who have accelerometer readings, each once."""
    return customer_trusted.join(
        accelerometer_trusted, customer_trusted.email == accelerometer_trusted.user, "left_semi"
    ).distinct()


@table_asset(tables.MACHINE_LEARNING_CURATED)
def machine_learning_curated(
    config: MachineLearningConfig,
    step_trainer_trusted: DataFrame,
    accelerometer_trusted: DataFrame,
    customer_curated: DataFrame,
    pseudonyms: ResourceParam[Pseudonyms],
) -> DataFrame:
    """Pairs device and phone readings of the same millisecond, if the user is a curated customer.

    Options, all off unless the privacy policy has them on: `after_consent_only` and `match_device`
    narrow it, `pseudonymise_devices` hides which devices they were.
    """
    device, phone = step_trainer_trusted.alias("device"), accelerometer_trusted.alias("phone")
    paired = device.join(phone, device.sensorReadingTime == phone.timestamp)
    owner = customer_curated
    permitted = paired.user == owner.email
    if config.match_device:
        permitted &= paired.serialNumber == owner.serialNumber
    if config.after_consent_only:
        permitted &= owner.shareWithResearchAsOfDate < paired.sensorReadingTime
    made = paired.join(owner, permitted, "left_semi").select(
        *tables.MACHINE_LEARNING_CURATED.column_names
    )
    return pseudonyms.of(made, "serialNumber") if config.pseudonymise_devices else made
