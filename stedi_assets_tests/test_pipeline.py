"""The whole pipeline, from files to the training table."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import pytest

from stedi_assets.lakehouse import delta
from stedi_assets.tables import DELTA_TABLES
from stedi_assets_tests import leaks
from stedi_assets_tests.conftest import PROJECT, Materialize
from stedi_assets_tests.runs import Run

SAMPLE = PROJECT / "data"

# The counts of the public data set; those of the machine-learning table follow its options.
REFERENCE_ROWS = {
    "customer_landing": 956,
    "accelerometer_landing": 81_273,
    "step_trainer_landing": 28_680,
    "customer_trusted": 482,
    "accelerometer_trusted": 40_981,
    "customer_curated": 482,
    "step_trainer_trusted": 14_460,
    "customer_training": 482,
    "training_set": 32_025,
}
OPTIONS = [
    # after_consent_only, match_device, rows, pairs of two people, readings before consent
    (False, False, 43_681, 2_700, 9_244),
    (False, True, 40_981, 0, 8_956),
    (True, False, 34_437, 2_412, 0),
    (True, True, 32_025, 0, 0),
]
NOTHING_MALFORMED = {
    "customer_quarantine": 0,
    "accelerometer_quarantine": 0,
    "step_trainer_quarantine": 0,
}


@pytest.mark.parametrize(("after", "match", "rows", "two_people", "before"), OPTIONS)
def test__pipeline__reference_data(
    materialize: Materialize,
    reference_data: Path,
    after: bool,
    match: bool,
    rows: int,
    two_people: int,
    before: int,
) -> None:
    options = {"after_consent_only": after, "match_device": match}

    run = materialize(reference_data, machine_learning_curated=options)

    assert run.result.success, run.printed
    table = "machine_learning_curated"
    assert run.rows == {**REFERENCE_ROWS, **NOTHING_MALFORMED, table: rows}
    assert run.check(table, "counts").metadata["expected"].value == rows
    assert _at_fault(run.check(table, "pairs_of_two_people")) == two_people
    assert _at_fault(run.check(table, "readings_before_consent")) == before
    assert all(check.passed for check in run.result.get_asset_check_evaluations())


@pytest.mark.parametrize(("after", "match"), [option[:2] for option in OPTIONS])
def test__pipeline__sample_as_its_manifest_records(
    materialize: Materialize, tmp_path: Path, after: bool, match: bool
) -> None:
    recorded = json.loads((SAMPLE / "manifest.json").read_text())["rows"]
    enabled = ["after_consent_only"] * after + ["match_device"] * match

    run = materialize(
        SAMPLE, machine_learning_curated={"after_consent_only": after, "match_device": match}
    )

    assert run.result.success, run.printed
    assert (tmp_path / "lakehouse").stat().st_mode & 0o777 == 0o700
    assert run.rows == {
        **{name: rows for name, rows in recorded.items() if "+" not in name},
        **NOTHING_MALFORMED,
        "machine_learning_curated": recorded["+".join(["machine_learning_curated", *enabled])],
    }


def test__pipeline__run_again_changes_nothing(materialize: Materialize, tmp_path: Path) -> None:
    first = materialize(SAMPLE)
    states = _states(tmp_path / "lakehouse")

    second = materialize(SAMPLE)

    assert second.rows == first.rows
    assert _states(tmp_path / "lakehouse") == states
    assert _data_versions(second) == _data_versions(first)


def test__pipeline__killed_twice_then_run_again(tmp_path: Path) -> None:
    lakehouse = tmp_path / "lakehouse"
    history = tmp_path / "dagster"
    history.mkdir()
    environment = {
        **os.environ,
        "STEDI_LAKEHOUSE_URI": str(lakehouse),
        "STEDI_SOURCE_DATA": str(SAMPLE),
        "STEDI_SPARK_REMOTE": "",
        "DAGSTER_HOME": str(history),
        "PYTHONUNBUFFERED": "1",
    }
    printed = ""
    for reached in ("accelerometer_quarantine", "customer_trusted"):
        run = Run(environment)
        while f"\n{reached}" not in f"\n{run.printed}":
            assert run.exit_status is None, run.printed
            time.sleep(0.01)
        run.process.kill()
        assert run.end().exit_status == -signal.SIGKILL
        printed += run.printed
        for table in DELTA_TABLES:
            delta.state(f"file://{lakehouse}/{table.location}")  # absent or whole, never damaged

    again = Run(environment).end()

    assert again.exit_status == 0, again.printed
    recorded = json.loads((SAMPLE / "manifest.json").read_text())["rows"]
    assert {name: state.rows for name, state in _states(lakehouse).items()} == {
        table.name: recorded[table.name] for table in DELTA_TABLES
    }
    (history / "printed").write_text(printed + again.printed)
    assert leaks.told(history, leaks.people_of(SAMPLE)) == []


def _at_fault(check) -> int:
    return check.metadata["rows_at_fault"].value


def _states(lakehouse: Path) -> dict[str, delta.TableState]:
    states = {
        table.name: delta.state(f"file://{lakehouse}/{table.location}") for table in DELTA_TABLES
    }
    return {name: state for name, state in states.items() if state is not None}


def _data_versions(run) -> dict[str, str]:
    return {
        event.asset_key.to_user_string(): event.step_materialization_data.materialization.tags[
            "dagster/data_version"
        ]
        for event in run.result.get_asset_materialization_events()
    }
