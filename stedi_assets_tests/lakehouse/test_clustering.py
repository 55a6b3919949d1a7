"""Maintenance clusters by time what is not clustered yet, and keeps rows and their commit."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import CommitProperties, DeltaTable, write_deltalake

from stedi_assets import storage
from stedi_assets.lakehouse import clustering, delta, maintenance, trust
from stedi_assets.lakehouse.clustering import File, unclustered_bytes
from stedi_assets.lakehouse.commit import Commit
from stedi_assets.lakehouse.maintenance import Maintained
from stedi_assets.tables import Table
from stedi_assets.tables.step_trainer import STEP_TRAINER_TRUSTED
from stedi_assets_tests.rows import NOON

TIMED, TIMELESS = STEP_TRAINER_TRUSTED, replace(STEP_TRAINER_TRUSTED, time_column=None)
LAST = Commit(run="last", as_of=NOON, accepted_rows=7)


@pytest.fixture(params=["disk", "bucket"])
def uri(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where the table is."""
    if request.param == "disk":
        return f"file://{tmp_path}/step_trainer/trusted"
    return f"{request.getfixturevalue('s3_lakehouse_uri')}/step_trainer/trusted"


def append(uri: str, times: Sequence[int], commit: str | None = LAST.text) -> None:
    """Adds a file of readings at some milliseconds after noon, in the order given."""
    kept = {"userMetadata": commit} if commit else {}
    rows = {
        "sensorReadingTime": [NOON + time for time in times],
        "serialNumber": ["device"] * len(times),
        "distanceFromObject": [time % 300 for time in times],
    }
    write_deltalake(
        uri,
        pa.table(rows, schema=TIMED.arrow_schema),
        mode="append",
        storage_options=storage.open_folder(uri).delta_options(),
        commit_properties=CommitProperties(custom_metadata=kept),
    )


def opened(uri: str) -> DeltaTable:
    table = delta.open_table(uri)
    assert table is not None
    return table


def times(uri: str) -> list[int]:
    """The times of all rows, in order."""
    found = delta.dataset(uri, opened(uri)).to_table()["sensorReadingTime"].to_pylist()
    return sorted(time - NOON for time in found)


def ranges(uri: str) -> list[tuple[int, int]]:
    """The least and the greatest time of each file, in order."""
    files = opened(uri).get_add_actions(flatten=True)
    found = (files[f"{name}.sensorReadingTime"].to_pylist() for name in ("min", "max"))
    return sorted((first - NOON, last - NOON) for first, last in zip(*found, strict=True))


def compacted(uri: str) -> int:
    """How many files maintenance replaces."""
    done = maintenance.maintain(TIMED, uri, 168)
    assert done is not None
    return done.compacted


@pytest.mark.parametrize("table", [TIMED, TIMELESS], ids=["with a time", "without"])
def test__maintain__joins_files_and_keeps_rows(uri: str, table: Table) -> None:
    for time in (3, 1, 2):
        append(uri, [time])

    assert maintenance.maintain(table, uri, 168) == Maintained(3, removed=0, removed_bytes=0)

    assert ranges(uri) == [(1, 3)]
    assert times(uri) == [1, 2, 3]
    version = opened(uri)
    version.load_as_version(2)
    assert len(version.file_uris()) == 3  # those who read the version before still can


def test__maintain__removes_files_that_were_replaced_long_enough_ago(uri: str) -> None:
    for time in (3, 1, 2):
        append(uri, [time])
    size = sum(file.size for file in storage.open_folder(uri).files())

    assert maintenance.maintain(TIMED, uri, 0) == Maintained(3, removed=3, removed_bytes=size)

    files = [file.name for file in storage.open_folder(uri).files()]
    assert len([name for name in files if name.endswith(".parquet")]) == 1
    assert times(uri) == [1, 2, 3]


def test__maintain__no_table(tmp_path: Path) -> None:
    assert maintenance.maintain(TIMED, f"file://{tmp_path}/none", 168) is None


def test__maintain__no_row(uri: str) -> None:
    append(uri, [])
    append(uri, [])
    assert maintenance.maintain(TIMED, uri, 168) is not None
    assert times(uri) == []


def test__maintain__leaves_a_range_of_time_in_few_files(
    uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is clustered is not written again, and what lands later is joined alone."""
    monkeypatch.setattr(clustering, "TARGET_BYTES", 64 * 1024)
    landed = [*range(60_000), *range(60_000)]  # duplicates stay
    random.Random(18).shuffle(landed)
    for part in range(3):
        append(uri, landed[part::3])
    assert [last - first for first, last in ranges(uri)] == [pytest.approx(60_000, abs=100)] * 3

    assert compacted(uri) == 3

    clustered = ranges(uri)
    assert len(clustered) > 4
    assert all(after[0] >= before[1] for before, after in itertools.pairwise(clustered))
    assert times(uri) == sorted(landed)

    assert compacted(uri) == 0
    for time in range(70_000, 70_004):
        append(uri, [time])
    assert compacted(uri) == 4
    assert ranges(uri) == [*clustered, (70_000, 70_003)]


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ([], 0),
        ([File(0, 9, 100)], 0),
        ([File(0, 9, 100), File(9, 20, 100), File(21, 30, 100)], 0),
        ([File(0, 9, 100), File(5, 20, 40)], 40),
        ([File(0, 99, 7), File(0, 9, 100), File(10, 20, 100)], 7),
        ([File(0, 9, 100), File(10, 20, 201)], 201),
        ([File(0, 9, 100), File(None, None, 3), File(None, None, 4)], 7),
    ],
    ids=["none", "one", "apart", "overlapping", "one over all", "too large", "not known"],
)
def test__unclustered_bytes(files: list[File], expected: int) -> None:
    assert unclustered_bytes(files, target=100) == expected
    assert unclustered_bytes(reversed(files), target=100) == expected


@pytest.mark.parametrize("table", [TIMED, TIMELESS], ids=["with a time", "without"])
def test__maintain__keeps_what_the_writer_kept_where_delta_deletes_its_commit(
    tmp_path: Path, table: Table
) -> None:
    uri = f"file://{tmp_path}/t"
    for time in (1, 2):
        append(uri, [time])

    maintenance.maintain(table, uri, 168)

    opened(uri).create_checkpoint()
    for version in range(2):
        (tmp_path / "t" / "_delta_log" / f"{version:020}.json").unlink()
    state = delta.state(uri)
    assert state is not None
    assert (state.rows, state.commit) == (2, LAST)


def test__maintain__does_not_pass_a_foreign_commit_for_a_trusted_one(tmp_path: Path) -> None:
    uri = f"file://{tmp_path}/t"
    append(uri, [1])
    append(uri, [2], commit=None)

    maintenance.maintain(TIMED, uri, 168)

    operations = [(each["operation"], "userMetadata" in each) for each in opened(uri).history()]
    assert {kept for name, kept in operations if name != "WRITE"} == {False}
    assert [kept for name, kept in operations if name == "WRITE"] == [False, True]


# Facts by which a later run would trust what is stored.
TRUSTED_BY = {"made_from": {"customer_landing": "1"}}
JUDGED_BY = {"run": "r", "as_of": NOON, "weaker_until": None, "accepted_rows": 7}


def append_trusted(uri: str) -> None:
    """A file with a commit that keeps all of that."""
    append(uri, [1], json.dumps({"format": 1, **JUDGED_BY, **TRUSTED_BY}))


def kept(uri: str) -> dict[str, Any]:
    """What is kept with the table now."""
    found: dict[str, Any] = json.loads(delta.last_kept(opened(uri))[0])
    return found


def test__forget__keeps_rows_and_what_runs_judge_by(uri: str) -> None:
    append_trusted(uri)

    trust.require_rebuild(uri)

    assert kept(uri).items() >= JUDGED_BY.items()
    assert kept(uri)["made_from"] == {}
    assert times(uri) == [1]


def test__forget__no_table(tmp_path: Path) -> None:
    trust.require_rebuild(f"file://{tmp_path}/none")
    assert delta.state(f"file://{tmp_path}/none") is None


@pytest.mark.parametrize("foreign", [False, True])
def test__delete_old_versions__does_not_pass_a_foreign_commit_for_a_trusted_one(
    tmp_path: Path, foreign: bool
) -> None:
    uri = f"file://{tmp_path}/t"
    append_trusted(uri)
    if foreign:
        append(uri, [2], commit=None)

    maintenance.delete_old_versions(uri)

    assert kept(uri).items() >= JUDGED_BY.items()
    assert kept(uri)["made_from"] == ({} if foreign else TRUSTED_BY["made_from"])
