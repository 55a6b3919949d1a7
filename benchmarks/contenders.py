"""Who makes the eight tables, by which command, and which rows each has made."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import dagster as dg
import duckdb
from deltalake import DeltaTable

from benchmarks.measure import Taken, run
from stedi_assets.orchestration.history import INSTANCE
from stedi_assets.tables import DELTA_TABLES, Table, Zone, records_of

# The tables that all contenders make: the rivals make no training set.
COMPARED = [table for table in DELTA_TABLES if table.zone is not Zone.TRAINING]
PROJECT = Path(__file__).resolve().parent.parent
PROJECT_WRITES = "Delta; landing as it landed"
# What DuckDB hashes each type as, so that formats of it do not count.
TYPES = {"string": "varchar"}


class Content(NamedTuple):
    """What a table holds, in whatever order.

    Attributes:
        rows: How many rows.
        digest: The sum of the rows' 64-bit hashes.
    """

    rows: int
    digest: int


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
        taken = run(self.command(source, output), settings, PROJECT)
        history = settings["DAGSTER_HOME"] if self.whole else None
        return replace(taken, checks=_of_checks(taken, history)) if history else taken

    def maintain(self, source: Path, output: Path) -> Taken:
        """Runs the job that clusters its tables by time."""
        job = ["job", "execute", "-m", "stedi_assets.definitions", "-j", "maintenance"]
        settings = {**os.environ, **self.settings(source, output)}
        return run([str(self.python.with_name("dagster")), *job], settings, PROJECT)

    def command(self, source: Path, output: Path) -> list[str]:
        """The command that makes the tables."""
        if self.whole:
            stedi = self.python.with_name("stedi")
            # -P: not the module of this tree, where the command runs.
            release_0_1 = [str(self.python), "-P", "-m", "stedi_assets.materialize"]
            return [str(stedi), "materialize"] if stedi.exists() else release_0_1
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

    def contents(self, output: Path, tables: Sequence[Table]) -> dict[str, Content]:
        """What each of some tables holds, read anew."""
        return {table.name: _content(table, self._files(table, output)) for table in tables}

    def _files(self, table: Table, output: Path) -> list[str]:
        if self.writes == "Parquet":
            return [str(file) for file in (output / table.location).glob("*.parquet")]
        stored = table if table in DELTA_TABLES else records_of(table)
        return list(DeltaTable(output / stored.location).file_uris())


def _of_checks(taken: Taken, history: str) -> float | None:
    """The processor seconds of the last run's steps that only check, if its history says them."""
    with dg.DagsterInstance.from_config(history) as instance:
        last = next(iter(instance.get_run_records(limit=1)), None)
        steps = instance.get_run_step_stats(last.dagster_run.run_id) if last else []
        return sum(
            taken.cpu_between(step.start_time, step.end_time)
            for step in steps
            if step.start_time and step.end_time and not step.materialization_events
        )


def _content(table: Table, files: list[str]) -> Content:
    columns = ", ".join(f'"{c.name}"::{TYPES.get(c.type, c.type)}' for c in table.columns)
    query = f"select count(*), coalesce(sum(hash({columns})), 0) from read_parquet($files)"
    with duckdb.connect() as connection:
        found = connection.execute(query, {"files": files}).fetchone()
    assert found is not None
    return Content(*found)


WHOLE = Contender("whole command", "stedi materialize", PROJECT_WRITES, whole=True)
TRANSFORMATIONS = Contender("transformations", "benchmarks.transformations", PROJECT_WRITES)
JVM = Contender("JVM Spark script", "benchmarks.plain_spark")
DUCKDB = Contender("DuckDB", "benchmarks.duck")
DUCKDB_DUTY = Contender("DuckDB, same duty", "benchmarks.duck_duty", PROJECT_WRITES)
POLARS = Contender("Polars", "benchmarks.polars_lazy")
POLARS_DUTY = Contender("Polars, same duty", "benchmarks.polars_duty", PROJECT_WRITES)

CONTENDERS = (WHOLE, TRANSFORMATIONS, JVM, DUCKDB, DUCKDB_DUTY, POLARS, POLARS_DUTY)
