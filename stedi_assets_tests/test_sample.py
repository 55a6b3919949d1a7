"""The sample has the structure it promises, and its manifest counts what its files hold."""

from __future__ import annotations

import hashlib
import itertools
import json
import re
import tracemalloc
from collections import Counter
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from stedi_assets.lakehouse.fingerprint import fingerprint
from stedi_assets.sample import (
    Acceleration,
    Cohort,
    Distance,
    Recipe,
    cohort,
    count_rows,
    files,
    make_cohort,
    recipe,
    write_sample,
)
from stedi_assets.sample.__main__ import main
from stedi_assets.tables import LANDING_TABLES, Table

PROJECT = Path(__file__).resolve().parent.parent
REAL_DATA = PROJECT.parent / "shared" / "data" / "stedi"
SEED = 7
TYPES = {"string": str, "bigint": int, "int": int, "double": float}
HARD = Recipe(seed=SEED, malformed=0.01, duplicates=0.02, withdrawn=0.1)


@dataclass
class Sample:
    """A sample on disk, read once, and the manifest that its writing returned."""

    folder: Path
    manifest: dict[str, Any]

    def files(self, table: Table) -> list[Path]:
        """The landing files of a source, in order."""
        return sorted((self.folder / table.location).glob("*.json"))

    def lines(self, table: Table) -> list[str]:
        """The lines of all landing files of a source."""
        return [line for path in self.files(table) for line in path.read_text().splitlines()]

    @cached_property
    def frames(self) -> list[pd.DataFrame]:
        """The well-formed records of customers, phones and devices."""
        return [
            pd.DataFrame(
                [record for line in self.lines(table) if (record := _record(line, table))],
                columns=table.column_names,
            )
            for table in LANDING_TABLES
        ]


def _sample(folder: Path, recipe: Recipe) -> Sample:
    return Sample(folder, write_sample(folder, recipe))


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    return _sample(tmp_path_factory.mktemp("plain"), Recipe(seed=SEED))


@pytest.fixture(scope="module")
def hard(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    return _sample(tmp_path_factory.mktemp("hard"), HARD)


@pytest.fixture(scope="module")
def double(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    return _sample(tmp_path_factory.mktemp("double"), Recipe(seed=SEED, scale=2))


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    with pytest.MonkeyPatch.context() as monkeypatch:
        _shrink_cohorts(monkeypatch)
        return _sample(tmp_path_factory.mktemp("many"), replace(HARD, scale=5))


def _shrink_cohorts(monkeypatch: pytest.MonkeyPatch) -> None:
    few_people = {
        "PEOPLE": 40,
        "CONSENT": {"before": 4, "during": 15, "after": 1, "never": 20},
        "CONSENTING": 20,
        "ROWS_AT_TIME": {3: 1_000, 2: 200},
        "STARTS": 10_000,
    }
    for module, (name, value) in itertools.product((recipe, cohort), few_people.items()):
        if hasattr(module, name):
            monkeypatch.setattr(module, name, value)


def _record(text: str, table: Table) -> dict[str, Any] | None:
    try:
        record = json.loads(text)
    except ValueError:
        return None
    if not isinstance(record, dict):
        return None
    for column in table.columns:
        expected = column.required or column.name in record
        if expected and not isinstance(record.get(column.name), TYPES[column.type]):
            return None
    return record


def _recount(sample: Sample) -> dict[str, int]:
    customers, phones, devices = sample.frames
    consent = "shareWithResearchAsOfDate"
    latest = customers.sort_values("lastUpdateDate").drop_duplicates("email", keep="last")
    customer_trusted = latest[latest[consent].notna()]
    phones_trusted = phones[phones.user.isin(customer_trusted.email)].drop_duplicates()
    curated = customer_trusted[customer_trusted.email.isin(phones_trusted.user)]
    known = devices.serialNumber.isin(curated.serialNumber)
    devices_trusted = devices[known].drop_duplicates()
    owner = curated[["email", "serialNumber", consent]].rename(columns={"serialNumber": "own"})
    joined = (
        devices_trusted.merge(phones_trusted, left_on="sensorReadingTime", right_on="timestamp")
        .merge(owner, left_on="user", right_on="email")
        .assign(
            after=lambda rows: rows[consent] < rows.sensorReadingTime,
            match=lambda rows: rows.own == rows.serialNumber,
        )
    )
    return {
        "customer_landing": len(customers),
        "accelerometer_landing": len(phones),
        "step_trainer_landing": len(devices),
        "customer_trusted": len(customer_trusted),
        "accelerometer_trusted": len(phones_trusted),
        "customer_curated": len(curated),
        "step_trainer_trusted": len(devices_trusted),
        "machine_learning_curated": len(joined),
        "machine_learning_curated+after_consent_only": int(joined.after.sum()),
        "machine_learning_curated+match_device": int(joined.match.sum()),
        "machine_learning_curated+after_consent_only+match_device": int(
            (joined.after & joined.match).sum()
        ),
    }


def test__count_rows__two_people_in_one_millisecond() -> None:
    ada = {"email": "ada", "serialNumber": "A", "shareWithResearchAsOfDate": 100}
    ben = {"email": "ben", "serialNumber": "B", "shareWithResearchAsOfDate": 250}
    eve = {"email": "eve", "serialNumber": "E"}
    people = Cohort(
        customers=[ada, ben, eve, ada],
        accelerations=[
            Acceleration("ada", 100, "x"),
            Acceleration("ada", 200, "x"),
            Acceleration("ada", 200, "y"),
            Acceleration("ben", 200, "x"),
            Acceleration("eve", 200, "x"),
        ],
        distances=[
            Distance(100, "A", 201),
            Distance(200, "A", 201),
            Distance(200, "B", 201),
            Distance(200, "E", 201),
        ],
    )
    assert count_rows(people) == {
        "customer_landing": 4,
        "accelerometer_landing": 5,
        "step_trainer_landing": 4,
        "customer_trusted": 2,
        "accelerometer_trusted": 4,
        "customer_curated": 2,
        "step_trainer_trusted": 3,
        "machine_learning_curated": 1 + 3 * 2,
        "machine_learning_curated+after_consent_only": 2 * 2,
        "machine_learning_curated+match_device": 1 + 3,
        "machine_learning_curated+after_consent_only+match_device": 2,
    }


def test__write_sample__has_the_counts_of_the_real_data(plain: Sample) -> None:
    customers, phones, devices = plain.frames
    assert (len(customers), len(phones), len(devices)) == (956, 81_273, 28_680)
    assert customers.shareWithResearchAsOfDate.isna().sum() == 474
    assert phones.groupby("user").size().between(77, 90).all()
    assert not phones.duplicated().any()
    assert not devices.duplicated(["serialNumber", "sensorReadingTime"]).any()


def test__write_sample__people_are_invented_and_unique(plain: Sample) -> None:
    customers, _, _ = plain.frames
    assert customers.customerName.is_unique
    assert customers.email.str.fullmatch(r"[a-z.]+@example\.(com|org|net)").all()
    assert customers.email.is_unique
    assert customers.phone.str.fullmatch(r"[2-9]\d\d55501\d\d").all()
    assert customers.phone.nunique() > 900
    assert customers.birthDay.between("1930-01-01", "2005-12-31").all()
    assert customers.serialNumber.str.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}").all()
    assert customers.serialNumber.is_unique


def test__write_sample__phone_and_device_share_thirty_evenly_spaced_times(plain: Sample) -> None:
    customers, phones, devices = plain.frames
    email = customers.set_index("serialNumber").email
    of_device = devices.groupby(devices.serialNumber.map(email)).sensorReadingTime
    times = of_device.apply(lambda group: tuple(sorted(group)))
    of_phone = phones.groupby("user").timestamp.apply(lambda group: tuple(sorted(set(group))))
    assert times.equals(of_phone.reindex(times.index))
    steps = times.map(lambda group: set(pd.Series(group).diff().dropna()))
    assert times.map(len).eq(30).all()
    assert steps.map(len).eq(1).all()
    assert steps.map(min).between(2_033, 4_000).all()
    assert set(map(tuple, phones[["x", "y", "z"]].drop_duplicates().to_numpy())) == {
        (x, y, z) for x in (-1.0, 0.0, 1.0) for y in (-1.0, 0.0, 1.0) for z in (-1.0, 0.0)
    }
    assert (devices.distanceFromObject.min(), devices.distanceFromObject.max()) == (201, 300)


def test__write_sample__people_share_timestamps_across_consent(plain: Sample) -> None:
    customers, phones, _ = plain.frames
    consenting = set(customers.dropna(subset="shareWithResearchAsOfDate").email)
    people = phones.drop_duplicates(["user", "timestamp"])
    people = people.assign(consents=people.user.isin(consenting))
    at_time = people.groupby("timestamp").consents.agg(["size", "sum"])
    shares = at_time["size"].value_counts(normalize=True)
    assert 0.04 < shares[2] < 0.07
    assert shares[shares.index > 2].sum() > 0
    pairs = at_time[at_time["size"] == 2]["sum"].value_counts()
    assert pairs.index.isin([0, 1, 2]).all()
    assert pairs.min() > 100


def test__write_sample__consent_comes_before_during_and_after_the_recording(plain: Sample) -> None:
    customers, phones, _ = plain.frames
    consent = customers.set_index("email").shareWithResearchAsOfDate.dropna()
    times = phones.groupby("user").timestamp.agg(["min", "max"]).loc[consent.index]
    before, after = consent < times["min"], consent >= times["max"]
    assert (before.sum(), (~before & ~after).sum(), after.sum()) == (96, 368, 18)
    # Some consent in the millisecond of a reading: there `<` and `<=` part.
    own = phones.merge(consent, left_on=["user", "timestamp"], right_on=["email", consent])
    assert own.user.nunique() > 5
    for audience in ("Public", "Friends"):
        shared = customers[f"shareWith{audience}AsOfDate"].notna()
        assert 0.4 < shared.mean() < 0.6
        assert 0.4 < shared[customers.email.isin(consent.index)].mean() < 0.6


@pytest.mark.parametrize("kind", ["plain", "hard", "many"])
def test__manifest__rows_are_those_of_the_files(kind: str, request: pytest.FixtureRequest) -> None:
    sample: Sample = request.getfixturevalue(kind)
    assert sample.manifest["rows"] == _recount(sample)


@pytest.mark.parametrize("kind", ["plain", "hard", "many"])
def test__manifest__describes_the_files(kind: str, request: pytest.FixtureRequest) -> None:
    sample: Sample = request.getfixturevalue(kind)
    assert json.loads((sample.folder / "manifest.json").read_text()) == sample.manifest
    for table, frame in zip(LANDING_TABLES, sample.frames, strict=True):
        paths, lines = sample.files(table), sample.lines(table)
        assert sample.manifest["sources"][table.source] == {
            "files": len(paths),
            "objects": len(frame),
            "malformed": len(lines) - len(frame),
            "fingerprint": _fingerprint(paths),
        }
        assert max(path.read_bytes().count(b"\n") for path in paths) <= 10_000
        assert len(paths) >= 2


def _fingerprint(paths: list[Path]) -> str:
    return fingerprint({path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths})


def test__write_sample__again_over_itself_gives_the_same_bytes(hard: Sample) -> None:
    content = {path: path.read_bytes() for path in hard.folder.rglob("*.*")}
    assert write_sample(hard.folder, HARD) == hard.manifest
    assert {path: path.read_bytes() for path in hard.folder.rglob("*.*")} == content


def test__make_cohort__another_seed_gives_other_people(plain: Sample) -> None:
    customers, _, _ = plain.frames
    others = pd.DataFrame(make_cohort(Recipe(seed=SEED + 1), 0).customers)
    assert set(customers.serialNumber).isdisjoint(others.serialNumber)
    assert (customers.email != others.email).mean() > 0.9
    assert (customers.registrationDate != others.registrationDate).mean() > 0.9


def test__write_sample__scale_two_is_twice_and_begins_with_scale_one(
    plain: Sample, double: Sample
) -> None:
    for table in LANDING_TABLES:
        small, large = plain.files(table), double.files(table)
        assert len(large) == 2 * len(small)
        for path, same in zip(small, large, strict=False):
            assert (path.name, path.read_bytes()) == (same.name, same.read_bytes())
    exact = ["customer_landing", "accelerometer_landing", "step_trainer_landing"]
    exact += ["customer_trusted", "customer_curated", "step_trainer_trusted"]
    for name in exact:
        assert double.manifest["rows"][name] == 2 * plain.manifest["rows"][name]


def test__write_sample__cohorts_share_no_person_device_or_time(many: Sample) -> None:
    customers, phones, _ = many.frames
    people = customers.drop_duplicates("email")
    assert len(people) == people.serialNumber.nunique() == 5 * 40
    cohort_of = phones.user.str.extract(r"\.(\d+)@")[0].fillna("0")
    assert sorted(cohort_of.unique()) == ["0", "1", "2", "3", "4"]
    assert cohort_of.groupby(phones.timestamp).nunique().eq(1).all()


def test__write_sample__memory_does_not_grow_with_the_scale(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _shrink_cohorts(monkeypatch)

    def peak(scale: int) -> int:
        tracemalloc.start()
        write_sample(tmp_path / str(scale), Recipe(seed=SEED, scale=scale))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return peak

    assert peak(10) < 1.3 * peak(1)


def test__write_sample__options_add_to_the_plain_sample(plain: Sample, hard: Sample) -> None:
    for table in LANDING_TABLES:
        assert Counter(plain.lines(table)) <= Counter(hard.lines(table))
    consenting, accelerations, distances = 482, 81_273, 28_680
    withdrawn = round(0.1 * consenting)
    customers = 956 + withdrawn
    rows = hard.manifest["rows"]
    assert rows["customer_landing"] == customers + round(0.02 * customers)
    assert rows["accelerometer_landing"] == accelerations + round(0.02 * accelerations)
    assert rows["step_trainer_landing"] == distances + round(0.02 * distances)


def test__write_sample__withdrawal_is_a_later_record_without_consent(hard: Sample) -> None:
    customers, _, _ = hard.frames
    customers = customers.drop_duplicates()
    repeated = customers[customers.email.duplicated(keep=False)]
    first = repeated.drop_duplicates("email", keep="first").set_index("email").sort_index()
    later = repeated.drop_duplicates("email", keep="last").set_index("email").sort_index()
    assert len(first) == len(later) == 48
    assert first.shareWithResearchAsOfDate.notna().all()
    assert later.shareWithResearchAsOfDate.isna().all()
    assert (later.lastUpdateDate > first.lastUpdateDate).all()
    changed = ["lastUpdateDate", "shareWithResearchAsOfDate"]
    pd.testing.assert_frame_equal(first.drop(columns=changed), later.drop(columns=changed))


def _completions(line: str) -> list[str]:
    """What a lenient reader might make of a line: closed, or any object inside it."""
    closed = [re.sub(r"[,:]$", "", line) + end for end in ("}", '"}', "null}", ':""}', '":""}')]
    return [line, *closed, *re.findall(r"\{[^{}]*\}", line)]


@pytest.mark.parametrize("table", LANDING_TABLES, ids=lambda table: table.source)
def test__write_sample__no_lenient_reading_makes_a_record_of_a_malformed_line(
    table: Table, hard: Sample
) -> None:
    malformed = []
    for path in hard.files(table):
        lines = path.read_text().splitlines()
        unreadable = [line for line in lines if _record(line, table) is None]
        assert len(unreadable) == round(HARD.malformed * (len(lines) - len(unreadable)))
        malformed += unreadable
    assert not [text for line in malformed for text in _completions(line) if _record(text, table)]
    faults = {_fault(line, table) for line in malformed}
    assert faults == {"truncated", "missing field", "wrong type", "not JSON"}


def _fault(line: str, table: Table) -> str:
    try:
        record = json.loads(line)
    except ValueError:
        return "truncated" if line.startswith('{"') else "not JSON"
    required = {column.name for column in table.columns if column.required}
    return "missing field" if required - set(record) else "wrong type"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--scale", "0"], "'0' is not a whole number of at least 1"),
        (["--scale", "1.5"], "'1.5' is not a whole number of at least 1"),
        (["--scale", "-1"], "'-1' is not a whole number of at least 1"),
        (["--malformed", "1"], "'1' is not a fraction of at least 0 and below 1"),
        (["--duplicates", "-0.1"], "'-0.1' is not a fraction of at least 0 and below 1"),
        (["--withdrawn", "nan"], "'nan' is not a fraction of at least 0 and below 1"),
        (["--withdrawn", "few"], "'few' is not a fraction of at least 0 and below 1"),
        (["--seed", "x"], "invalid int value: 'x'"),
    ],
)
def test__main__refuses_an_option_out_of_range(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(["--out", str(tmp_path), *arguments])
    assert exit_.value.code == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["customer-000002.json", "mine.json", "mine.json.gz"])
def test__main__refuses_to_mix_with_other_files(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "customer" / "landing" / name
    other.parent.mkdir(parents=True)
    other.write_text("{}\n")
    assert main(["--out", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert f"{other.parent} has 1 JSON files" in error
    assert name in error
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [other]
    assert other.read_text() == "{}\n"


def test__main__says_what_it_cannot_write(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    assert main(["--out", str(tmp_path / "file")]) == 2
    assert "Not a directory" in capsys.readouterr().err


def test__write_sample__interrupted_leaves_no_manifest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(recipe: Recipe, number: int) -> Cohort:
        if number:
            raise KeyboardInterrupt
        return Cohort([], [], [])

    (tmp_path / "manifest.json").write_text("of an earlier sample")
    monkeypatch.setattr(files, "make_cohort", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_sample(tmp_path, Recipe(scale=2))
    assert not (tmp_path / "manifest.json").exists()
    assert len(list(tmp_path.rglob("*.json"))) == 14


def test__committed_sample__is_what_the_command_writes(plain: Sample) -> None:
    committed = Sample(PROJECT / "data", plain.manifest)
    assert json.loads((committed.folder / "manifest.json").read_text()) == plain.manifest
    for table in LANDING_TABLES:
        source = plain.manifest["sources"][table.source]
        assert _fingerprint(committed.files(table)) == source["fingerprint"]


@pytest.mark.skipif(
    not REAL_DATA.is_dir(),
    reason="the real data, which may not be redistributed, is not beside the checkout",
)
def test__write_sample__no_one_of_the_real_data(plain: Sample) -> None:
    landed = (REAL_DATA / "customer" / "landing").glob("*.json*")
    real = [json.loads(line) for path in landed for line in path.read_text().splitlines()]
    customers, _, _ = plain.frames
    assert real
    for field in ("customerName", "email", "phone", "serialNumber"):
        assert not {person[field] for person in real} & set(customers[field])
