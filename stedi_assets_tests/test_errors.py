"""A fault of storage that may pass is tried again; nothing else is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from stedi_assets.lakehouse.lakehouse import Lakehouse
from stedi_assets.landing import upload as arrival
from stedi_assets.orchestration import failures
from stedi_assets.orchestration.clock import Clock
from stedi_assets.orchestration.failures import CHECK_FAILED, shown_of
from stedi_assets.storage import faults
from stedi_assets_tests.conftest import Materialize

OVERLOADED = ClientError({"Error": {"Code": "SlowDown"}}, "PutObject")
FULL = OSError(28, "No space left on device")
BUG = ZeroDivisionError("division by zero")

PLACES = [(arrival, "ingest"), (Lakehouse, "write"), (Lakehouse, "read")]


class Failing:
    """Calls a function, after it has failed a number of times."""

    def __init__(self, function: Callable, error: Exception, times: int) -> None:
        self.function, self.error, self.times = function, error, times
        self.calls = 0

    def __get__(self, instance: object, owner: type) -> Callable:
        return lambda *args, **named: self(instance, *args, **named)

    def __call__(self, *args, **named):
        self.calls += 1
        if self.calls <= self.times:
            raise faults.fault("file:///lakehouse", self.error) or self.error
        return self.function(*args, **named)


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failures, "RETRY_SECONDS", 0)


@pytest.mark.parametrize(("owner", "name"), PLACES, ids=["ingest", "write", "read"])
def test__transient_fault__passes(
    materialize: Materialize, small: Path, monkeypatch: pytest.MonkeyPatch, owner, name: str
) -> None:
    failing = Failing(getattr(owner, name), OVERLOADED, times=failures.RETRIES)
    monkeypatch.setattr(owner, name, failing)

    run = materialize(small)

    assert run.result.success, run.printed
    assert failing.calls > failures.RETRIES
    assert run.printed.count("may pass; trying again") == failures.RETRIES


def test__transient_fault__that_stays(
    materialize: Materialize, small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing = Failing(arrival.ingest, OVERLOADED, times=99)
    monkeypatch.setattr(arrival, "ingest", failing)

    run = materialize(small)

    assert not run.result.success
    assert failing.calls == 3 * (1 + failures.RETRIES)  # of each source
    assert run.printed.count("[OVERLOADED]") == 1  # each step meets the same


@pytest.mark.parametrize("error", [FULL, BUG], ids=["disk full", "bug"])
def test__other_faults__are_not_tried_again(
    materialize: Materialize, small: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    failing = Failing(arrival.ingest, error, times=99)
    monkeypatch.setattr(arrival, "ingest", failing)

    run = materialize(small)

    assert not run.result.success
    assert failing.calls == 3
    assert "trying again" not in run.printed


def test__failure_told__blocking_check(materialize: Materialize, small: Path) -> None:
    (small / "customer" / "landing" / "malformed.json").write_text("{\n")

    run = materialize(small)

    [failed] = [event for event in run.result.all_events if event.is_step_failure]
    assert shown_of(failed.step_failure_data) == CHECK_FAILED
    assert CHECK_FAILED not in run.printed


def test__materialize__fails_before_the_first_step(
    materialize: Materialize, small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("ann@example.com")

    monkeypatch.setattr(Clock, "setup_for_execution", fail)
    run = materialize(small)
    assert not run.result.success
    assert "failed before the first step: an unexpected error; its trace is with" in run.printed
    assert "ann@example.com" not in run.printed
