"""The landing sensor requests the source of new files and all downstream, once."""

from __future__ import annotations

import os
from pathlib import Path

import dagster as dg
import pytest
from dagster import DagsterEvent
from dagster._core.test_utils import create_run_for_test

from stedi_assets.definitions import define
from stedi_assets.errors import LakehouseError
from stedi_assets.settings import Settings
from stedi_assets.tables import TABLES
from stedi_assets.tables.customer import CUSTOMER_LANDING
from stedi_assets_tests.orchestration.conftest import (
    DOWNSTREAM,
    SUCCESS,
    Begin,
    Tick,
    arrive,
    selected,
    settle,
    take,
)


@pytest.mark.parametrize("name", DOWNSTREAM)
def test__landing_sensor__requests_the_source_and_all_downstream(
    tick: Tick, defs: dg.Definitions, landed: None, source: Path, name: str
) -> None:
    arrive(source, "new.json", of=name)
    result = tick()
    assert selected(result) == DOWNSTREAM[name]

    [request] = result.run_requests
    job = defs.resolve_job_def("refresh_from_landing").get_subset(
        asset_selection=set(request.asset_selection)
    )
    assert dg.validate_run_config(job, request.run_config)
    checked = {key.asset_key for key in job.asset_layer.asset_graph.asset_check_keys}
    assert {dg.AssetKey(f"{name}_landing"), dg.AssetKey("machine_learning_curated")} <= checked


def test__landing_sensor__sources_that_change_together_start_one_run(
    tick: Tick, landed: None, source: Path
) -> None:
    arrive(source, "new.json", of="accelerometer")
    arrive(source, "new.json", of="step_trainer")
    result = tick()
    assert selected(result) == DOWNSTREAM["accelerometer"] | DOWNSTREAM["step_trainer"]
    assert result.run_requests[0].tags["sources"] == "accelerometer, step_trainer"


def test__landing_sensor__first_requests_everything(tick: Tick) -> None:
    assert selected(tick()) == set(TABLES)


def test__landing_sensor__requests_sources_that_never_landed(
    tick: Tick, instance: dg.DagsterInstance, source: Path
) -> None:
    take(instance, source, "customer")
    assert selected(tick()) == set(TABLES) - {"customer_landing", "customer_quarantine"} - {
        "customer_trusted"
    }


def test__landing_sensor__no_file_triggers_twice(tick: Tick, begin: Begin) -> None:
    end = begin(tick())
    assert tick().run_requests == []
    end(SUCCESS)
    # Though landing took none of it: the same again would not either.
    assert tick().run_requests == []


def test__landing_sensor__same_files_give_the_same_key(tick: Tick) -> None:
    """Dagster starts no second run of a key, so a tick that is evaluated twice does no harm."""
    [first], [second] = tick().run_requests, tick(cursor=None).run_requests
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


@pytest.mark.parametrize(
    ("job", "event"),
    [
        ("refresh_from_landing", "PIPELINE_STARTING"),
        ("materialize_lakehouse", "PIPELINE_START"),
        ("__ASSET_JOB", "PIPELINE_CANCELING"),
    ],
)
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


def test__landing_sensor__fresh_file_is_requested_afterwards(
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
    project = define(Settings(lakehouse_uri=str(tmp_path / "lakehouse"), source_data=""))
    assert tick(project).skip_message == "0 files, and all have landed."
    landing = tmp_path / "lakehouse" / CUSTOMER_LANDING.location
    landing.mkdir(parents=True)
    (landing / "customer-1.json").write_text("{}\n")
    settle(landing / "customer-1.json")
    assert len(tick(project).run_requests) == 1


def test__landing_sensor__source_does_not_exist(tick: Tick, tmp_path: Path) -> None:
    nowhere = str(tmp_path / "nowhere")
    project = define(Settings(lakehouse_uri=str(tmp_path / "lakehouse"), source_data=nowhere))
    with pytest.raises(LakehouseError, match=r"STEDI_SOURCE_DATA names .*nowhere, which is not"):
        tick(project)
