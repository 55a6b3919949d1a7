"""The trusted zone: rows of people who agreed to share their data for research."""

from pyspark.sql import DataFrame

from stedi_assets import tables
from stedi_assets.assets.declared import table_asset


@table_asset(tables.CUSTOMER_TRUSTED)
def customer_trusted(customer_landing: DataFrame) -> DataFrame:
    """Keeps the customers whose consent to research is there and not 0."""
    return customer_landing.where(customer_landing.shareWithResearchAsOfDate != 0)


@table_asset(tables.ACCELEROMETER_TRUSTED)
def accelerometer_trusted(
    accelerometer_landing: DataFrame, customer_trusted: DataFrame
) -> DataFrame:
    """Keeps the readings whose user is the e-mail of a trusted customer."""
    return accelerometer_landing.join(
        customer_trusted, accelerometer_landing.user == customer_trusted.email, "left_semi"
    )


@table_asset(tables.STEP_TRAINER_TRUSTED)
def step_trainer_trusted(step_trainer_landing: DataFrame, customer_curated: DataFrame) -> DataFrame:
    """Keeps the readings of devices that belong to a curated customer."""
    same_device = step_trainer_landing.serialNumber == customer_curated.serialNumber
    return step_trainer_landing.join(customer_curated, same_device, "left_semi")
