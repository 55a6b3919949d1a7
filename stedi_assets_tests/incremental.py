"""Runs one after another on one lakehouse, and what a rebuild of the same landing gives."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import dagster as dg
from deltalake import DeltaTable
from pyspark.sql import DataFrame

from stedi_assets.engine.spark import SparkResource
from stedi_assets.lakehouse import making
from stedi_assets.lakehouse.lakehouse import Lakehouse
from stedi_assets.lakehouse.plan import Mode, Plan
from stedi_assets.orchestration.checks.tables import evaluate_in
from stedi_assets.orchestration.landing_assets import LandingConfig
from stedi_assets.orchestration.source import SourceData
from stedi_assets.policy import NO_OPTION, Options
from stedi_assets.pseudonyms import Pseudonyms
from stedi_assets.split import DEFAULT_SPLIT, Split
from stedi_assets.tables import DELTA_TABLES, LANDING_TABLES, QUARANTINE_TABLES, TABLES, Table
from stedi_assets_tests.bound import LANDING
from stedi_assets_tests.rows import PLACE, PSEUDONYMS, function_of, stored_rows
from stedi_assets_tests.strategies import NOW

# A check that was made, and the name of the table that it is on.
Checked = tuple[str, dg.AssetCheckResult | dg.AssetCheckEvaluation]

CHANGED = "points_changed"
# What a run did besides to check, and what a figure is compared with.
NOT_OF_THE_TABLE = {
    CHANGED,
    "weaker_versions_deleted",
    "weaker_files_deleted",
}
OF_THE_RUN = {"volume", "landed_files_unaltered"}


class Made(NamedTuple):
    """What a run did: how much of each table it made and why, and the checks."""

    plans: Mapping[str, Plan]
    checks: list[Checked]

    @property
    def modes(self) -> dict[str, Mode]:
        """How much of each table was made."""
        return {name: plan.mode for name, plan in self.plans.items()}

    @property
    def figures(self) -> dict[str, Any]:
        """Whether each check passed, and its figures."""
        return figures_of(self.checks)

    def failing(self) -> set[str]:
        """The checks that failed, as `table/check`."""
        return {f"{table}/{check.check_name}" for table, check in self.checks if not check.passed}


def figures_of(checks: Iterable[Checked]) -> dict[str, Any]:
    """Whether each check passed, and its figures, as far as they speak of a whole table."""
    return {
        f"{table}/{check.check_name}": (
            check.passed or CHANGED in check.metadata,
            {n: v.value for n, v in check.metadata.items() if n not in NOT_OF_THE_TABLE},
        )
        for table, check in checks
        if check.check_name not in OF_THE_RUN
    }


def rows_of(lakehouse: Path | str) -> dict[str, Counter]:
    """What is in each table, as one reads it who knows nothing of the project."""
    found = {}
    for table in (*QUARANTINE_TABLES, *DELTA_TABLES):
        uri = f"{lakehouse}/{table.location}"
        if DeltaTable.is_deltatable(uri):
            columns = [name for name in table.column_names if name not in PLACE]
            rows = stored_rows(uri, columns=columns).to_pylist()
            found[table.name] = Counter(tuple(row.values()) for row in rows)
    return found


def run(
    lakehouse: Path | str,
    source: Path | str | None,
    spark: SparkResource,
    *,
    now: int = NOW,
    options: Options = NO_OPTION,
    pseudonyms: Pseudonyms = PSEUDONYMS,
    split: Split = DEFAULT_SPLIT,
    rebuild: bool = False,
    apart: bool = False,
    until: str | None = None,
) -> Made:
    """Makes and checks every table, as the functions of the assets do, which is quick.

    Args:
        lakehouse: Where the tables are.
        source: The folder whose files land; None for those that are in landing alone.
        spark: Hands out the session.
        now: The time by which consent is judged (epoch milliseconds, UTC).
        options: The options of the training table.
        pseudonyms: Makes the pseudonyms.
        split: How the training set is split.
        rebuild: Whether all is made anew.
        apart: Whether each step knows only what is stored, as in a process of its own.
        until: The last table that is made; None for all.
    """
    stored = Lakehouse(str(lakehouse), spark)
    checks, plans = list[Checked](), dict[str, Plan]()
    for name, asset in LANDING.items():
        stored = Lakehouse(str(lakehouse), spark) if apart else stored
        made = function_of(asset)(
            context=SimpleNamespace(
                run=SimpleNamespace(run_id=str(uuid.uuid4())),
                selected_asset_keys=asset.keys,
                selected_asset_check_keys=asset.check_keys,
            ),
            config=LandingConfig(max_malformed_share=1, max_implausible_share=1, rebuild=rebuild),
            source=SourceData(path=str(source or "")),
            lakehouse=stored,
            catalog=None,
            policy=NO_OPTION,
        )
        checks += [(name, each) for each in made if isinstance(each, dg.AssetCheckResult)]
        if name == until:
            return Made(plans, checks)
    for table in DELTA_TABLES:
        stored = Lakehouse(str(lakehouse), spark) if apart else stored
        new = making.next_version(
            stored,
            table,
            reading(stored),
            now,
            strictly(table, options) if table.has_options else NO_OPTION,
            pseudonyms,
            split=split if table.is_split else None,
            rebuild=rebuild,
        )
        making.keep(stored, table, new)
        plans[table.name] = new.plan
        if table.name == until:
            break
        stored = Lakehouse(str(lakehouse), spark) if apart else stored
        checks += checked(stored, table, now, pseudonyms)
    return Made(plans, checks)


def strictly(table: Table, options: Options) -> Options:
    """The options that a table is made with where a run chooses some."""
    return replace(options, **dict.fromkeys(table.strict, True))


def reading(lakehouse: Lakehouse) -> Callable[[str], DataFrame]:
    """Gives a table's rows by its name."""
    return lambda name: lakehouse.read(TABLES[name])


def checked(
    lakehouse: Lakehouse, table: Table, now: int = NOW, pseudonyms: Pseudonyms = PSEUDONYMS
) -> list[Checked]:
    """The checks of a table."""
    found = evaluate_in(lakehouse, table, now, pseudonyms, NO_OPTION)
    return [(table.name, check) for check in found]


@dataclass
class Runs:
    """A source, the lakehouse that is made of it, and rebuilds of that.

    Attributes:
        folder: Where to keep them.
        spark: Hands out the session.
    """

    folder: Path
    spark: SparkResource

    def __post_init__(self) -> None:
        self.source, self.lakehouse = self.folder / "source", self.folder / "lakehouse"
        self._numbers = itertools.count()

    def land(self, table_name: str, rows: list[tuple], name: str = "", besides: str = "") -> Path:
        """Puts a file into the source: records, and text that is none."""
        table = TABLES[table_name]
        lines = [dict(zip(table.column_names, row, strict=True)) for row in rows]
        known = [{name: v for name, v in line.items() if v is not None} for line in lines]
        path = self.source / table.location / (name or f"{next(self._numbers):04}.json")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(json.dumps(each) + "\n" for each in known) + besides)
        return path

    def landed(self, table_name: str) -> list[Path]:
        """The files of a source that have landed, by name."""
        return sorted((self.lakehouse / TABLES[table_name].location).glob("[!.]*.json"))

    def stored(self) -> Lakehouse:
        """The lakehouse, as a run that begins sees it."""
        return Lakehouse(str(self.lakehouse), self.spark)

    def checks(self, **given: Any) -> Made:
        """The checks of all tables, as a run of nothing else makes them."""
        stored = self.stored()
        return Made({}, [each for t in DELTA_TABLES for each in checked(stored, t, **given)])

    def run(self, **given: Any) -> Made:
        """As `run`, of the source."""
        return run(self.lakehouse, self.source, self.spark, **given)

    def rebuilt(self, **given: Any) -> tuple[Made, dict[str, Counter]]:
        """A run in an empty lakehouse with what has landed, and the rows that it makes."""
        other = self.folder / f"rebuilt-{next(self._numbers)}"
        copy_landing(self.lakehouse, other)
        return run(other, None, self.spark, **given), rows_of(other)

    def run_equal(self, **given: Any) -> Made:
        """A run, after which rows and results of checks are those of a rebuild."""
        made = self.run(**given)
        others = {name: given[name] for name in given.keys() - {"rebuild", "apart"}}
        anew, rows = self.rebuilt(**others)
        assert rows_of(self.lakehouse) == rows
        assert made.figures == anew.figures
        return made


def copy_landing(lakehouse: Path, other: Path) -> None:
    """Copies what has landed, and nothing that was made of it."""
    for table in LANDING_TABLES:
        shutil.copytree(lakehouse / table.location, other / table.location)


def untold(path: Path) -> None:
    """Blanks a file's content without its size or time telling: who reads it anew gets nothing."""
    was = path.stat()
    path.write_bytes(b" " * was.st_size)
    os.utime(path, ns=(was.st_atime_ns, was.st_mtime_ns))
