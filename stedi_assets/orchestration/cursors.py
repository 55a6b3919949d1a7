"""What Dagster's history keeps of landing files: the sensor's cursor has names of some."""

from __future__ import annotations

import time

import dagster as dg
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.scheduler.instigation import SensorInstigatorData

from stedi_assets.landing.watch import LANDING_SENSOR


def delete_file_names(instance: dg.DagsterInstance) -> None:
    """Deletes what the landing sensor remembers: a name may hold what identifies a person.

    The sensor starts anew from what has landed, so that it requests no run for it.

    Args:
        instance: Keeps the history.
    """
    if instance.schedule_storage is None:
        return  # an instance of one process, in which no sensor runs
    for state in instance.all_instigator_state(instigator_type=InstigatorType.SENSOR):
        data = state.instigator_data
        if state.instigator_name == LANDING_SENSOR and isinstance(data, SensorInstigatorData):
            origin, selector = state.instigator_origin_id, state.selector_id
            instance.purge_ticks(origin, selector, before=time.time())
            instance.update_instigator_state(state.with_data(data._replace(cursor=None)))
