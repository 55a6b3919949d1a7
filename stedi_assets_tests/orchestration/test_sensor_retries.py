"""The landing sensor requests a failed run again, after a growing wait."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest

from stedi_assets.orchestration import sensors
from stedi_assets_tests.orchestration.conftest import (
    DOWNSTREAM,
    FAILURE,
    SUCCESS,
    Begin,
    Tick,
    arrive,
    selected,
    take,
)


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
    result = tick()
    assert "retry" not in result.run_requests[0].run_key
    assert selected(result) == DOWNSTREAM["customer"] | DOWNSTREAM["step_trainer"]


@pytest.mark.parametrize("status", [SUCCESS, dg.DagsterRunStatus.CANCELED])
def test__landing_sensor__only_failed_runs_are_requested_again(
    tick: Tick, begin: Begin, status, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sensors, "RETRY_AFTER_SECONDS", (0,))
    begin(tick())(status)
    assert tick().run_requests == []
