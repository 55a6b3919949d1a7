"""The project on a small source, a Dagster instance, and ticks of the landing sensor."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster import DagsterEvent
from dagster._core.test_utils import create_run_for_test

from stedi_assets.definitions import define
from stedi_assets.landing import watch
from stedi_assets.landing.watch import Contents
from stedi_assets.settings import Settings
from stedi_assets.storage.local import LocalFolder

Tick = Callable[..., Any]  # Dagster's own type of it says less than a tick has
End = Callable[[dg.DagsterRunStatus], None]
Begin = Callable[..., End]
SUCCESS, FAILURE = dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE
TRAINING = {"machine_learning_curated", "training_set"}
DOWNSTREAM = {
    "customer": {
        *("customer_landing", "customer_quarantine", "customer_trusted", "customer_curated"),
        *("accelerometer_trusted", "step_trainer_trusted", "customer_training", *TRAINING),
    },
    "accelerometer": {
        *("accelerometer_landing", "accelerometer_quarantine", "accelerometer_trusted"),
        *("customer_curated", "customer_training", "step_trainer_trusted", *TRAINING),
    },
    "step_trainer": {
        *("step_trainer_landing", "step_trainer_quarantine", "step_trainer_trusted"),
        *TRAINING,
    },
}


@pytest.fixture
def source(small: Path) -> Path:
    """A small source whose files were written a while ago."""
    for path in small.rglob("*.json"):
        settle(path)
    return small


@pytest.fixture
def defs(source: Path, tmp_path: Path) -> dg.Definitions:
    """The project on that source."""
    return define(Settings(lakehouse_uri=str(tmp_path / "lakehouse"), source_data=str(source)))


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    """Keeps the history of one test."""
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


@pytest.fixture
def tick(defs: dg.Definitions, instance: dg.DagsterInstance) -> Tick:
    """Evaluates the landing sensor as the daemon does, each time with the cursor of the last."""
    cursor: list[str | None] = [None]

    def evaluate(project: dg.Definitions = defs, **overrides):
        context = dg.build_sensor_context(
            instance=instance,
            definitions=project,
            resources=project.resources,
            **{"cursor": cursor[-1], **overrides},
        )
        with context:
            result = project.resolve_sensor_def("landing_sensor").evaluate_tick(context)
        cursor.append(result.cursor)
        return result

    return evaluate


@pytest.fixture
def landed(defs: dg.Definitions, instance: dg.DagsterInstance, source: Path) -> None:
    """Every landing table has taken what its source has."""
    for name in DOWNSTREAM:
        take(instance, source, name)


@pytest.fixture
def begin(instance: dg.DagsterInstance) -> Begin:
    """Starts the run that a tick requested, and hands out what ends it."""

    def start(requested) -> End:
        [request] = requested.run_requests
        run = create_run_for_test(
            instance,
            job_name="refresh_from_landing",
            tags={"dagster/run_key": request.run_key},
            asset_selection=frozenset(request.asset_selection),
        )
        instance.report_dagster_event(DagsterEvent("PIPELINE_START", run.job_name), run.run_id)

        def end(status: dg.DagsterRunStatus) -> None:
            event = {SUCCESS: "PIPELINE_SUCCESS", FAILURE: "PIPELINE_FAILURE"}
            kind = event.get(status, "PIPELINE_CANCELED")
            instance.report_dagster_event(DagsterEvent(kind, run.job_name), run.run_id)

        return end

    return start


def take(instance: dg.DagsterInstance, source: Path, name: str, *, but: str = "") -> None:
    """Records that a landing table has taken what its source has now, but for a file."""
    folder = LocalFolder(f"file://{source / name / 'landing'}")
    files = [file for file in folder.json_lines() if file.name != but]
    taken = {watch.TAKEN: Contents().plus(files).hex_digest}
    event = dg.AssetMaterialization(f"{name}_landing", metadata=taken)
    instance.report_runless_asset_event(event)


def arrive(source: Path, name: str, content: str = "{}\n", of: str = "customer") -> Path:
    path = source / of / "landing" / name
    path.write_text(content)
    settle(path)
    return path


def selected(result) -> set[str]:
    [request] = result.run_requests
    return {key.to_user_string() for key in request.asset_selection}


def materialize(
    defs: dg.Definitions, instance: dg.DagsterInstance, *names: str, **configs: dict
) -> dg.ExecuteInProcessResult:
    return defs.resolve_implicit_global_asset_job_def().execute_in_process(
        instance=instance,
        asset_selection=[dg.AssetKey(name) for name in names],
        run_config={"ops": {name: {"config": config} for name, config in configs.items()}},
        raise_on_error=False,
    )


def settle(path: Path, seconds: float = 60) -> None:
    """Makes a file one that was last written some seconds ago."""
    then = time.time() - seconds
    os.utime(path, (then, then))


def observed(result: dg.ExecuteInProcessResult) -> dict[str, dict]:
    """Table to what a job shows of it."""
    observations = [event.asset_observation_data for event in result.get_asset_observation_events()]
    return {
        each.asset_observation.asset_key.to_user_string(): {
            name: value.value for name, value in each.asset_observation.metadata.items()
        }
        for each in observations
    }
