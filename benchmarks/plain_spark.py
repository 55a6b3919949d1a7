"""The eight tables as a plain PySpark script on a local JVM Spark: the rival to measure against.

Usage: python benchmarks/plain_spark.py SOURCE_DATA OUTPUT
"""

from __future__ import annotations

import sys

from pyspark.sql import DataFrame, SparkSession

CUSTOMER = (
    "customerName string, email string, phone string, birthDay string, serialNumber string, "
    "registrationDate bigint, lastUpdateDate bigint, shareWithResearchAsOfDate bigint, "
    "shareWithPublicAsOfDate bigint, shareWithFriendsAsOfDate bigint"
)
ACCELEROMETER = "user string, timestamp bigint, x double, y double, z double"
STEP_TRAINER = "sensorReadingTime bigint, serialNumber string, distanceFromObject int"


def main(source: str, output: str) -> None:
    """Writes each table as Parquet and reads it from there."""
    spark = (
        SparkSession.builder.master("local[*]")
        .config("spark.driver.memory", "4g")
        .config("spark.ui.enabled", "false")
        .config("spark.sql.shuffle.partitions", "2")
        .getOrCreate()
    )
    spark.sparkContext.setLogLevel("ERROR")

    def land(name: str, schema: str) -> DataFrame:
        frame = spark.read.schema(schema).json(f"{source}/{name}/landing/*.json")
        return keep(frame, f"{name}/landing")

    def keep(frame: DataFrame, table: str) -> DataFrame:
        frame.write.mode("overwrite").parquet(f"{output}/{table}")
        return spark.read.parquet(f"{output}/{table}")

    customer = land("customer", CUSTOMER)
    accelerometer = land("accelerometer", ACCELEROMETER)
    step_trainer = land("step_trainer", STEP_TRAINER)
    trusted = keep(customer.where("shareWithResearchAsOfDate != 0"), "customer/trusted")
    phones = keep(
        accelerometer.join(trusted, accelerometer.user == trusted.email, "left_semi"),
        "accelerometer/trusted",
    )
    curated = keep(
        trusted.join(phones, trusted.email == phones.user, "left_semi").distinct(),
        "customer/curated",
    )
    devices = keep(step_trainer.join(curated, "serialNumber", "left_semi"), "step_trainer/trusted")
    pairs = devices.join(phones, devices.sensorReadingTime == phones.timestamp)
    keep(
        pairs.join(curated, pairs.user == curated.email, "left_semi").drop("user"),
        "machine_learning/curated",
    )
    spark.stop()


if __name__ == "__main__":
    main(*sys.argv[1:])
