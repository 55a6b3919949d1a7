"""All parts of a run judge by one time, and the next run by its own."""

import time

import dagster as dg
import pytest

from stedi_assets.orchestration.clock import Clock, time_of_run


def test__now__is_one_time_in_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter(range(1_700_000_000_000, 1_700_000_000_010))
    monkeypatch.setattr(time, "time_ns", lambda: next(ticks) * 1_000_000)

    @dg.asset
    def early(clock: Clock) -> int:
        return clock.now

    @dg.asset
    def late(context: dg.AssetExecutionContext, clock: Clock, early: int) -> tuple:
        return early, clock.now, time_of_run(context.run.run_id)

    def told() -> tuple:
        result = dg.materialize([early, late], resources={"clock": Clock()})
        found: tuple = result.output_for_node("late")
        return found

    first, second = told(), told()
    assert len(set(first)) == len(set(second)) == 1
    assert first < second
