"""Published versions: what is said of them, how long they stay, and what stays of them."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from benchmarks import drift
from stedi_assets.definitions import define
from stedi_assets.errors import Code, LakehouseError
from stedi_assets.lakehouse import delta
from stedi_assets.lakehouse.maintenance import maintain
from stedi_assets.orchestration.checks.drift import DRIFT
from stedi_assets.orchestration.failures import code_of
from stedi_assets.settings import Settings
from stedi_assets.split import Split
from stedi_assets.tables import LANDING_TABLES, TABLES
from stedi_assets.tables.machine_learning import TRAINING_SET
from stedi_assets.training import manifest as manifests
from stedi_assets.training.publish import DRIFTED, stability
from stedi_assets.training.published import spared
from stedi_assets_tests.checks.conftest import land
from stedi_assets_tests.erasure.conftest import Lakehouse
from stedi_assets_tests.orchestration.conftest import materialize, observed
from stedi_assets_tests.rows import (
    NOON,
    customer,
    device_reading,
    phone_reading,
)

pytestmark = pytest.mark.slow

PEOPLE = 12
HOUR = 3_600_000
SHARES = {"train": 50, "validation": 25, "test": 25}


class Published(Lakehouse):
    """A lakehouse of twelve people, each with a device."""

    @property
    def uri(self) -> str:
        return f"file://{self.folder}/{TRAINING_SET.location}"

    def make(self, **config: object) -> dg.ExecuteInProcessResult:
        ops = {"training_set": {"config": SHARES | config}}
        made = self.execute("materialize_lakehouse", {"ops": ops})
        assert made.success, failure(made)
        return made

    def publish(self) -> dg.ExecuteInProcessResult:
        return self.execute("publish_training_set", {})

    def maintain(self) -> None:
        assert self.execute("maintenance", {"retention_hours": 24}).success

    def withdraw(self, number: int) -> None:
        self.arrive({"email": f"p{number}@example.com", "lastUpdateDate": NOON})

    def record(self, number: int, name: str) -> None:
        """More readings of a person come, and so a version with other files."""
        time = NOON + number * HOUR + 1000
        rows = {
            "accelerometer_landing": phone_reading(f"p{number}@example.com", time, 0.5),
            "step_trainer_landing": device_reading(f"device-{number}", time, 9),
        }
        for table, row in rows.items():
            record = dict(zip(TABLES[table].column_names, row, strict=True))
            self.land(TABLES[table].source, name, json.dumps(record))

    def rows_of(self, version: int) -> int:
        """The rows of a published version, by its manifest alone."""
        manifest = manifests.read(self.uri, version)
        assert manifest is not None
        folder = self.folder / TRAINING_SET.location
        return sum(pq.read_metadata(folder / file.name).num_rows for file in manifest.files)


def failure(result: dg.ExecuteInProcessResult) -> tuple[Code | None, str]:
    """The code and the sentence that a run failed with."""
    [failed] = [event for event in result.all_events if event.is_step_failure]
    said = failed.step_failure_data.user_failure_data
    return code_of(failed.step_failure_data), str(said.description if said else "")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The lakehouse with a version published, and another since."""
    folder = tmp_path_factory.mktemp("published")
    rows = {
        "customer_landing": [
            customer(
                f"p{n}@example.com", f"device-{n}", name=f"Person {n}", phone=f"80155501{n:02}"
            )
            for n in range(PEOPLE)
        ],
        "accelerometer_landing": [
            phone_reading(f"p{n}@example.com", NOON + n * HOUR + t, x=float(t))
            for n in range(PEOPLE)
            for t in range(3)
        ],
        "step_trainer_landing": [
            device_reading(f"device-{n}", NOON + n * HOUR + t)
            for n in range(PEOPLE)
            for t in range(3)
        ],
    }
    for table in LANDING_TABLES:
        land(folder / "source", table, rows[table.name])
    with dg.DagsterInstance.ephemeral() as instance:
        lakehouse = Published(folder / "lakehouse", folder / "source", instance)
        lakehouse.make()
        first = lakehouse.publish()
        assert first.success, failure(first)
        lakehouse.record(3, "more.json")
        lakehouse.make()
        assert lakehouse.publish().success
    return folder


@pytest.fixture
def lakehouse(made: Path, tmp_path: Path) -> Iterator[Published]:
    for name in ("lakehouse", "source"):
        shutil.copytree(made / name, tmp_path / name)
    with dg.DagsterInstance.ephemeral() as instance:
        yield Published(tmp_path / "lakehouse", tmp_path / "source", instance)


def test__publish__says_what_a_version_holds(lakehouse: Published) -> None:
    first, second = manifests.published(lakehouse.uri)
    assert (first.rows, second.rows) == (36, 37)
    for each in (first, second):
        counts = each.counts.values()
        assert each.counts.keys() == SHARES.keys()
        assert sum(part.rows for part in counts) == each.rows == lakehouse.rows_of(each.version)
        assert sum(part.people for part in counts) == PEOPLE
        assert sum(part.devices for part in counts) == PEOPLE
        assert each.split.shares == SHARES
        assert each.options.enabled == ["after_consent_only", "match_device"]
        assert each.consent_as_of <= each.published_at
        for file in each.files:
            content = (lakehouse.folder / TRAINING_SET.location / file.name).read_bytes()
            assert hashlib.sha256(content).hexdigest() == file.sha256
    assert first.digest != second.digest
    assert first.drift is None
    assert second.drift is not None
    assert second.drift.against == first.version
    assert "distanceFromObject" in second.drift.columns


def drifts(result: dg.ExecuteInProcessResult) -> list[tuple[bool, object]]:
    """What the check of drift found in a run, and of which version."""
    found = [each for each in result.get_asset_check_evaluations() if each.check_name == DRIFT]
    return [(each.passed, each.metadata["published_version"].value) for each in found]


def test__drift__is_checked_where_a_version_is_published_and_in_each_run(
    lakehouse: Published,
) -> None:
    *_, last = manifests.published(lakehouse.uri)
    assert drifts(lakehouse.make()) == [(False, last.version)]
    lakehouse.record(4, "another.json")
    lakehouse.make()

    published = lakehouse.publish()

    *_, last = manifests.published(lakehouse.uri)
    assert drifts(published) == [(True, last.version)]
    assert drifts(lakehouse.make()) == [(True, last.version)]


def test__publish__nothing_new(lakehouse: Published) -> None:
    before = lakehouse.times
    assert observed(lakehouse.publish()) == {}
    published = lakehouse.folder / TRAINING_SET.location / "_published"
    assert {p for p in lakehouse.times if published in p.parents} == {
        p for p in before if published in p.parents
    }


def test__publish__names_no_one(lakehouse: Published) -> None:
    words = [f"p{n}@example.com" for n in range(PEOPLE)] + ["80155501", "1980-02-29"]
    assert not lakehouse.holding(*words, below=f"{TRAINING_SET.location}/_published")


def test__maintenance__spares_published_versions(lakehouse: Published) -> None:
    first, _ = manifests.published(lakehouse.uri)
    folder = lakehouse.folder / TRAINING_SET.location
    lakehouse.maintain()
    assert maintain(TRAINING_SET, lakehouse.uri, 0, spared(lakehouse.uri))
    assert lakehouse.rows_of(first.version) == 36
    assert maintain(TRAINING_SET, lakehouse.uri, 0)
    assert not all((folder / file.name).exists() for file in first.files)
    # What has lost files cannot be read, and is not said to be.
    lakehouse.maintain()
    reasons = {each.erased_because for each in manifests.published(lakehouse.uri)}
    assert reasons == {manifests.Reason.INCOMPLETE}


def test__stricter_options__erase_the_versions_of_weaker_ones(lakehouse: Published) -> None:
    lakehouse.make(pseudonymise_devices=True)
    reasons = [each.erased_because for each in manifests.published(lakehouse.uri)]
    assert reasons == [manifests.Reason.WEAKER] * 2


def test__split__of_the_settings_holds_for_every_run(
    lakehouse: Published, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STEDI_SPLIT_SEED", "another")
    monkeypatch.setenv("STEDI_SPLIT_SHARES", "40/30/30")
    for once in (False, True, False):
        config = {"seed": "once"} if once else {}
        made = lakehouse.execute(
            "materialize_lakehouse", {"ops": {"training_set": {"config": config}}}
        )
        shown = made.asset_materializations_for_node("training_set")[0].metadata
        state = delta.state(lakehouse.uri)
        assert state is not None
        assert state.commit.split == Split("once" if once else "another", 40, 30, 30)
        assert ("split_holds_once" in shown) is once


@pytest.mark.parametrize("job", ["maintenance", "erase"])
def test__withdrawal__leaves_tombstones(lakehouse: Published, job: str) -> None:
    lakehouse.withdraw(5)
    lakehouse.make()
    assert lakehouse.publish().success
    third = manifests.published(lakehouse.uri)[-1]

    if job == "maintenance":
        lakehouse.maintain()
    else:
        assert lakehouse.erase().success
        assert lakehouse.records[-1]["published"] == [
            each.version for each in manifests.published(lakehouse.uri)[:-1]
        ]

    *erased, last = manifests.published(lakehouse.uri)
    assert last == third
    assert lakehouse.rows_of(last.version) == 34
    for each in erased:
        assert each.erased_at is not None
        assert each.erased_because is manifests.Reason.LEFT
        assert (each.files, each.distributions) == ((), {})
        assert each.rows in (36, 37)
        assert [
            p.name for p in Path(manifests.folder_of(lakehouse.uri, each.version)[7:]).iterdir()
        ]
    if job == "erase":
        stored = {p.name for p in (lakehouse.folder / TRAINING_SET.location).glob("*.parquet")}
        assert stored == {file.name for file in last.files}
        assert not lakehouse.holding("device-5", below=TRAINING_SET.location)
    assert lakehouse.publish().success


def test__erasure__spares_versions_of_those_who_stay(lakehouse: Published) -> None:
    """Someone withdraws who is in no published version."""
    lakehouse.arrive(
        {"email": "new@example.com", "shareWithResearchAsOfDate": NOON, "serialNumber": "device-n"}
    )
    lakehouse.make()
    lakehouse.arrive({"email": "new@example.com", "lastUpdateDate": NOON + 1})
    lakehouse.make()
    assert lakehouse.erase().success
    assert [each.erased_at for each in manifests.published(lakehouse.uri)] == [None, None]
    assert lakehouse.rows_of(manifests.published(lakehouse.uri)[0].version) == 36


# What cannot be published


def test__publish__before_anything_is_made(tmp_path: Path) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        lakehouse = Published(tmp_path / "lakehouse", tmp_path / "source", instance)
        code, said = failure(lakehouse.publish())
    assert code is Code.NOT_MATERIALISED
    assert "training_set" in said


def test__publish__a_part_without_rows(lakehouse: Published) -> None:
    found = manifests.published(lakehouse.uri)[-1]
    for number in range(1, PEOPLE):
        lakehouse.withdraw(number)
    lakehouse.make()
    code, said = failure(lakehouse.publish())
    assert code is Code.NOT_PUBLISHED
    assert "STEDI_SPLIT_SEED" in said
    lakehouse.withdraw(0)
    lakehouse.make()
    code, said = failure(lakehouse.publish())
    assert code is Code.NOT_PUBLISHED
    assert "no one is left" in said
    assert manifests.published(lakehouse.uri)[-1] == found


def test__publish__of_what_others_wrote(lakehouse: Published) -> None:
    DeltaTable(lakehouse.uri).delete("distanceFromObject = 9")
    code, _ = failure(lakehouse.publish())
    assert code is Code.NOT_PUBLISHED


def test__publish__before_the_parents_are_followed(lakehouse: Published) -> None:
    lakehouse.record(4, "again.json")
    lakehouse.make()
    lakehouse.withdraw(5)
    chosen = [name for name in TABLES if name not in ("customer_training", "training_set")]
    settings = Settings(lakehouse_uri=str(lakehouse.folder), source_data=str(lakehouse.source))
    assert materialize(define(settings), lakehouse.instance, *chosen).success
    code, _ = failure(lakehouse.publish())
    assert code is Code.NOT_PUBLISHED


def test__shares__that_do_not_add_up(lakehouse: Published) -> None:
    ops = {"training_set": {"config": {"train": 90, "validation": 25, "test": 25}}}
    result = lakehouse.execute("materialize_lakehouse", {"ops": ops})
    code, said = failure(result)
    assert code is Code.SETTING
    assert "add up to 100" in said
    assert lakehouse.rows_of(manifests.published(lakehouse.uri)[-1].version) == 37


def test__manifest__damaged(lakehouse: Published) -> None:
    [*_, last] = manifests.published(lakehouse.uri)
    Path(manifests.folder_of(lakehouse.uri, last.version)[7:], manifests.FILE).write_text("{")
    with pytest.raises(LakehouseError) as raised:
        manifests.published(lakehouse.uri)
    assert raised.value.code is Code.OTHER_RELEASE


def test__stability__of_equal_shares_is_none() -> None:
    assert stability([0.5, 0.5], [0.5, 0.5]) == 0
    assert stability([0.5, 0.5], [0.8, 0.2]) == pytest.approx(0.4159, abs=1e-3)


def test__drift__is_of_what_differs_in_more_than_its_seed() -> None:
    before, now = drift.columns(1), drift.columns(2)
    now["halved"], before["halved"] = now["distanceFromObject"] / 2, before["distanceFromObject"]
    psi = {}
    for name, values in before.items():
        between = drift.edges(values)
        psi[name] = stability(drift.shares(values, between), drift.shares(now[name], between))
    assert {name for name in psi if psi[name] >= DRIFTED} == {"halved"}
