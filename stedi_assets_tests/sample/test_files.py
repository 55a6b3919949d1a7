"""The files of a sample: what is written, how often and when, and what is malformed in it."""

from __future__ import annotations

import hashlib
import json
import re
import tracemalloc
from collections import Counter
from pathlib import Path

import pytest

from stedi_assets.errors import LakehouseError
from stedi_assets.landing.fingerprint import fingerprint
from stedi_assets.sample import files
from stedi_assets.sample.cohort import Cohort
from stedi_assets.sample.files import write_sample
from stedi_assets.sample.spec import SampleSpec
from stedi_assets.tables import LANDING_TABLES, Table
from stedi_assets_tests.conftest import PROJECT
from stedi_assets_tests.sample.conftest import HARD, SEED, Sample, record_of, shrink_cohorts


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


@pytest.mark.parametrize("kind", ["plain", "hard", "many"])
def test__manifest__rows_are_those_of_the_files(kind: str, request: pytest.FixtureRequest) -> None:
    sample: Sample = request.getfixturevalue(kind)
    assert sample.manifest["rows"] == _recount(sample)


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
        "customer_training": len(curated),
        "step_trainer_trusted": len(devices_trusted),
        "machine_learning_curated": len(joined),
        "machine_learning_curated+after_consent_only": int(joined.after.sum()),
        "machine_learning_curated+match_device": int(joined.match.sum()),
        "machine_learning_curated+after_consent_only+match_device": int(
            (joined.after & joined.match).sum()
        ),
        "training_set": int((joined.after & joined.match).sum()),
    }


def test__write_sample__again_over_itself_gives_the_same_bytes(hard: Sample) -> None:
    content = {path: path.read_bytes() for path in hard.folder.rglob("*.*")}
    assert write_sample(hard.folder, HARD) == hard.manifest
    assert {path: path.read_bytes() for path in hard.folder.rglob("*.*")} == content


def test__write_sample__larger_scale_begins_with_the_smaller(plain: Sample, tmp_path: Path) -> None:
    double = Sample(tmp_path, write_sample(tmp_path, SampleSpec(seed=SEED, scale=2)))
    for table in LANDING_TABLES:
        small, large = plain.files(table), double.files(table)
        assert len(large) == 2 * len(small)
        for path, same in zip(small, large, strict=False):
            assert (path.name, path.read_bytes()) == (same.name, same.read_bytes())


def test__write_sample__memory_does_not_grow_with_the_scale(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shrink_cohorts(monkeypatch)

    def peak(scale: int) -> int:
        tracemalloc.start()
        write_sample(tmp_path / str(scale), SampleSpec(seed=SEED, scale=scale))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return peak

    assert peak(10) < 1.3 * peak(1)


def test__write_sample__options_add_to_the_plain_sample(plain: Sample, hard: Sample) -> None:
    for table, more in zip(LANDING_TABLES, (round(0.1 * 482), 0, 0), strict=True):
        assert Counter(plain.lines(table)) <= Counter(hard.lines(table))
        records = plain.manifest["rows"][table.name] + more
        assert hard.manifest["rows"][table.name] == records + round(0.02 * records)


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
        unreadable = [line for line in lines if record_of(line, table) is None]
        assert len(unreadable) == round(HARD.malformed * (len(lines) - len(unreadable)))
        malformed += unreadable
    assert not [text for line in malformed for text in _completions(line) if record_of(text, table)]
    faults = {_fault(line, table) for line in malformed}
    assert faults == {"truncated", "missing field", "wrong type", "not JSON"}


def _fault(line: str, table: Table) -> str:
    try:
        record = json.loads(line)
    except ValueError:
        return "truncated" if line.startswith('{"') else "not JSON"
    required = {column.name for column in table.columns if column.required}
    return "missing field" if required - set(record) else "wrong type"


def test__write_sample__interrupted_leaves_no_manifest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(spec: SampleSpec, number: int) -> Cohort:
        if number:
            raise KeyboardInterrupt
        return Cohort(spec, number, [], [])

    (tmp_path / "manifest.json").write_text("of an earlier sample")
    monkeypatch.setattr(files, "make_cohort", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_sample(tmp_path, SampleSpec(scale=2))
    assert not (tmp_path / "manifest.json").exists()
    assert len(list(tmp_path.rglob("*.json"))) == 2 * len(LANDING_TABLES)


def test__write_sample__source_without_a_recipe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "RECIPES", {})
    with pytest.raises(LakehouseError, match="customer_landing"):
        write_sample(tmp_path, SampleSpec())
    assert list(tmp_path.iterdir()) == []


def test__committed_sample__is_what_the_command_writes(plain: Sample) -> None:
    committed = Sample(PROJECT / "data", plain.manifest)
    assert json.loads((committed.folder / "manifest.json").read_text()) == plain.manifest
    for table in LANDING_TABLES:
        source = plain.manifest["sources"][table.source]
        assert _fingerprint(committed.files(table)) == source["fingerprint"]
