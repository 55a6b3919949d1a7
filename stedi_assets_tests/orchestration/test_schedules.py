"""Schedules fit their jobs; no schedule or sensor is on by default."""

from __future__ import annotations

import datetime as dt

import dagster as dg
import pytest

from stedi_assets.orchestration.jobs import JOBS
from stedi_assets.tables import TABLES
from stedi_assets_tests.conftest import PROJECT

SCHEDULES = {
    "materialize_lakehouse_daily": ("materialize_lakehouse", "0 3 * * *"),
    "publish_training_set_daily": ("publish_training_set", "0 4 * * *"),
    "maintenance_weekly": ("maintenance", "0 5 * * 0"),
    "audit_lakehouse_weekly": ("audit_lakehouse", "0 6 * * 0"),
}


@pytest.mark.parametrize("name", SCHEDULES)
def test__schedule__fits_its_job(defs: dg.Definitions, name: str) -> None:
    schedule = defs.resolve_schedule_def(name)
    context = dg.build_schedule_context(
        scheduled_execution_time=dt.datetime(2024, 1, 7, 3, tzinfo=dt.UTC)
    )

    [request] = schedule.evaluate_tick(context).run_requests or []

    assert (schedule.job_name, schedule.cron_schedule) == SCHEDULES[name]
    assert dg.validate_run_config(defs.resolve_job_def(schedule.job_name), request.run_config)
    assert schedule.description
    assert schedule.execution_timezone in (None, "UTC")


def test__nothing_starts_by_itself(defs: dg.Definitions) -> None:
    schedules, sensors = list(defs.schedules or []), list(defs.sensors or [])
    assert {schedule.name for schedule in schedules} == set(SCHEDULES)
    assert {each.default_status for each in schedules} == {dg.DefaultScheduleStatus.STOPPED}
    assert len(sensors) == 3
    assert {each.default_status for each in sensors} == {dg.DefaultSensorStatus.STOPPED}


def test__schedule__daily_leaves_files_that_are_being_written(defs: dg.Definitions) -> None:
    config = defs.resolve_schedule_def("materialize_lakehouse_daily").evaluate_tick(
        dg.build_schedule_context()
    )
    [request] = config.run_requests or []
    assert {ops["config"]["settle_seconds"] for ops in request.run_config["ops"].values()} == {5}


@pytest.mark.parametrize("job", JOBS, ids=lambda job: job.name)
def test__job__is_described_and_tagged(job, defs: dg.Definitions) -> None:
    made = defs.resolve_job_def(job.name)
    assert made.description
    assert made.description.endswith(".")
    assert made.tags["scope"]


@pytest.mark.parametrize("name", ["stedi_assets", "deploy/docker"])
def test__instance__queues_runs_and_judges_freshness(name: str) -> None:
    import yaml

    settings = yaml.safe_load((PROJECT / name / "dagster.yaml").read_text())
    assert settings["concurrency"]["runs"]["max_concurrent_runs"] == 1
    assert settings["freshness"]["enabled"] is True


def test__freshness__every_table_has_a_policy(defs: dg.Definitions) -> None:
    hour = dt.timedelta(hours=1)
    specs = [spec for spec in defs.resolve_all_asset_specs() if spec.key.to_user_string() in TABLES]
    assert len(specs) == len(TABLES)
    for spec in specs:
        assert spec.freshness_policy == dg.FreshnessPolicy.time_window(50 * hour, 26 * hour)
