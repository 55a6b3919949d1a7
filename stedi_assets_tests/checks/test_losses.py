"""What explains that a table loses rows is counted, and nothing else is taken for a reason."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest

from stedi_assets.policy import NO_OPTION, Options
from stedi_assets.pseudonyms import Pseudonyms
from stedi_assets_tests.checks.project import (
    CUSTOMERS,
    DEVICES,
    PEOPLE,
    PHONES,
    ROWS,
    TIMES,
    TRAINED,
    Project,
    explained,
    figures,
    person,
    recorded,
    refused,
    shifted,
    volumes,
)
from stedi_assets_tests.rows import (
    NOON,
    PSEUDONYMS,
    customer,
    device_reading,
    phone_reading,
)

pytestmark = pytest.mark.slow


def withdrawals(count: int) -> list[tuple]:
    return [
        customer(person(n), None, None, name=None, phone=None, updated=NOON) for n in range(count)
    ]


@pytest.mark.parametrize(
    ("count", "policy"), [(6, NO_OPTION), (PEOPLE, Options(pseudonymise_devices=True))]
)
def test__withdrawal__is_counted(project: Project, count: int, policy: Options) -> None:
    assert policy == NO_OPTION or project.run(policy).success
    project.land(CUSTOMERS, withdrawals(count), "later.json")

    result = project.run(policy)

    assert result.success
    lost = {name: rows * count // PEOPLE for name, rows in ROWS.items()}
    assert explained(result) == {name: {"withdrawal": rows} for name, rows in lost.items()}
    assert volumes(result)["customer_trusted"].description == (
        f"{PEOPLE - count} rows, 10 in the last accepted version; {count} explained by withdrawal, "
        "0 lost without a reason."
    )


def test__withdrawal__beside_an_unexplained_loss(project: Project) -> None:
    project.land(CUSTOMERS, withdrawals(1), "later.json")
    readings = recorded()[PHONES.name]
    project.land(PHONES, readings[: -2 * TIMES])

    result = project.run()

    assert refused(result) == {"accelerometer_trusted"}
    assert explained(result)["accelerometer_trusted"] == {"withdrawal": TIMES}
    assert figures(result, "accelerometer_trusted")["unexplained"] == 2 * TIMES


def test__withdrawal__of_one_whose_phone_goes_with_anothers_device(tmp_path: Path) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        project = Project(tmp_path / "lakehouse", instance)
        both = [phone_reading(person(n), NOON) for n in (0, 1)]
        project.land(PHONES, both)  # equal but for the user, so that their pairs are equal too
        project.land(DEVICES, [device_reading("device-0", NOON)])
        assert project.run().success
        assert project.rows()["machine_learning_curated"] == 2
        project.land(CUSTOMERS, [(*withdrawals(2)[1],)], "later.json")

        result = project.run()

        assert result.success
        assert explained(result)["machine_learning_curated"] == {"withdrawal": 1}


def test__later_consent__is_a_reason(project: Project) -> None:
    policy = Options(after_consent_only=True)
    assert project.run(policy).success
    anew = [customer(person(0), "device-0", NOON + 10, updated=NOON + 10)]
    project.land(CUSTOMERS, anew, "later.json")

    result = project.run(policy)

    assert result.success
    assert explained(result) == {key: {"withdrawal": 11} for key in TRAINED}


def test__replaced_file__is_counted_by_what_it_lacks(project: Project) -> None:
    readings = recorded()[PHONES.name]
    corrected = [(user, time, 2 * x, *rest) for user, time, x, *rest in readings[50:]]
    project.replace(PHONES, corrected)

    result = project.run()

    assert result.success
    lost = explained(result)
    assert lost["accelerometer_trusted"] == {"replaced_file": 50}
    assert lost["machine_learning_curated"]["replaced_file"] == 50
    assert lost["customer_curated"] == lost["customer_training"] == {"replaced_file": 2}


def test__hidden_devices__explain_no_loss(project: Project) -> None:
    project.land(PHONES, shifted(recorded()[PHONES.name]))
    result = project.run(Options(pseudonymise_devices=True))
    assert refused(result) == set(TRAINED)
    for name in TRAINED:
        assert figures(result, name)["unexplained"] == 200


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (NO_OPTION, Options(match_device=True)),
        (NO_OPTION, Options(after_consent_only=True)),
        (Options(pseudonymise_devices=True), Options(after_consent_only=True)),
    ],
)
def test__changed_options__are_a_reason(tmp_path: Path, first: Options, second: Options) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        project = Project(tmp_path / "lakehouse", instance)
        together = [phone_reading(person(n), NOON) for n in (0, 1)]
        project.land(PHONES, together)
        project.land(DEVICES, [device_reading("device-0", NOON)])
        late = customer(person(1), "device-1", consent=NOON + 1)
        project.land(CUSTOMERS, [customer(person(0), "device-0"), late])
        assert project.run(first).success

        result = project.run(second)

        assert result.success
        assert explained(result) == {"machine_learning_curated": {"changed_options": 1}}


def test__changed_code__is_a_reason_for_all_that_is_made_by_it(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.land(PHONES, recorded()[PHONES.name][100:])
    monkeypatch.setattr("stedi_assets.lakehouse.making.reader_version", lambda table: "another")

    result = project.run()

    assert result.success
    assert explained(result)["accelerometer_trusted"] == {"changed_code": 100}
    assert explained(result)["machine_learning_curated"] == {"changed_code": 100}


def test__erasure__is_counted(project: Project) -> None:
    pseudonym = Pseudonyms(PSEUDONYMS.key).of_text(person(0))
    erasing = {"erase_from_landing": [pseudonym]}
    # Who still agrees must be out of the tables before the rest can be erased.
    assert not project.run(job="erase_withdrawn", config=erasing).success

    result = project.run()

    assert result.success
    assert explained(result)["customer_trusted"] == {"erasure": 1}
    assert explained(result)["accelerometer_trusted"] == {"erasure": TIMES}
    assert explained(result)["machine_learning_curated"]["erasure"] >= TIMES
    assert project.rows()["machine_learning_curated"] == ROWS["machine_learning_curated"] - TIMES
    assert project.run(job="erase_withdrawn", config=erasing).success


# The judgement itself
