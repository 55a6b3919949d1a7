"""A table that loses rows without a reason is not written, and stays so until they return."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from stedi_assets.orchestration.checks.volume import Volume
from stedi_assets_tests.checks.project import (
    CUSTOMERS,
    DEVICES,
    PHONES,
    ROWS,
    TRAINED,
    TRAINING,
    Project,
    figures,
    person,
    recorded,
    refused,
    shifted,
    volumes,
)
from stedi_assets_tests.rows import (
    customer,
)

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("how", ["overwritten", "replaced"])
def test__training_table__becomes_empty(project: Project, how: str) -> None:
    arrive = project.land if how == "overwritten" else project.replace
    arrive(PHONES, shifted(recorded()[PHONES.name]))

    for _ in range(2):  # and stays so
        result = project.run()

        assert not result.success
        assert refused(result) == set(TRAINED)
        for name in TRAINED:
            lost = {"rows": 0, "accepted_rows": 200, "unexplained": 200}
            assert figures(result, name) == lost
        assert volumes(result)["machine_learning_curated"].description == (
            "0 rows, 200 in the last accepted version; 200 lost without a reason. The table keeps "
            "that version. Restore what is missing in landing, or set accept_volume: true in the "
            "run configuration of machine_learning_curated to accept the loss."
        )
        assert project.rows() == ROWS

    arrive(PHONES, recorded()[PHONES.name])
    assert project.run().success
    assert project.rows() == ROWS


def test__readings__are_gone_from_landing(project: Project) -> None:
    project.land(PHONES, recorded()[PHONES.name][3:])

    result = project.run()

    assert refused(result) == {"accelerometer_trusted"}
    assert figures(result, "accelerometer_trusted")["unexplained"] == 3
    assert project.rows() == ROWS


def test__people__are_gone_from_landing(project: Project) -> None:
    project.land(CUSTOMERS, recorded()[CUSTOMERS.name][1:])
    result = project.run()
    assert refused(result) == {"customer_trusted"}
    assert project.rows() == ROWS


def test__small_losses__add_up(project: Project) -> None:
    """To more than the hundredth that may be lost."""
    readings = recorded()[DEVICES.name]
    for lost, passes in ((1, True), (2, True), (3, False)):
        project.land(DEVICES, readings[lost:])
        result = project.run()
        assert result.success is passes
        assert figures(result, "step_trainer_trusted")["unexplained"] == lost
    assert project.rows()["step_trainer_trusted"] == ROWS["step_trainer_trusted"] - 2


def test__accept_volume__accepts_once(project: Project) -> None:
    project.land(PHONES, shifted(recorded()[PHONES.name]))

    accepts: dict[str, Any] = {key: {"accept_volume": True} for key in TRAINED}
    accepted = project.run(**accepts)

    assert accepted.success
    assert project.rows() == ROWS | dict.fromkeys(TRAINED, 0)
    found = volumes(accepted)["machine_learning_curated"]
    assert found.description == (
        "0 rows, 200 in the last accepted version; 200 lost without a reason. The run accepts that "
        "by accept_volume."
    )
    # From then on the table is compared with what was accepted.
    assert project.run().success
    project.land(PHONES, recorded()[PHONES.name])
    assert project.run().success
    project.land(PHONES, shifted(recorded()[PHONES.name]))
    assert refused(project.run()) == set(TRAINED)


def test__first_version__may_be_empty(tmp_path: Path) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        project = Project(tmp_path / "lakehouse", instance)
        project.land(CUSTOMERS, [customer(person(0), consent=None)])
        result = project.run()
        assert result.success
        assert figures(result, "customer_trusted") == {"rows": 0}


@pytest.mark.parametrize(
    ("rows", "accepted_rows", "reasons", "unexplained", "passed", "compared_next"),
    [
        (0, None, {}, 0, True, 0),
        (0, 0, {}, 0, True, 0),
        (5, 4, {}, 0, True, 5),
        (99, 100, {}, 1, True, 100),
        (98, 100, {}, 2, False, 100),
        (0, 50, {"withdrawal": 50}, 0, True, 0),
        (0, 1_000, {"withdrawal": 999}, 1, False, 1),
        (90, 100, {"withdrawal": 12}, 0, True, 90),
        (89, 100, {"withdrawal": 10}, 1, True, 90),
    ],
)
def test__volume__judges(
    rows: int,
    accepted_rows: int | None,
    reasons: dict[str, int],
    unexplained: int,
    passed: bool,
    compared_next: int,
) -> None:
    volume = Volume(TRAINING, rows, accepted_rows, reasons)
    assert (volume.unexplained, volume.passed) == (unexplained, passed)
    assert volume.next_accepted_rows == compared_next
    assert Volume(TRAINING, rows, accepted_rows, reasons, accepted=True).passed
