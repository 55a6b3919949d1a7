"""The eight tables by Polars: a rival to measure against.

Usage: python benchmarks/polars_lazy.py SOURCE_DATA OUTPUT
"""

from __future__ import annotations

import sys
from pathlib import Path

import polars as pl

LANDING = {
    "customer": {
        "customerName": pl.String,
        "email": pl.String,
        "phone": pl.String,
        "birthDay": pl.String,
        "serialNumber": pl.String,
        "registrationDate": pl.Int64,
        "lastUpdateDate": pl.Int64,
        "shareWithResearchAsOfDate": pl.Int64,
        "shareWithPublicAsOfDate": pl.Int64,
        "shareWithFriendsAsOfDate": pl.Int64,
    },
    "accelerometer": {
        "user": pl.String,
        "timestamp": pl.Int64,
        "x": pl.Float64,
        "y": pl.Float64,
        "z": pl.Float64,
    },
    "step_trainer": {
        "sensorReadingTime": pl.Int64,
        "serialNumber": pl.String,
        "distanceFromObject": pl.Int32,
    },
}


def main(source: str, output: str) -> None:
    """Writes each table as Parquet, streaming, and reads it from there."""

    def land(name: str) -> pl.LazyFrame:
        files = f"{source}/{name}/landing/*.json"
        return keep(pl.scan_ndjson(files, schema=LANDING[name]), f"{name}/landing")

    def keep(frame: pl.LazyFrame, table: str) -> pl.LazyFrame:
        file = Path(output, table, "rows.parquet")
        frame.sink_parquet(file, mkdir=True, maintain_order=False)
        return pl.scan_parquet(file)

    customer, accelerometer, step_trainer = map(land, LANDING)
    trusted = keep(customer.filter(pl.col("shareWithResearchAsOfDate") != 0), "customer/trusted")
    phones = keep(
        accelerometer.join(trusted, left_on="user", right_on="email", how="semi"),
        "accelerometer/trusted",
    )
    curated = keep(
        trusted.join(phones, left_on="email", right_on="user", how="semi").unique(),
        "customer/curated",
    )
    devices = keep(
        step_trainer.join(curated, on="serialNumber", how="semi"), "step_trainer/trusted"
    )
    pairs = devices.join(phones, left_on="sensorReadingTime", right_on="timestamp", coalesce=False)
    keep(
        pairs.join(curated, left_on="user", right_on="email", how="semi").drop("user"),
        "machine_learning/curated",
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
