"""Real processes that start at once or are killed: the history stays whole and the queue moves."""

from __future__ import annotations

import os
import signal
import time
from itertools import pairwise
from pathlib import Path

import dagster as dg
import pytest

from stedi_assets.orchestration import runs
from stedi_assets_tests import daemon
from stedi_assets_tests.runs import Run

pytestmark = pytest.mark.slow

FAILURE, SUCCESS = dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.SUCCESS
QUEUE_A_RUN = "job launch -w workspace.yaml -j materialize_lakehouse"


@pytest.fixture
def environment(small: Path, tmp_path: Path) -> dict[str, str]:
    """The settings of a project of the test's own, which has no history yet."""
    return {
        **os.environ,
        "DAGSTER_HOME": str(tmp_path / "home"),
        "STEDI_LAKEHOUSE_URI": str(tmp_path / "lakehouse"),
        "STEDI_SOURCE_DATA": str(small),
        "STEDI_SPARK_REMOTE": "",
        "PYTHONUNBUFFERED": "1",
    }


def in_the_middle(environment: dict[str, str]) -> Run:
    """A `make materialize` that has made some tables and has others to make."""
    run = Run(environment)
    while "customer_trusted: " not in run.printed:
        assert run.exit_status is None, run.printed
        time.sleep(0.01)
    return run


def kill(run: Run) -> None:
    run.process.kill()
    assert run.end().exit_status == -signal.SIGKILL


def why_failed(instance: dg.DagsterInstance, run: dg.DagsterRun) -> str:
    [failure] = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.RUN_FAILURE)
    return failure.message


def test__first_starts_at_once__all_succeed_one_after_the_other(
    environment: dict[str, str], tmp_path: Path
) -> None:
    starts = 3
    started = [Run(environment) for _ in range(starts)]
    ended = [run.end() for run in started]

    assert [run.exit_status for run in ended] == [0] * starts, [run.printed for run in ended]
    assert sum(runs.WAITING in run.printed for run in ended) == starts - 1
    with dg.DagsterInstance.from_config(str(tmp_path / "home")) as instance:
        records = instance.get_run_records()
        times = sorted((each.start_time or 0, each.end_time or 0) for each in records)
    assert len(times) == starts
    assert all(end <= start for (_, end), (start, _) in pairwise(times))


def test__killed__next_start_marks_it_failed_and_leaves_others(
    environment: dict[str, str], tmp_path: Path
) -> None:
    kill(in_the_middle(environment))
    with dg.DagsterInstance.from_config(str(tmp_path / "home")) as instance:
        [killed] = instance.get_runs()
        assert killed.status is dg.DagsterRunStatus.STARTED
        # Of another machine with the same history: this one cannot know.
        elsewhere = instance.create_run_for_job(
            dg.job(name="elsewhere")(lambda: None), status=dg.DagsterRunStatus.STARTED
        )
        living = in_the_middle(environment)
        runs.fail_gone(instance)
        [running, *_] = instance.get_runs()

        assert running.status is dg.DagsterRunStatus.STARTED
        assert living.end().exit_status == 0, living.printed
        assert daemon.statuses(instance) == [SUCCESS, elsewhere.status, FAILURE]
        assert why_failed(instance, killed) == runs.GONE


def test__killed__queue_moves_on(environment: dict[str, str], tmp_path: Path) -> None:
    """First `make materialize` is killed, then the daemon with its code server and their run."""
    home, log = daemon.home(tmp_path / "home"), tmp_path / "log"
    kill(in_the_middle(environment))
    daemon.dagster(QUEUE_A_RUN, environment)
    with dg.DagsterInstance.from_config(str(home)) as instance:

        def made() -> bool:
            [latest, *_] = instance.get_runs()
            events = instance.all_logs(latest.run_id, of_type=dg.DagsterEventType.STEP_SUCCESS)
            return bool(events)

        with daemon.running(environment, log):
            daemon.until(made, log)
        assert daemon.statuses(instance) == [dg.DagsterRunStatus.STARTED, FAILURE]
        daemon.dagster(QUEUE_A_RUN, environment)
        with daemon.running(environment, log):
            daemon.until(lambda: instance.get_runs()[0].is_finished, log)

        assert daemon.statuses(instance) == [SUCCESS, FAILURE, FAILURE]
        for killed in list(instance.get_runs())[1:]:
            assert runs.GONE in why_failed(instance, killed)
