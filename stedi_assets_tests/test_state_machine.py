"""Whatever lands in whatever order, and whenever runs die, the tables are those of the model."""

from __future__ import annotations

import io
import os
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from hypothesis import Phase, settings
from hypothesis.stateful import run_state_machine_as_test
from rich.console import Console

import stedi_assets.definitions
import stedi_assets.materialize
from stedi_assets.engine.spark import SparkResource
from stedi_assets.lakehouse.plan import Mode
from stedi_assets.orchestration import clock
from stedi_assets.policy import Options
from stedi_assets.settings import Settings
from stedi_assets.tables import DELTA_TABLES, LANDING_TABLES
from stedi_assets_tests.incremental import Checked, run
from stedi_assets_tests.model import Options as Chosen
from stedi_assets_tests.state_machine import LakehouseMachine

pytestmark = pytest.mark.slow

EXAMPLES, STEPS = settings().max_examples, settings().stateful_step_count


def try_sequences(start: Callable[[], LakehouseMachine], examples: int, steps: int = STEPS) -> None:
    """Tries sequences of steps; to shrink one would take minutes before its failure shows."""
    run_state_machine_as_test(
        start,  # type: ignore[arg-type]  # any function may start one
        settings=settings(
            max_examples=examples, stateful_step_count=steps, phases=[Phase.generate]
        ),
    )


def test__tables__are_those_of_the_model(tmp_path: Path, spark_resource: SparkResource) -> None:
    """As the functions of the assets and of the checks make them, which is quick."""
    modes = Counter[tuple[str, Mode]]()

    def run_as(source: Path, lakehouse: Path, options: Chosen) -> list[Checked]:
        chosen = Options(after_consent_only=options[0], match_device=options[1])
        now = clock.time_of_run(str(uuid.uuid4()))
        made = run(lakehouse, source, spark_resource, now=now, options=chosen)
        if source.name == "source":  # a rebuild has an empty one
            modes.update(made.modes.items())
        return made.checks

    try_sequences(lambda: LakehouseMachine(tmp_path, run_as), EXAMPLES // 8, 2 * STEPS)

    timed = [table.name for table in DELTA_TABLES if table.time_column]
    assert min(modes[name, Mode.RANGES] for name in timed) >= EXAMPLES // 8


def test__tables__are_those_of_the_model_by_the_job(tmp_path: Path) -> None:
    """As `make materialize` makes them."""

    def run_job(source: Path, lakehouse: Path, options: Chosen) -> Iterator[Checked]:
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

    try_sequences(lambda: LakehouseMachine(tmp_path, run_job), EXAMPLES // 25)
