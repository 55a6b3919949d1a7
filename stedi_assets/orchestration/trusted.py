"""The trusted zone: rows of people who agreed to share their data for research."""

from pyspark.sql import DataFrame

from stedi_assets import tables
from stedi_assets.orchestration.clock import Clock
from stedi_assets.orchestration.table_assets import table_asset
from stedi_assets.tables import consent


@table_asset(tables.CUSTOMER_TRUSTED)
def customer_trusted(customer_landing: DataFrame, clock: Clock) -> DataFrame:
    """Keeps the people whose latest record consents to research, once for each device they have.

    Their e-mail addresses are trimmed and in lower case from here on.
    """
    return consent.consenting_customers(customer_landing, clock.now)


@table_asset(tables.ACCELEROMETER_TRUSTED)
def accelerometer_trusted(
    accelerometer_landing: DataFrame, customer_trusted: DataFrame
) -> DataFrame:
    """Keeps the readings whose user is the e-mail of a trusted customer, each once."""
    readings = accelerometer_landing.withColumn("user", consent.person("user"))
    return readings.join(
        customer_trusted, readings.user == customer_trusted.email, "left_semi"
    ).distinct()


@table_asset(tables.STEP_TRAINER_TRUSTED)
def step_trainer_trusted(step_trainer_landing: DataFrame, customer_curated: DataFrame) -> DataFrame:
    """Keeps the readings of devices that belong to a curated customer, each once."""
    same_device = step_trainer_landing.serialNumber == customer_curated.serialNumber
    return step_trainer_landing.join(customer_curated, same_device, "left_semi").distinct()
