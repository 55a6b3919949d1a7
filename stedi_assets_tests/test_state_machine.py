"""Whatever lands in whatever order, and whenever runs die, the tables are those of the model."""

from __future__ import annotations

import io
import os
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dagster as dg
from hypothesis import Phase, settings
from hypothesis.stateful import run_state_machine_as_test
from pyspark.sql import DataFrame
from rich.console import Console

import stedi_assets.definitions
import stedi_assets.materialize
from stedi_assets.engine.spark import SparkResource
from stedi_assets.lakehouse import making
from stedi_assets.lakehouse.commit import Commit
from stedi_assets.lakehouse.lakehouse import Lakehouse
from stedi_assets.orchestration import clock
from stedi_assets.orchestration.checks.tables import evaluate_in
from stedi_assets.orchestration.landing_assets import LandingConfig
from stedi_assets.orchestration.source import SourceData
from stedi_assets.policy import NO_OPTION, Options
from stedi_assets.settings import Settings
from stedi_assets.tables import DELTA_TABLES, LANDING_TABLES, TABLES
from stedi_assets_tests.bound import LANDING
from stedi_assets_tests.model import Options as Chosen
from stedi_assets_tests.rows import PSEUDONYMS, function_of
from stedi_assets_tests.state_machine import Checked, LakehouseMachine

EXAMPLES = settings().max_examples


def try_sequences(start: Callable[[], LakehouseMachine], examples: int) -> None:
    """Tries sequences of steps; to shrink one would take minutes before its failure shows."""
    run_state_machine_as_test(
        start,  # type: ignore[arg-type]  # any function may start one
        settings=settings(max_examples=examples, phases=[Phase.generate]),
    )


def test__tables__are_those_of_the_model(tmp_path: Path, spark_resource: SparkResource) -> None:
    """As the functions of the assets and of the checks make them, which is quick."""

    def run(source: Path, lakehouse: Path, options: Chosen) -> Iterator[Checked]:
        run_id = str(uuid.uuid4())
        stored = Lakehouse(str(lakehouse), spark_resource)
        chosen = Options(after_consent_only=options[0], match_device=options[1])
        now = clock.time_of_run(run_id)
        for name, asset in LANDING.items():
            made = function_of(asset)(
                context=SimpleNamespace(run=SimpleNamespace(run_id=run_id)),
                config=LandingConfig(max_malformed_share=1, max_implausible_share=1),
                source=SourceData(path=str(source)),
                lakehouse=stored,
                catalog=None,
                policy=NO_OPTION,
            )
            yield from ((name, check) for each in made for check in each.check_results or ())

        def read(name: str) -> DataFrame:
            return stored.read(TABLES[name])

        for table in DELTA_TABLES:
            applied = chosen if table.has_options else NO_OPTION
            frame = making.made(table, read, now, applied, PSEUDONYMS)
            commit = Commit(as_of=now, config=applied)
            stored.write(table, stored.spark.cached(frame), commit)
            found = evaluate_in(stored, table, now, PSEUDONYMS, NO_OPTION)
            yield from ((table.name, check) for check in found)

    try_sequences(lambda: LakehouseMachine(tmp_path, run), EXAMPLES // 6)


def test__tables__are_those_of_the_model_by_the_job(tmp_path: Path) -> None:
    """As `make materialize` makes them."""

    def run(source: Path, lakehouse: Path, options: Chosen) -> Iterator[Checked]:
        spark = os.environ.get("STEDI_TEST_SPARK_REMOTE", "")
        place = Settings(lakehouse_uri=str(lakehouse), source_data=str(source), spark_remote=spark)
        chosen = {"after_consent_only": options[0], "match_device": options[1]}
        ops: dict[str, Any] = {"machine_learning_curated": {"config": chosen}}
        lenient = {"max_malformed_share": 1, "max_implausible_share": 1}
        ops |= {table.name: {"config": lenient} for table in LANDING_TABLES}
        with dg.DagsterInstance.ephemeral() as instance:
            result = stedi_assets.materialize.materialize(
                stedi_assets.definitions.define(place), instance, Console(file=io.StringIO()), ops
            )
        assert result.success
        for check in result.get_asset_check_evaluations():
            yield check.asset_key.to_user_string(), check

    try_sequences(lambda: LakehouseMachine(tmp_path, run), EXAMPLES // 25)
