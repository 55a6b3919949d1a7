"""A run whose landing fails leaves every check as it was: none of those after it ran."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus

from stedi_assets.definitions import defs
from stedi_assets_tests import daemon
from stedi_assets_tests.runs import Run

FAILURE = dg.DagsterRunStatus.FAILURE
# The landing tables that do not fail.
LANDED = {dg.AssetKey("accelerometer_landing"), dg.AssetKey("step_trainer_landing")}


@pytest.fixture
def environment(small: Path, tmp_path: Path) -> dict[str, str]:
    """The settings of a project of the test's own."""
    return {
        **os.environ,
        "DAGSTER_HOME": str(daemon.home(tmp_path / "home")),
        "STEDI_LAKEHOUSE_URI": str(tmp_path / "home" / "lakehouse"),
        "STEDI_SOURCE_DATA": str(small),
        "STEDI_SPARK_REMOTE": "",
    }


def executions(
    instance: dg.DagsterInstance,
) -> dict[dg.AssetCheckKey, tuple[str, AssetCheckExecutionRecordStatus]]:
    """The latest execution of each check of what does not land again, as the UI shows it."""
    keys = [
        key for key in defs.resolve_asset_graph().asset_check_keys if key.asset_key not in LANDED
    ]
    found = instance.event_log_storage.get_latest_asset_check_execution_by_key(keys)
    return {key: (record.run_id, record.status) for key, record in found.items()}


def test__landing_fails__checks_stay_as_they_were(
    environment: dict[str, str], small: Path, tmp_path: Path
) -> None:
    assert Run(environment).end().exit_status == 0
    with dg.DagsterInstance.from_config(str(tmp_path / "home")) as instance:
        before = executions(instance)
        assert len(before) > 35
        assert AssetCheckExecutionRecordStatus.PLANNED not in {each[1] for each in before.values()}

        (small / "customer" / "landing" / "link.json").symlink_to("customer-1.json")
        failed = Run(environment).end()
        assert failed.exit_status == 1
        [row] = [line for line in failed.printed.splitlines() if "machine_learning_cur" in line]
        assert row.split() == ["machine_learning_curated", "not", "run"]
        assert executions(instance) == before

        # By the executor of the UI and the queue too.
        job = ("job", "execute", "-m", "stedi_assets.definitions", "-j", "materialize_lakehouse")
        command = [str(daemon.BIN / "dagster"), *job]
        subprocess.run(
            command, env=environment, cwd=daemon.PROJECT, capture_output=True, check=False
        )
        assert daemon.statuses(instance)[:2] == [FAILURE, FAILURE]
        assert executions(instance) == before
