"""A change flows on to the tables downstream, and stops where a blocking check fails."""

from __future__ import annotations

import shutil
from pathlib import Path

import dagster as dg

from stedi_assets.definitions import define
from stedi_assets.settings import Settings
from stedi_assets.tables import TABLES
from stedi_assets_tests.orchestration.conftest import (
    DOWNSTREAM,
    FAILURE,
    Begin,
    Tick,
    arrive,
    materialize,
    selected,
)


def _requested(
    defs: dg.Definitions, instance: dg.DagsterInstance, cursor
) -> tuple[set[str], object]:
    """What the conditions request, and their cursor afterwards."""
    result = dg.evaluate_automation_conditions(defs, instance=instance, cursor=cursor)
    keys = {each.key for each in result.results if not each.true_subset.is_empty}
    return {key.to_user_string() for key in keys}, result.cursor


def test__conditions__a_partial_materialisation_flows_on(
    defs: dg.Definitions, instance: dg.DagsterInstance, tick: Tick
) -> None:
    assert materialize(defs, instance, *TABLES).success
    assert tick().run_requests == []  # the sensor is switched on after a run, which has taken all

    _, cursor = _requested(defs, instance, None)
    nothing, cursor = _requested(defs, instance, cursor)
    materialize(defs, instance, "step_trainer_landing", "step_trainer_quarantine")
    downstream, cursor = _requested(defs, instance, cursor)
    materialize(defs, instance, *downstream)

    assert nothing == set()
    assert downstream == {"step_trainer_trusted", "machine_learning_curated", "training_set"}
    assert _requested(defs, instance, cursor)[0] == set()


def test__blocking_check_fails(
    tick: Tick, begin: Begin, defs: dg.Definitions, instance: dg.DagsterInstance, source: Path
) -> None:
    """No table downstream is requested, and other sources are not held up."""
    assert materialize(defs, instance, *TABLES).success
    _, cursor = _requested(defs, instance, None)
    arrive(source, "malformed.json", "{\n")
    end = begin(tick())
    assert not materialize(defs, instance, "customer_landing", "customer_quarantine").success
    end(FAILURE)

    assert _requested(defs, instance, cursor)[0] == set()
    arrive(source, "new.json", of="step_trainer")
    assert selected(tick()) == DOWNSTREAM["step_trainer"]


def test__landing_sensor__nothing_new_in_landing_where_there_is_no_source(
    tick: Tick, source: Path, tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    shutil.copytree(source / "customer", tmp_path / "lakehouse" / "customer")
    project = define(Settings(lakehouse_uri=str(tmp_path / "lakehouse"), source_data=""))
    assert materialize(project, instance, "customer_landing", "customer_quarantine").success
    assert tick(project).run_requests == []
