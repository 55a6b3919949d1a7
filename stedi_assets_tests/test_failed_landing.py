"""A run whose landing fails leaves every check as it was: none of those after it ran."""

from __future__ import annotations

import json
import os
import urllib.request
from pathlib import Path

import dagster as dg
import pytest

from stedi_assets_tests import daemon, ui
from stedi_assets_tests.runs import Run

FAILURE = dg.DagsterRunStatus.FAILURE
# What the UI asks for the checks of an asset.
SHOWN = """{ assetNodes {
    assetKey { path }
    assetChecksOrError { ... on AssetChecks { checks {
        name executionForLatestMaterialization { runId status evaluation { timestamp success } }
    } } }
} }"""
# The sources whose landing does not fail.
LANDED = {"accelerometer_landing", "step_trainer_landing"}


@pytest.fixture
def environment(small: Path, tmp_path: Path) -> dict[str, str]:
    """The settings of a project that `make dev` serves too."""
    daemon.home(tmp_path / "home")
    return {
        **os.environ,
        "DAGSTER_HOME": str(tmp_path / "home"),
        "STEDI_LAKEHOUSE_URI": str(tmp_path / "home" / "lakehouse"),
        "STEDI_SOURCE_DATA": str(small),
        "STEDI_SPARK_REMOTE": "",
    }


def shown(address: str) -> dict[str, list[dict]]:
    """The checks of each table that is not made again, as the UI gets them."""
    request = urllib.request.Request(
        f"{address}/graphql",
        json.dumps({"query": SHOWN}).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        nodes = json.load(answer)["data"]["assetNodes"]
    return {
        name: checks
        for node in nodes
        if (checks := node["assetChecksOrError"].get("checks"))
        if (name := node["assetKey"]["path"][0]) not in LANDED
    }


def test__landing_fails__checks_stay_as_they_were(
    environment: dict[str, str], small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, log = tmp_path / "home", tmp_path / "home" / "log"
    monkeypatch.setenv("STEDI_SOURCE_DATA", str(small))
    assert Run(environment).end().exit_status == 0
    with ui.served(home) as address, dg.DagsterInstance.from_config(str(home)) as instance:
        before = shown(address)
        executions = [
            check["executionForLatestMaterialization"]
            for checks in before.values()
            for check in checks
        ]
        assert len(executions) > 35
        assert all(each["status"] in ("SUCCEEDED", "FAILED") for each in executions)

        (small / "customer" / "landing" / "link.json").symlink_to("customer-1.json")
        failed = Run(environment).end()
        assert failed.exit_status == 1
        [row] = [line for line in failed.printed.splitlines() if "machine_learning_cur" in line]
        assert row.split() == ["machine_learning_curated", "not", "run"]
        assert shown(address) == before

        # By the queue too.
        daemon.dagster("job launch -w workspace.yaml -j materialize_lakehouse", environment)
        daemon.until(lambda: instance.get_runs()[0].is_finished, log)
        assert daemon.statuses(instance)[:2] == [FAILURE, FAILURE]
        assert shown(address) == before
