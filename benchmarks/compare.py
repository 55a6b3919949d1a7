"""Measures the project against its rivals, interleaved in one run: `make bench`.

Usage: python benchmarks/compare.py [SOURCE_DATA]
"""

from __future__ import annotations

import itertools
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from stedi_assets.demo import BUCKET, S3Server
from stedi_assets.lakehouse import reader
from stedi_assets.resources.spark import SparkResource
from stedi_assets.tables import ACCELEROMETER_LANDING

PROJECT = Path(__file__).resolve().parent.parent
ROUNDS = 3
READER_COPIES = 30


def main() -> None:
    """Prints medians and ratios."""
    source = Path(sys.argv[1] if len(sys.argv) > 1 else PROJECT / "data").resolve()
    print(
        f"{os.cpu_count()} CPUs, {platform.machine()}, Python {platform.python_version()}, ", end=""
    )
    print(", ".join(f"{name} {version(name)}" for name in ("dagster", "pyspark", "pysail")))
    with tempfile.TemporaryDirectory() as folder:
        compare_commands(source, Path(folder))
        compare_readers(source)
        time_imports()


def compare_commands(source: Path, folder: Path) -> None:
    """The whole command with its checks, on a disk and on an S3 server, and a plain JVM script."""
    environment = {
        **os.environ,
        "STEDI_SOURCE_DATA": str(source),
        "DAGSTER_HOME": str(folder / "dagster"),
    }
    (folder / "dagster").mkdir()
    fresh = itertools.count()
    server = S3Server.new(folder / "s3")
    process = server.start()

    def project() -> None:
        run("-m", "stedi_assets.materialize", STEDI_LAKEHOUSE_URI=f"{folder}/lake{next(fresh)}")

    def on_s3() -> None:
        settings = {**server.environment, "STEDI_LAKEHOUSE_URI": f"s3://{BUCKET}/{next(fresh)}"}
        run("-m", "stedi_assets.materialize", **settings)

    def script() -> None:
        run(str(PROJECT / "benchmarks" / "plain_spark.py"), str(source), str(folder / "script"))

    def run(*arguments: str, **settings: str) -> None:
        command = [sys.executable, *arguments]
        subprocess.run(
            command, env=environment | settings, check=True, capture_output=True, cwd=PROJECT
        )

    contenders = {"project": project, "project on S3": on_s3, "JVM script": script}
    try:
        show("from command to exit", interleave(contenders))
    finally:
        process.kill()


def compare_readers(source: Path) -> None:
    """Reading well-formed landing files, against a reader that trusts every line."""
    table = ACCELEROMETER_LANDING
    spark = SparkResource()
    files = [f"file://{path}" for path in (source / table.location).glob("*.json")]
    files *= READER_COPIES
    lines = spark.spark_session.read.text(files)

    def trusting() -> None:
        consume(lines.select(F.from_json("value", table.ddl).alias("of")).select("of.*"))

    def profiling() -> None:
        reader.tidy_records(lines, table).agg(F.count_if(reader.TIDY)).collect()

    def reading() -> None:
        consume(reader.read_tidy(spark.spark_session, files, table))

    def consume(frame: DataFrame) -> None:
        frame.agg(F.count("user"), *[F.sum(name) for name in table.column_names[1:]]).collect()

    readers = {"trusting": trusting, "profile": profiling, "read once profiled": reading}
    show(f"reading {READER_COPIES} copies", interleave(readers), against="trusting")
    spark.spark_session.stop()


def time_imports() -> None:
    """Importing the definitions in a fresh interpreter."""

    def load() -> None:
        command = [sys.executable, "-c", "import stedi_assets.definitions"]
        subprocess.run(command, check=True, cwd=PROJECT)

    show("import", interleave({"definitions": load}))


def interleave(contenders: dict[str, Callable[[], None]]) -> dict[str, list[float]]:
    """Seconds of each round of each contender, taking turns; a first round does not count."""
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(ROUNDS + 1):
        for name, contend in contenders.items():
            began = time.perf_counter()
            contend()
            seconds[name].append(time.perf_counter() - began)
    return {name: taken[1:] for name, taken in seconds.items()}


def show(title: str, seconds: dict[str, list[float]], against: str | None = None) -> None:
    """Prints the median, the range and the ratio of each contender."""
    base = statistics.median(seconds[against or list(seconds)[-1]])
    print(f"\n{title}")
    for name, taken in seconds.items():
        median = statistics.median(taken)
        print(f"  {name:20} {median:6.2f} s ({min(taken):.2f} to {max(taken):.2f}), ", end="")
        print(f"ratio {median / base:.2f}")


if __name__ == "__main__":
    main()
