"""Of the names of landing files Dagster's history keeps none beyond an erasure."""

from __future__ import annotations

import time
from pathlib import Path

import dagster as dg
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.remote_origin import (
    RegisteredCodeLocationOrigin,
    RemoteInstigatorOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.scheduler.instigation import (
    InstigatorState,
    InstigatorStatus,
    SensorInstigatorData,
    TickData,
    TickStatus,
)

from stedi_assets.orchestration.cursors import delete_file_names
from stedi_assets.orchestration.sensors import landing_sensor

CURSOR = "customer/landing/ann@example.com.json"


def running(instance: dg.DagsterInstance, name: str) -> InstigatorState:
    """A sensor that has looked once."""
    location = RegisteredCodeLocationOrigin("stedi_assets")
    origin = RemoteInstigatorOrigin(RemoteRepositoryOrigin(location, "__repository__"), name)
    data = SensorInstigatorData(cursor=CURSOR, min_interval=15)
    state = InstigatorState(origin, InstigatorType.SENSOR, InstigatorStatus.RUNNING, data)
    instance.add_instigator_state(state)
    instance.create_tick(
        TickData(
            instigator_origin_id=state.instigator_origin_id,
            instigator_name=name,
            instigator_type=InstigatorType.SENSOR,
            status=TickStatus.SKIPPED,
            timestamp=time.time() - 60,
            selector_id=state.selector_id,
            cursor=CURSOR,
        )
    )
    return state


def test__landing_sensor__forgets_names_and_goes_on(tmp_path: Path) -> None:
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        states = [running(instance, name) for name in (landing_sensor.name, "run_failures")]
        delete_file_names(instance)
        ours, other = (
            instance.get_instigator_state(each.instigator_origin_id, each.selector_id)
            for each in states
        )
        assert ours and other
        assert (ours.status, ours.instigator_data) == (
            InstigatorStatus.RUNNING,
            SensorInstigatorData(min_interval=15),
        )
        assert other.instigator_data == states[1].instigator_data
        ticks = [instance.get_ticks(each.instigator_origin_id, each.selector_id) for each in states]
        assert [len(found) for found in ticks] == [0, 1]
