"""A table that loses rows without a reason is not written, and stays so until they return."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from stedi_assets.definitions import define
from stedi_assets.lakehouse import delta
from stedi_assets.landing.names import versioned
from stedi_assets.orchestration.checks.volume import Volume
from stedi_assets.policy import NO_OPTION, Options
from stedi_assets.pseudonyms import Pseudonyms
from stedi_assets.settings import Settings
from stedi_assets.tables import DELTA_TABLES, LANDING_TABLES, TABLES, Table
from stedi_assets.tables.machine_learning import MACHINE_LEARNING_CURATED
from stedi_assets_tests.rows import (
    NOON,
    PSEUDONYMS,
    customer,
    device_reading,
    phone_reading,
)

pytestmark = pytest.mark.slow

CUSTOMERS, PHONES, DEVICES = LANDING_TABLES
TRAINING = MACHINE_LEARNING_CURATED
PEOPLE, TIMES = 10, 20
HOUR = 3_600_000
Rows = dict[str, list[tuple]]


def person(number: int) -> str:
    return f"p{number}@example.com"


def recorded() -> Rows:
    """Ten people who agree, and each one's twenty readings of phone and device, none's at once."""
    readings = [(n, NOON + n * HOUR + t) for n in range(PEOPLE) for t in range(TIMES)]
    return {
        CUSTOMERS.name: [customer(person(n), f"device-{n}") for n in range(PEOPLE)],
        PHONES.name: [phone_reading(person(n), time) for n, time in readings],
        DEVICES.name: [device_reading(f"device-{n}", time) for n, time in readings],
    }


ROWS = {
    "customer_trusted": PEOPLE,
    "accelerometer_trusted": PEOPLE * TIMES,
    "customer_curated": PEOPLE,
    "step_trainer_trusted": PEOPLE * TIMES,
    "machine_learning_curated": PEOPLE * TIMES,
    "customer_training": PEOPLE,
    "training_set": PEOPLE * TIMES,
}
TRAINED = ("machine_learning_curated", "training_set")


class Project:
    """A lakehouse whose files arrive in landing by themselves."""

    def __init__(self, folder: Path, instance: dg.DagsterInstance) -> None:
        self.folder, self.instance = folder, instance
        if not folder.exists():
            for name, rows in recorded().items():
                self.land(TABLES[name], rows)

    def path(self, table: Table, name: str = "first.json") -> Path:
        """A landing file."""
        return self.folder / table.location / name

    def land(self, table: Table, rows: list[tuple], name: str = "first.json") -> None:
        """Writes a landing file, in place of one of that name."""
        lines = [dict(zip(table.column_names, row, strict=True)) for row in rows]
        path = self.path(table, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))

    def replace(self, table: Table, rows: list[tuple]) -> None:
        """Has a later version of the source's file land, and only that one counts."""
        self.land(table, rows, "arriving.json")
        arriving = self.path(table, "arriving.json")
        digest = hashlib.sha256(arriving.read_bytes()).hexdigest()
        arriving.rename(self.path(table, versioned("first.json", digest, ())))

    def run(
        self,
        policy: Options = NO_OPTION,
        job: str = "materialize_lakehouse",
        config: dict[str, Any] | None = None,
        **ops: dict[str, Any],
    ) -> dg.ExecuteInProcessResult:
        """A run; `ops` configures single assets."""
        settings = Settings(
            lakehouse_uri=str(self.folder),
            source_data="",
            pseudonym_key=PSEUDONYMS.key,
            **dict[str, Any](policy.as_dict()),
        )
        given = {"ops": {name: {"config": each} for name, each in ops.items()}}
        return (
            define(settings)
            .resolve_job_def(job)
            .execute_in_process(
                instance=self.instance, raise_on_error=False, run_config=config or given
            )
        )

    def rows(self) -> dict[str, int]:
        """Table to its rows, by the log."""
        states = {each.name: delta.state(f"file://{self.folder}/{each.location}") for each in MADE}
        return {name: state.rows for name, state in states.items() if state}


MADE = DELTA_TABLES


@pytest.fixture(scope="session")
def accepted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lakehouse in which every check has passed."""
    with dg.DagsterInstance.ephemeral() as instance:
        made = Project(tmp_path_factory.mktemp("accepted") / "lakehouse", instance)
        assert made.run().success
    assert made.rows() == ROWS
    return made.folder


@pytest.fixture
def project(accepted: Path, tmp_path: Path) -> Iterator[Project]:
    """The project with a copy of that lakehouse."""
    shutil.copytree(accepted, tmp_path / "lakehouse")
    with dg.DagsterInstance.ephemeral() as instance:
        yield Project(tmp_path / "lakehouse", instance)


def volumes(result: dg.ExecuteInProcessResult) -> dict[str, dg.AssetCheckEvaluation]:
    """Table to how its volume was judged."""
    found = [each for each in result.get_asset_check_evaluations() if each.check_name == "volume"]
    return {each.asset_key.to_user_string(): each for each in found}


def figures(result: dg.ExecuteInProcessResult, table: str) -> dict[str, Any]:
    return {name: value.value for name, value in volumes(result)[table].metadata.items()}


def explained(result: dg.ExecuteInProcessResult) -> dict[str, dict[str, int]]:
    """Table to reason to the rows that it explains, of tables that lost any."""
    found = {}
    for table in volumes(result):
        reasons = {
            name.removeprefix("explained_by_"): rows
            for name, rows in figures(result, table).items()
            if name.startswith("explained_by_")
        }
        if reasons:
            found[table] = reasons
    return found


def refused(result: dg.ExecuteInProcessResult) -> set[str]:
    return {table for table, check in volumes(result).items() if not check.passed}


# What is refused


def shifted(rows: list[tuple]) -> list[tuple]:
    """Phone readings of a clock that is a day late: plausible, and beside no device's."""
    return [(user, time + 24 * HOUR, *rest) for user, time, *rest in rows]


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


# What is explained


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
