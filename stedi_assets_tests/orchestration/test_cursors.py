"""The sensor's cursor is small, is read tolerantly, and keeps no file name after an erasure."""

from __future__ import annotations

import time
from pathlib import Path

import dagster as dg
import pytest
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

from stedi_assets.landing.watch import Contents, Seen
from stedi_assets.orchestration.cursors import Cursor, delete_file_names
from stedi_assets.orchestration.sensors import landing_sensor
from stedi_assets.tables import LANDING_TABLES

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


def test__landing_sensor__keeps_no_file_name_and_goes_on(tmp_path: Path) -> None:
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
