"""The eight tables by Polars with this project's duty: a rival to measure against.

It copies, hashes and judges the files, quarantines what is malformed, takes each person's latest
word, removes duplicates, and writes Delta through delta-rs.

Usage: python -m benchmarks.polars_duty SOURCE_DATA OUTPUT
"""

from __future__ import annotations

import sys
import time

import polars as pl
from deltalake import write_deltalake

from benchmarks import duty
from benchmarks.polars_lazy import LANDING

LATEST = 2**63 - 1


def main(source: str, output: str) -> None:
    """Writes each table as Delta, streaming, and reads it from there."""

    def land(name: str) -> pl.LazyFrame:
        landed = duty.land(source, output, name)
        write_deltalake(f"{output}/{name}/quarantine", landed.quarantine)
        read = pl.scan_ndjson(landed.files, schema=LANDING[name])
        if name == "accelerometer":
            read = read.with_columns(pl.col("x", "y", "z") + 0.0)  # no -0.0
        parsed = pl.from_arrow(landed.table)
        assert isinstance(parsed, pl.DataFrame)
        return keep(pl.concat([read, parsed.lazy()]), f"{name}/records")

    def keep(frame: pl.LazyFrame, table: str) -> pl.LazyFrame:
        frame.sink_delta(f"{output}/{table}")
        return pl.scan_delta(f"{output}/{table}")

    customer, accelerometer, step_trainer = map(land, LANDING)
    trusted = keep(consenting(customer, int(time.time() * 1000)), "customer/trusted")
    phones = keep(
        accelerometer.with_columns(person("user"))
        .join(trusted, left_on="user", right_on="email", how="semi")
        .unique(),
        "accelerometer/trusted",
    )
    curated = keep(
        trusted.join(phones, left_on="email", right_on="user", how="semi").unique(),
        "customer/curated",
    )
    devices = keep(
        step_trainer.join(curated, on="serialNumber", how="semi").unique(), "step_trainer/trusted"
    )
    pairs = devices.join(phones, left_on="sensorReadingTime", right_on="timestamp", coalesce=False)
    keep(
        pairs.join(curated, left_on="user", right_on="email", how="semi").drop("user"),
        "machine_learning/curated",
    )


def person(email: str) -> pl.Expr:
    """Who an e-mail address names; a blank one names no one, and is null."""
    address = pl.col(email).str.strip_chars(duty.INVISIBLE).str.to_lowercase()
    return pl.when(address != "").then(address).alias(email)


def consenting(customer: pl.LazyFrame, now: int) -> pl.LazyFrame:
    """The people whose latest record agrees to research, once for each device."""
    consent, date = pl.col("shareWithResearchAsOfDate"), pl.col("lastUpdateDate").fill_null(0)
    dated = (date == 0) | date.is_between(duty.YEAR_2000, now)
    odd = (date < duty.YEAR_2000) & (date != 0)
    records = customer.with_columns(person("email")).filter(pl.col("email").is_not_null())
    columns = [each.name for each in duty.SOURCES["customer"]]
    latest = (
        records.with_columns(
            (consent.is_between(duty.YEAR_2000, now) & dated).fill_null(False).alias("_agrees"),
            pl.when(odd).then(LATEST).otherwise(date).alias("_written"),
            consent.alias("_consent"),
        )
        .sort(
            ["_written", "_agrees", "_consent", *columns],
            descending=[True, False, True, *[False] * len(columns)],
            nulls_last=True,
        )
        .unique("email", keep="first", maintain_order=True)
    )
    known = pl.col("serialNumber").str.strip_chars(duty.INVISIBLE) != ""
    devices = records.filter(known).select("email", "serialNumber").unique()
    people = latest.filter("_agrees").drop("serialNumber")
    return people.join(devices, on="email", how="left").select(columns)


if __name__ == "__main__":
    main(*sys.argv[1:])
