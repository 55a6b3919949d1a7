"""On request an erasure takes people out of landing too; killed at any step, it can be re-run."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest

from stedi_assets.erasure.erasure import Erasure
from stedi_assets_tests.erasure.conftest import ANN, HERS, Lakehouse
from stedi_assets_tests.rows import PSEUDONYMS

pytestmark = pytest.mark.slow


def test__erase__from_landing_on_request(withdrawn: Lakehouse) -> None:
    landed = {path: path.read_text() for path in withdrawn.folder.glob("*/landing/[!.]*.json")}

    assert withdrawn.erase(ANN).success

    assert withdrawn.holding(*HERS) == set()
    for path, text in landed.items():
        kept = [
            line for line in text.splitlines() if not any(w.lower() in line.lower() for w in HERS)
        ]
        assert path.read_text().splitlines() == kept
    [record] = withdrawn.records
    assert record["landing_lines"] == {
        "customer_landing": 3,
        "accelerometer_landing": 1,
        "step_trainer_landing": 1,
    }
    withdrawn.materialize()
    assert withdrawn.holding(*HERS) == set()


def test__erase__from_landing_one_who_still_agrees(lakehouse: Lakehouse) -> None:
    """The tables have to follow before their history can go."""
    assert lakehouse.failure(ANN).startswith("[PEOPLE_LEFT] customer_trusted")
    assert {name for name in lakehouse.holding(*HERS) if "/landing/" in name} == set()

    lakehouse.materialize()
    assert lakehouse.erase(ANN).success
    assert lakehouse.holding(*HERS) == set()


def test__erase__known_from_a_reading_a_malformed_record_or_a_file_name(
    withdrawn: Lakehouse,
) -> None:
    reading = '{"user":"phone@example.com","timestamp":1700000000000,"x":1,"y":2,"z":3}'
    withdrawn.land("accelerometer", "only.json", reading)
    withdrawn.land("customer", "only.json", '{"email":"cut@example.com","pho')
    path = withdrawn.source / "customer" / "landing" / "ann@example.com.json"
    path.write_bytes(b'{"email":"\xff", "note":\n')
    withdrawn.materialize()
    words = (*HERS, "phone@example.com", "cut@example.com")
    people = (ANN, *map(PSEUDONYMS.of_text, words[-2:]))
    assert "customer/landing/ann@example.com.json" in withdrawn.holding(*words)

    assert withdrawn.erase(*people).success

    assert withdrawn.holding(*words) == set()
    # Once erased, a person stays known.
    assert withdrawn.erase(*people).success
    withdrawn.materialize()
    assert withdrawn.holding(*words) == set()


def test__erase__unknown_pseudonym(withdrawn: Lakehouse) -> None:
    """Nothing is done or recorded, for the others neither."""
    times = withdrawn.times

    failure = withdrawn.failure(ANN, PSEUDONYMS.of_text("nobody@example.com"))

    assert failure.startswith("[SETTING] 1 of the 2 pseudonyms in erase_from_landing")
    assert withdrawn.times == times


@pytest.mark.parametrize(
    ("step", "call"),
    [
        *(("write_record", 1), ("erase_quarantine", 1), ("delete_history", 1)),
        *(("delete_history", 4), ("erase_landing", 1), ("erase_landing", 3)),
    ],
)
def test__erase__killed_then_run_again(
    step: str, call: int, withdrawn: Lakehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = withdrawn.delta_rows
    really: Callable[..., object] = getattr(Erasure, step)
    calls = itertools.count(1)

    def die(*given: object) -> object:
        if next(calls) == call:
            raise SystemExit
        return really(*given)

    with monkeypatch.context() as patched:
        patched.setattr(Erasure, step, die)
        assert not withdrawn.erase(ANN).success
    assert withdrawn.delta_rows == rows

    assert withdrawn.erase(ANN).success

    assert withdrawn.holding(*HERS) == set()
    assert withdrawn.delta_rows == rows
