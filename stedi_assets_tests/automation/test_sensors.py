"""The landing sensor requests what follows from new files; conditions let a change flow on."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster import DagsterEvent
from dagster._core.test_utils import create_run_for_test

from stedi_assets.definitions import define
from stedi_assets.errors import LakehouseError
from stedi_assets.landing import watch
from stedi_assets.landing.watch import Contents, Seen
from stedi_assets.orchestration import sensors
from stedi_assets.orchestration.sensors import Cursor
from stedi_assets.settings import Settings
from stedi_assets.storage.local import LocalFolder
from stedi_assets.tables import LANDING_TABLES, TABLES
from stedi_assets.tables.customer import CUSTOMER_LANDING
from stedi_assets_tests.automation.conftest import settle

Tick = Callable[..., Any]  # Dagster's own type of it says less than a tick has

SUCCESS, FAILURE = dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE
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
    """Evaluates the landing sensor as the daemon does, each time with the cursor of the last."""
    cursor: list[str | None] = [None]

    def evaluate(project: dg.Definitions = defs):
        context = dg.build_sensor_context(
            instance=instance,
            definitions=project,
            resources=project.resources,
            cursor=cursor[-1],
        )
        with context:
            told = project.resolve_sensor_def("landing_sensor").evaluate_tick(context)
        cursor.append(told.cursor)
        return told

    return evaluate


@pytest.fixture
def landed(defs: dg.Definitions, instance: dg.DagsterInstance, source: Path) -> None:
    """Every landing table has taken what its source has."""
    for name in DOWNSTREAM:
        take(instance, source, name)


def take(instance: dg.DagsterInstance, source: Path, name: str, *, but: str = "") -> None:
    """Records that a landing table has taken what its source has now, but for a file."""
    folder = LocalFolder(f"file://{source / name / 'landing'}")
    files = [file for file in folder.json_lines() if file.name != but]
    taken = {watch.TAKEN: Contents().plus(files).hex_digest}
    event = dg.AssetMaterialization(f"{name}_landing", metadata=taken)
    instance.report_runless_asset_event(event)


End = Callable[[dg.DagsterRunStatus], None]
Begin = Callable[..., End]


@pytest.fixture
def begin(instance: dg.DagsterInstance) -> Begin:
    """Starts the run that a tick requested, and hands out what ends it."""

    def start(told) -> End:
        [request] = told.run_requests
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


def selected(told) -> set[str]:
    [request] = told.run_requests
    return {key.to_user_string() for key in request.asset_selection}


def arrive(source: Path, name: str, content: str = "{}\n", of: str = "customer") -> Path:
    path = source / of / "landing" / name
    path.write_text(content)
    settle(path)
    return path


# What is requested


@pytest.mark.parametrize("name", DOWNSTREAM)
def test__landing_sensor__requests_the_source_and_all_downstream(
    tick: Tick, landed: None, source: Path, name: str
) -> None:
    arrive(source, "new.json", of=name)
    assert selected(tick()) == DOWNSTREAM[name]


def test__landing_sensor__sources_that_change_together_start_one_run(
    tick: Tick, landed: None, source: Path
) -> None:
    arrive(source, "new.json", of="accelerometer")
    arrive(source, "new.json", of="step_trainer")
    told = tick()
    assert selected(told) == DOWNSTREAM["accelerometer"] | DOWNSTREAM["step_trainer"]
    assert told.run_requests[0].tags["sources"] == "accelerometer, step_trainer"


def test__landing_sensor__first_takes_in_everything(tick: Tick) -> None:
    assert selected(tick()) == set(TABLES)


def test__landing_sensor__takes_in_sources_that_never_landed(
    tick: Tick, instance: dg.DagsterInstance, source: Path
) -> None:
    take(instance, source, "customer")
    assert selected(tick()) == set(TABLES) - {"customer_landing", "customer_quarantine"} - {
        "customer_trusted"
    }


@pytest.mark.parametrize("name", DOWNSTREAM)
def test__landing_sensor__request_fits_the_job(
    tick: Tick, defs: dg.Definitions, landed: None, source: Path, name: str
) -> None:
    arrive(source, "new.json", of=name)
    [request] = tick().run_requests
    job = defs.resolve_job_def("refresh_from_landing").get_subset(
        asset_selection=set(request.asset_selection)
    )
    assert dg.validate_run_config(job, request.run_config)
    checked = {key.asset_key for key in job.asset_layer.asset_graph.asset_check_keys}
    assert {dg.AssetKey(f"{name}_landing"), dg.AssetKey("machine_learning_curated")} <= checked


# When


def test__landing_sensor__starts_nothing_when_all_has_landed(
    tick: Tick, defs: dg.Definitions, instance: dg.DagsterInstance
) -> None:
    """Switched on after any other run, which has taken just these files."""
    assert materialize(defs, instance, *TABLES).success
    told = tick()
    assert told.run_requests == []
    assert told.skip_message == "3 files, and all have landed."


def test__landing_sensor__no_file_triggers_twice(tick: Tick, begin: Begin) -> None:
    end = begin(tick())
    assert tick().run_requests == []
    end(SUCCESS)
    # Though landing took none of it: the same again would not either.
    assert tick().run_requests == []


def test__landing_sensor__same_files_give_the_same_key(
    defs: dg.Definitions, instance: dg.DagsterInstance, tick: Tick
) -> None:
    """Dagster starts no second run of a key, so a tick that is evaluated twice does no harm."""
    [first] = tick().run_requests
    context = dg.build_sensor_context(
        instance=instance, definitions=defs, resources=defs.resources, cursor=None
    )
    with context:
        sensor = defs.resolve_sensor_def("landing_sensor")
        [second] = sensor.evaluate_tick(context).run_requests or []
    assert first.run_key == second.run_key


def test__landing_sensor__new_changed_and_removed_files_have_their_own_keys(
    tick: Tick, landed: None, source: Path
) -> None:
    added = arrive(source, "customer-2.json")
    keys = [tick().run_requests[0].run_key]
    arrive(source, "customer-2.json", "{}\n{}\n")
    keys.append(tick().run_requests[0].run_key)
    added.rename(added.with_name("customer-3.json"))
    keys.append(tick().run_requests[0].run_key)
    assert len(set(keys)) == 3


def test__landing_sensor__passes_over_a_file_that_is_being_written(
    tick: Tick, landed: None, source: Path
) -> None:
    path = arrive(source, "customer-2.json")
    settle(path, seconds=0)
    assert tick().run_requests == []
    settle(path)
    assert len(tick().run_requests) == 1


@pytest.mark.parametrize("job", ["refresh_from_landing", "materialize_lakehouse", "__ASSET_JOB"])
@pytest.mark.parametrize("event", ["PIPELINE_STARTING", "PIPELINE_START", "PIPELINE_CANCELING"])
def test__landing_sensor__asks_for_none_while_a_run_may_take_it(
    tick: Tick,
    instance: dg.DagsterInstance,
    landed: None,
    source: Path,
    job: str,
    event: str,
) -> None:
    run = create_run_for_test(instance, job_name=job)
    instance.report_dagster_event(DagsterEvent(event, job), run.run_id)
    for name in ("a.json", "b.json", "c.json"):
        arrive(source, name)
        assert tick().run_requests == []
    instance.delete_run(run.run_id)
    assert len(tick().run_requests) == 1


def test__landing_sensor__compares_afterwards_with_what_has_landed(
    tick: Tick, begin: Begin, instance: dg.DagsterInstance, landed: None, source: Path
) -> None:
    arrive(source, "a.json")
    end = begin(tick())
    arrive(source, "b.json")
    tick()
    take(instance, source, "customer")  # the run has taken the later file too
    end(SUCCESS)
    assert tick().run_requests == []


def test__landing_sensor__file_that_had_not_settled_is_taken_in_afterwards(
    tick: Tick, begin: Begin, instance: dg.DagsterInstance, landed: None, source: Path
) -> None:
    """It changed just before the run, which left it out; then nothing else changes."""
    arrive(source, "a.json")
    settle(arrive(source, "b.json"), seconds=0)
    end = begin(tick())
    settle(source / "customer" / "landing" / "b.json")  # while the run is in progress
    tick()
    take(instance, source, "customer", but="b.json")
    end(SUCCESS)
    assert selected(tick()) == DOWNSTREAM["customer"]


def test__landing_sensor__file_that_changed_and_changed_back(
    tick: Tick, begin: Begin, instance: dg.DagsterInstance, landed: None, source: Path
) -> None:
    path = arrive(source, "a.json")
    as_it_was = path.stat().st_mtime_ns
    end = begin(tick())
    arrive(source, "a.json", "{}\n{}\n")
    take(instance, source, "customer")  # the run has taken this
    path.write_text("{}\n")
    os.utime(path, ns=(as_it_was, as_it_was))
    end(SUCCESS)
    assert len(tick().run_requests) == 1


def test__landing_sensor__watches_landing_where_there_is_no_source(
    tick: Tick, tmp_path: Path
) -> None:
    project = define(Settings(str(tmp_path / "lakehouse"), "", ""))
    assert tick(project).skip_message == "0 files, and all have landed."
    landing = tmp_path / "lakehouse" / CUSTOMER_LANDING.location
    landing.mkdir(parents=True)
    (landing / "customer-1.json").write_text("{}\n")
    settle(landing / "customer-1.json")
    assert len(tick(project).run_requests) == 1


def test__landing_sensor__nothing_new_in_landing_where_there_is_no_source(
    tick: Tick, source: Path, tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    shutil.copytree(source, tmp_path / "lakehouse")
    project = define(Settings(str(tmp_path / "lakehouse"), "", ""))
    assert materialize(project, instance, *TABLES).success
    assert tick(project).run_requests == []


def test__landing_sensor__source_does_not_exist(tick: Tick, tmp_path: Path) -> None:
    project = define(Settings(str(tmp_path / "lakehouse"), str(tmp_path / "nowhere"), ""))
    with pytest.raises(LakehouseError, match=r"STEDI_SOURCE_DATA names .*nowhere, which is not"):
        tick(project)


# Again


def test__landing_sensor__failed_run_is_requested_again_after_a_growing_wait(
    tick: Tick, begin: Begin, landed: None, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sensors, "RETRY_AFTER_SECONDS", (0, 3600))
    arrive(source, "a.json")
    first = tick()
    end = begin(first)
    assert tick().run_requests == []  # it has not failed
    end(FAILURE)
    again = tick()
    key = first.run_requests[0].run_key
    assert again.run_requests[0].run_key == f"{key}-retry-1"
    assert selected(again) == selected(first)
    begin(again)(FAILURE)
    assert tick().run_requests == []  # not yet
    monkeypatch.setattr(sensors, "RETRY_AFTER_SECONDS", (0, 0))
    last = tick()
    begin(last)(FAILURE)
    assert last.run_requests[0].run_key == f"{key}-retry-2"
    assert tick().run_requests == []  # no more


def test__landing_sensor__failed_downstream_of_what_has_landed(
    tick: Tick,
    begin: Begin,
    instance: dg.DagsterInstance,
    landed: None,
    source: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sensors, "RETRY_AFTER_SECONDS", (0, 0))
    arrive(source, "a.json")
    end = begin(tick())
    take(instance, source, "customer")
    end(FAILURE)
    again = tick()
    assert selected(again) == DOWNSTREAM["customer"]
    begin(again)(FAILURE)
    # Other runs, of automation conditions or by hand, have made the tables since.
    for name in DOWNSTREAM["customer"]:
        instance.report_runless_asset_event(dg.AssetMaterialization(name))
    take(instance, source, "customer")
    assert tick().run_requests == []


def test__landing_sensor__new_file_after_failures_begins_anew_and_leaves_nothing_behind(
    tick: Tick,
    begin: Begin,
    instance: dg.DagsterInstance,
    landed: None,
    source: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sensors, "RETRY_AFTER_SECONDS", (0, 3600))
    arrive(source, "a.json")
    end = begin(tick())
    take(instance, source, "customer")
    end(FAILURE)
    begin(tick())(FAILURE)
    arrive(source, "new.json", of="step_trainer")
    told = tick()
    assert "retry" not in told.run_requests[0].run_key
    assert selected(told) == DOWNSTREAM["customer"] | DOWNSTREAM["step_trainer"]


def test__landing_sensor__source_that_a_check_refused_does_not_hold_up_others(
    tick: Tick, begin: Begin, defs: dg.Definitions, instance: dg.DagsterInstance, source: Path
) -> None:
    assert materialize(defs, instance, *TABLES).success
    arrive(source, "malformed.json", "{\n")
    end = begin(tick())
    materialize(defs, instance, "customer_landing", "customer_quarantine")
    end(FAILURE)
    arrive(source, "new.json", of="step_trainer")
    assert selected(tick()) == DOWNSTREAM["step_trainer"]


@pytest.mark.parametrize("status", [SUCCESS, dg.DagsterRunStatus.CANCELED])
def test__landing_sensor__only_failed_runs_are_requested_again(
    tick: Tick, begin: Begin, status, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sensors, "RETRY_AFTER_SECONDS", (0,))
    begin(tick())(status)
    assert tick().run_requests == []


# The cursor


@pytest.mark.parametrize(("paged", "name"), [(False, ""), (True, "ü" * 40)], ids=["disk", "bucket"])
def test__cursor__is_below_a_kilobyte_whatever_the_folder_holds(paged: bool, name: str) -> None:
    many = Contents(10**9, (1 << 128) - 1)
    seen = Seen(many, name, many if paged else Contents(), name)
    largest = Cursor({table.source: seen for table in LANDING_TABLES}, "f" * 32, "f" * 32, 10**6, 3)

    assert len(largest.dump().encode()) < 1024
    assert Cursor.load(largest.dump()) == largest


@pytest.mark.parametrize("text", [None, "", "not JSON", "[]", '{"seen": {}}', '[{"a": 1}]', "[1]"])
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
    assert len(list(defs.sensors or [])) == 3
    assert {sensor.default_status for sensor in defs.sensors or []} == {
        dg.DefaultSensorStatus.STOPPED
    }
    for sensor in defs.sensors or []:
        assert sensor.description
        assert sensor.description.endswith(".")
