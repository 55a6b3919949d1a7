"""Measures the least that the engine needs for each step of a first load, by itself.

Usage: python -m benchmarks.floors [SCALE]

No design that makes these tables with this engine can take less for them: nothing is judged twice,
looked up, kept or shown, and each step runs alone.
"""

from __future__ import annotations

import hashlib
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from benchmarks.contenders import PROJECT, WHOLE
from stedi_assets.engine.spark import SparkResource
from stedi_assets.lakehouse.lakehouse import Lakehouse
from stedi_assets.lakehouse.making import made
from stedi_assets.landing import conforming
from stedi_assets.orchestration import after_write
from stedi_assets.pictures import SHOWN_ON
from stedi_assets.policy import NO_OPTION
from stedi_assets.pseudonyms import Pseudonyms
from stedi_assets.sample.files import write_sample
from stedi_assets.sample.spec import SampleSpec
from stedi_assets.split import DEFAULT_SPLIT
from stedi_assets.tables import DELTA_TABLES, LANDING_TABLES, TABLES, records_of
from stedi_assets.tables.hashes import row_hash

WORK = PROJECT / "build/floors"


class Step(NamedTuple):
    """What is measured.

    Attributes:
        name: What it does.
        run: Does it.
    """

    name: str
    run: Callable[[], object]


class Seconds(NamedTuple):
    """What a step took: the least of two runs."""

    wall: float
    cpu: float


def main(scale: str = "1") -> None:
    """Prints what each step takes at a scale."""
    work = WORK / scale
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    try:
        write_sample(work / "source", SampleSpec(scale=int(scale)))
        WHOLE.take(work / "source", work / "lakehouse")
        spark = SparkResource()
        print(f"| step, alone, at scale {scale} | wall, s | processor, s |\n| --- | ---: | ---: |")
        lakehouse = Lakehouse(str(work / "lakehouse"), spark)
        taken = [_printed(step) for step in steps(lakehouse, work)]
        wall, cpu = map(sum, zip(*taken, strict=True))
        print(f"| all of these | {wall:.2f} | {cpu:.2f} |")
        for step in compared(lakehouse):
            _printed(step)
        spark.stop()
    finally:
        shutil.rmtree(work)


def _printed(step: Step) -> Seconds:
    taken = min(measured(step), measured(step))
    print(f"| {step.name} | {taken.wall:.2f} | {taken.cpu:.2f} |", flush=True)
    return taken


def measured(step: Step) -> Seconds:
    """Runs a step once."""
    began = time.perf_counter(), time.process_time()
    step.run()
    return Seconds(time.perf_counter() - began[0], time.process_time() - began[1])


def steps(lakehouse: Lakehouse, work: Path) -> Iterator[Step]:
    """The steps of a first load.

    Args:
        lakehouse: Where all tables have been made.
        work: The folder with the `source`; copies are written into it.
    """
    spark = lakehouse.spark_session

    def copy() -> None:
        shutil.rmtree(work / "copy", ignore_errors=True)
        shutil.copytree(work / "source", work / "copy")
        for file in (work / "copy").rglob("*.json"):
            with file.open("rb") as content:
                hashlib.file_digest(content, "sha256")

    def read(name: str) -> DataFrame:
        return lakehouse.read(TABLES[name])

    def write(rows: DataFrame) -> None:
        shutil.rmtree(work / "written", ignore_errors=True)
        rows.write.format("delta").save(f"file://{work}/written")

    yield Step("copy and hash the files", copy)
    for table in LANDING_TABLES:
        files = [file.uri for file in lakehouse.landing(table).files]
        judged = spark.read.text(files).select(conforming.is_conforming(table).alias("judged"))
        yield Step(f"{table.name}: judge the lines", partial(_consume, judged))
        records = conforming.read_conforming(spark, files, table)
        yield Step("read them as records", partial(_consume, records))
        stored = spark.read.format("delta").load(lakehouse.uri_of(records_of(table)))
        yield Step("write these as Delta", partial(write, stored))
    for table in DELTA_TABLES:
        split = DEFAULT_SPLIT if table.is_split else None
        now = time.time_ns() // 1_000_000
        rows = made(table, read, now, NO_OPTION, Pseudonyms(""), split)
        yield Step(f"{table.name}: its rule", partial(_consume, rows))
        kept = read(table.name)
        yield Step("write it as Delta", partial(write, kept))
        hashed = kept.select(row_hash(kept, table.column_names).alias("hash"))
        yield Step("group its rows by a hash, once", partial(_consume, hashed.distinct()))


def compared(lakehouse: Lakehouse) -> Iterator[Step]:
    """Steps that say what else a first load's time is for.

    Args:
        lakehouse: Where all tables have been made.
    """

    def read() -> None:
        for table in DELTA_TABLES:
            rows = lakehouse.read(table)
            _consume(rows.select(row_hash(rows, table.column_names).alias("hash")))

    def draw() -> None:
        lakehouse.keep_beside(SHOWN_ON, after_write.FIGURES, "")
        after_write.draw(lakehouse, SHOWN_ON)

    yield Step("only to read each derived table, once", read)
    yield Step("the pictures, of counts that are kept", draw)


def _consume(rows: DataFrame) -> None:
    rows.agg(*[F.max(name) for name in rows.columns]).collect()


if __name__ == "__main__":
    main(*sys.argv[1:])
