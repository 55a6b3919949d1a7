"""Landing sensors request what follows from new files; conditions let a change flow on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.test_utils import create_run_for_test

from stedi_assets.automation import sensors
from stedi_assets.automation.sensors import Cursor
from stedi_assets.definitions import define
from stedi_assets.errors import LakehouseError
from stedi_assets.lakehouse.watch import Contents, Seen
from stedi_assets.settings import Settings
from stedi_assets.tables import CUSTOMER_LANDING, LANDING_TABLES, TABLES
from stedi_assets_tests.automation.conftest import settle

Tick = Callable[..., Any]  # Dagster's own type of it says less than a tick has

DOWNSTREAM = {
    "customer": {
        *("customer_landing", "customer_quarantine", "customer_trusted", "customer_curated"),
        *("accelerometer_trusted", "step_trainer_trusted", "machine_learning_curated"),
    },
    "accelerometer": {
        *("accelerometer_landing", "accelerometer_quarantine", "accelerometer_trusted"),
        *("customer_curated", "step_trainer_trusted", "machine_learning_curated"),
    },
    "step_trainer": {
        *("step_trainer_landing", "step_trainer_quarantine", "step_trainer_trusted"),
        "machine_learning_curated",
    },
}


@pytest.fixture
def tick(defs: dg.Definitions, instance: dg.DagsterInstance) -> Tick:
    """Evaluates a landing sensor as the daemon does, each time with the cursor of the last."""
    cursors: dict[str, str | None] = {}

    def evaluate(source: str = "customer", project: dg.Definitions = defs):
        context = dg.build_sensor_context(
            instance=instance,
            definitions=project,
            resources=project.resources,
            cursor=cursors.get(source),
        )
        with context:
            told = project.resolve_sensor_def(f"{source}_landing_sensor").evaluate_tick(context)
        cursors[source] = told.cursor
        return told

    return evaluate


@pytest.fixture
def landed(instance: dg.DagsterInstance) -> None:
    """Every landing table has been materialised before."""
    for table in LANDING_TABLES:
        instance.report_runless_asset_event(dg.AssetMaterialization(table.name))


def selected(told) -> set[str]:
    [request] = told.run_requests
    return {key.to_user_string() for key in request.asset_selection}


def arrive(source: Path, name: str, content: str = "{}\n") -> Path:
    path = source / "customer" / "landing" / name
    path.write_text(content)
    settle(path)
    return path


@pytest.mark.parametrize("name", DOWNSTREAM)
def test__landing_sensor__requests_the_source_and_all_downstream(
    tick: Tick, landed: None, name: str
) -> None:
    assert selected(tick(name)) == DOWNSTREAM[name]


def test__landing_sensor__first_takes_in_sources_that_never_landed(tick: Tick) -> None:
    assert selected(tick("step_trainer")) == set(TABLES)


@pytest.mark.parametrize("name", DOWNSTREAM)
def test__landing_sensor__request_fits_the_job(tick: Tick, defs: dg.Definitions, name: str) -> None:
    [request] = tick(name).run_requests
    job = defs.resolve_job_def("refresh_from_landing").get_subset(
        asset_selection=set(request.asset_selection)
    )
    assert dg.validate_run_config(job, request.run_config)
    checked = {key.asset_key for key in job.asset_layer.asset_graph.asset_check_keys}
    assert {dg.AssetKey(f"{name}_landing"), dg.AssetKey("machine_learning_curated")} <= checked


def test__landing_sensor__no_file_triggers_twice(tick: Tick) -> None:
    tick()
    again = tick()
    assert again.run_requests == []
    assert again.skip_message.startswith("1 files in file://")


def test__landing_sensor__same_files_give_the_same_key(
    defs: dg.Definitions, instance: dg.DagsterInstance, tick: Tick
) -> None:
    """Dagster starts no second run of a key, so a tick that is evaluated twice does no harm."""
    [first] = tick().run_requests
    context = dg.build_sensor_context(
        instance=instance, definitions=defs, resources=defs.resources, cursor=None
    )
    with context:
        sensor = defs.resolve_sensor_def("customer_landing_sensor")
        [second] = sensor.evaluate_tick(context).run_requests or []
    assert first.run_key == second.run_key


def test__landing_sensor__new_and_changed_files_have_their_own_keys(
    tick: Tick, source: Path
) -> None:
    keys = [tick().run_requests[0].run_key]
    added = arrive(source, "customer-2.json")
    keys.append(tick().run_requests[0].run_key)
    arrive(source, "customer-2.json", "{}\n{}\n")
    keys.append(tick().run_requests[0].run_key)
    added.unlink()
    keys.append(tick().run_requests[0].run_key)
    assert len(set(keys)) == 4


def test__landing_sensor__passes_over_a_file_that_is_being_written(
    tick: Tick, source: Path
) -> None:
    tick()
    path = arrive(source, "customer-2.json")
    settle(path, seconds=0)
    assert tick().run_requests == []
    settle(path)
    assert len(tick().run_requests) == 1


def test__landing_sensor__watches_landing_where_there_is_no_source(
    tick: Tick, tmp_path: Path
) -> None:
    project = define(Settings(str(tmp_path / "lakehouse"), "", ""))
    assert tick(project=project).skip_message.startswith("0 files in file://")
    landing = tmp_path / "lakehouse" / CUSTOMER_LANDING.location
    landing.mkdir(parents=True)
    (landing / "customer-1.json").write_text("{}\n")
    settle(landing / "customer-1.json")
    assert len(tick(project=project).run_requests) == 1


def test__landing_sensor__source_does_not_exist(
    tick: Tick, defs: dg.Definitions, tmp_path: Path
) -> None:
    project = define(Settings(str(tmp_path / "lakehouse"), str(tmp_path / "nowhere"), ""))
    with pytest.raises(LakehouseError, match=r"STEDI_SOURCE_DATA names .*nowhere, which is not"):
        tick(project=project)


def test__landing_sensor__failed_run_is_requested_again_after_a_growing_wait(
    tick: Tick, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(key: str) -> None:
        run = create_run_for_test(instance, tags={"dagster/run_key": key})
        instance.report_run_failed(run)

    monkeypatch.setattr(sensors, "RETRY_AFTER_SECONDS", (0, 3600))
    [first] = tick().run_requests
    assert tick().run_requests == []  # it has not failed
    fail(first.run_key)
    [again] = tick().run_requests
    assert (again.run_key, again.asset_selection) == (
        f"{first.run_key}-retry-1",
        first.asset_selection,
    )
    fail(again.run_key)
    assert tick().run_requests == []  # not yet
    monkeypatch.setattr(sensors, "RETRY_AFTER_SECONDS", (0, 0))
    [last] = tick().run_requests
    fail(last.run_key)
    assert last.run_key == f"{first.run_key}-retry-2"
    assert tick().run_requests == []  # no more


def test__landing_sensor__new_file_after_failures_begins_anew(
    tick: Tick, instance: dg.DagsterInstance, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sensors, "RETRY_AFTER_SECONDS", (0,))
    [first] = tick().run_requests
    run = create_run_for_test(instance, tags={"dagster/run_key": first.run_key})
    instance.report_run_failed(run)
    tick()
    arrive(source, "customer-2.json")
    assert "retry" not in tick().run_requests[0].run_key


@pytest.mark.parametrize("status", [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.CANCELED])
def test__landing_sensor__only_failed_runs_are_requested_again(
    tick: Tick, instance: dg.DagsterInstance, status, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sensors, "RETRY_AFTER_SECONDS", (0,))
    [first] = tick().run_requests
    create_run_for_test(instance, tags={"dagster/run_key": first.run_key}, status=status)
    assert tick().run_requests == []


# The cursor


def test__cursor__is_below_a_kilobyte_whatever_the_folder_holds() -> None:
    name, many = "ü" * 125 + ".json", Contents(10**9, (1 << 128) - 1)
    largest = Cursor(Seen(many, name, many, name), many.digest, 10**6, 3)

    assert len(largest.dump().encode()) < 1000
    assert Cursor.load(largest.dump()) == largest


@pytest.mark.parametrize("text", [None, "", "not JSON", "[]", '{"seen": {}}', '{"other": 1}'])
def test__cursor__of_another_version_begins_anew(text: str | None) -> None:
    assert Cursor.load(text) == Cursor()


# Automation conditions


def materialize(
    defs: dg.Definitions, instance: dg.DagsterInstance, *names: str, **configs: dict
) -> dg.ExecuteInProcessResult:
    return defs.resolve_implicit_global_asset_job_def().execute_in_process(
        instance=instance,
        asset_selection=[dg.AssetKey(name) for name in names],
        run_config={"ops": {name: {"config": config} for name, config in configs.items()}},
        raise_on_error=False,
    )


def flows_on(defs: dg.Definitions, instance: dg.DagsterInstance, cursor) -> tuple[set[str], object]:
    told = dg.evaluate_automation_conditions(defs, instance=instance, cursor=cursor)
    keys = {result.key for result in told.results if not result.true_subset.is_empty}
    return {key.to_user_string() for key in keys}, told.cursor


def test__conditions__a_partial_materialisation_flows_on(
    defs: dg.Definitions, instance: dg.DagsterInstance
) -> None:
    assert materialize(defs, instance, *TABLES).success
    _, cursor = flows_on(defs, instance, None)
    nothing, cursor = flows_on(defs, instance, cursor)
    materialize(defs, instance, "step_trainer_landing", "step_trainer_quarantine")
    downstream, cursor = flows_on(defs, instance, cursor)
    materialize(defs, instance, *downstream)

    assert nothing == set()
    assert downstream == {"step_trainer_trusted", "machine_learning_curated"}
    assert flows_on(defs, instance, cursor)[0] == set()


def test__conditions__nothing_follows_a_failed_blocking_check(
    defs: dg.Definitions, instance: dg.DagsterInstance, source: Path
) -> None:
    assert materialize(defs, instance, *TABLES).success
    _, cursor = flows_on(defs, instance, None)
    arrive(source, "malformed.json", "{\n")
    again = materialize(defs, instance, "customer_landing", "customer_quarantine")

    assert not again.success
    assert flows_on(defs, instance, cursor)[0] == set()


# By default


def test__nothing_starts_by_itself(defs: dg.Definitions) -> None:
    assert len(list(defs.sensors or [])) == 5
    assert {sensor.default_status for sensor in defs.sensors or []} == {
        dg.DefaultSensorStatus.STOPPED
    }
    for sensor in defs.sensors or []:
        assert sensor.description
        assert sensor.description.endswith(".")
