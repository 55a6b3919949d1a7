"""`dg`, Dagster's command line for projects, from the repository's root."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import dagster as dg

from stedi_assets import dev
from stedi_assets.orchestration.headline import RUNS
from stedi_assets.orchestration.runs import LOCATION
from stedi_assets.tables import quarantine_of, records_of
from stedi_assets.tables.customer import CUSTOMER_LANDING
from stedi_assets_tests import daemon
from stedi_assets_tests.conftest import PROJECT


def run(folder: Path, lakehouse: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs a command of `dg` on a lakehouse and the history in a folder."""
    return subprocess.run(
        [Path(sys.executable).with_name("dg"), *arguments],
        cwd=PROJECT,
        env={
            **os.environ,
            "DAGSTER_HOME": str(folder / "home"),
            "STEDI_LAKEHOUSE_URI": str(folder / lakehouse),
            "STEDI_SOURCE_DATA": str(folder / "source"),
        },
        capture_output=True,
        text=True,
        check=False,
    )


def test__project__is_that_of_make_dev() -> None:
    """So that one history shows the runs of both."""
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["tool"]["dg"]["project"]

    found = project["code_location_target_module"], project["code_location_name"]
    assert found == (dev.MODULE, LOCATION)


def test__launch__one_landing_table(small: Path, tmp_path: Path) -> None:
    """It is shown as run by this project; another lakehouse is kept out of its history."""
    home = daemon.home(tmp_path / "home")
    assert small == tmp_path / "source"

    launched = run(tmp_path, "lakehouse", "launch", "--assets", f"key:{CUSTOMER_LANDING.name}")
    other = run(tmp_path, "other", "check", "defs", "--no-check-yaml")

    assert launched.returncode == 0, launched.stderr
    for table in (records_of(CUSTOMER_LANDING), quarantine_of(CUSTOMER_LANDING)):
        assert (tmp_path / "lakehouse" / table.location / "_delta_log").is_dir()
    with dg.DagsterInstance.from_config(str(home)) as instance:
        [launch] = instance.get_runs()
        made = instance.get_asset_keys()
    assert {key.to_user_string() for key in made} == {CUSTOMER_LANDING.name, *RUNS.key.path}
    assert launch.remote_job_origin is not None
    assert launch.remote_job_origin.location_name == LOCATION
    assert other.returncode != 0
    assert "[HISTORY]" in other.stdout + other.stderr
