"""Who makes the eight tables, by which command, and how many rows each has made."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow.dataset
from deltalake import DeltaTable

from benchmarks.measure import Taken, run
from stedi_assets.orchestration.history import INSTANCE
from stedi_assets.tables import DELTA_TABLES, LANDING_TABLES, Table, records_of

PROJECT = Path(__file__).resolve().parent.parent
PROJECT_WRITES = "Delta; landing as it landed"


@dataclass(frozen=True)
class Contender:
    """A way to make the eight tables of the JSON lines in a folder.

    Attributes:
        name: What the results call it.
        script: The module that runs.
        writes: The format of its tables.
        whole: Whether it is the project's own command, which is told by settings.
        python: The interpreter of the environment that it is installed in.
    """

    name: str
    script: str
    writes: str = "Parquet"
    whole: bool = False
    python: Path = Path(sys.executable)

    def take(self, source: Path, output: Path) -> Taken:
        """Makes the tables by its command, and measures that."""
        settings = {**os.environ, **self.settings(source, output)}
        # An installation has compiled modules; else each run would compile thousands anew.
        settings.pop("PYTHONDONTWRITEBYTECODE", None)
        return run(self.command(source, output), settings, PROJECT)

    def maintain(self, source: Path, output: Path) -> Taken:
        """Runs the job that clusters its tables by time."""
        job = ["job", "execute", "-m", "stedi_assets.definitions", "-j", "maintenance"]
        settings = {**os.environ, **self.settings(source, output)}
        return run([str(self.python.with_name("dagster")), *job], settings, PROJECT)

    def command(self, source: Path, output: Path) -> list[str]:
        """The command that makes the tables."""
        if self.whole:
            return [str(self.python.with_name("stedi")), "materialize"]
        return [str(self.python), "-m", self.script, str(source), str(output)]

    def settings(self, source: Path, output: Path) -> Mapping[str, str]:
        """The variables that it takes its settings from."""
        history = output.with_name(f"{output.name}-history")
        if self.whole:
            history.mkdir(exist_ok=True)
            shutil.copy(INSTANCE, history)
        return {
            "STEDI_SOURCE_DATA": str(source),
            "STEDI_LAKEHOUSE_URI": str(output),
            "STEDI_SPARK_REMOTE": "",
            "DAGSTER_HOME": str(history),
        }

    def rows(
        self, output: Path, tables: Sequence[Table] = (*LANDING_TABLES, *DELTA_TABLES)
    ) -> dict[str, int]:
        """How many rows each of the eight tables, or of some, has, counted anew."""
        return {table.name: self._count(table, output) for table in tables}

    def _count(self, table: Table, output: Path) -> int:
        if self.writes == "Parquet":
            return int(pyarrow.dataset.dataset(output / table.location).count_rows())
        if table in DELTA_TABLES:
            return int(DeltaTable(output / table.location).count())
        return int(DeltaTable(output / records_of(table).location).count())


WHOLE = Contender("whole command", "stedi materialize", PROJECT_WRITES, whole=True)
TRANSFORMATIONS = Contender("transformations", "benchmarks.transformations", PROJECT_WRITES)
JVM = Contender("JVM Spark script", "benchmarks.plain_spark")
DUCKDB = Contender("DuckDB", "benchmarks.duck")
POLARS = Contender("Polars", "benchmarks.polars_lazy")

CONTENDERS = (WHOLE, TRANSFORMATIONS, JVM, DUCKDB, POLARS)
