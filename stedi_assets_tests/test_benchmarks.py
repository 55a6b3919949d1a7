"""The benchmarks: they measure whole trees, all make the same rows, and events happen."""

from __future__ import annotations

import itertools
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks import compare, delivery, event_results, events, measure, results
from benchmarks.contenders import DUCKDB, JVM, POLARS, TRANSFORMATIONS, WHOLE, Contender
from benchmarks.measure import Taken
from stedi_assets.sample.cohort import CONSENTED
from stedi_assets.sample.spec import SampleSpec
from stedi_assets.tables import LANDING_TABLES
from stedi_assets_tests.conftest import PROJECT
from stedi_assets_tests.rows import stored_rows

HUNGRY_CHILD = """
import subprocess, sys
work = "import time; held = b'x' * 200_000_000; began = time.process_time()\\n"
work += "while time.process_time() - began < 0.5: pass"
subprocess.run([sys.executable, "-c", work], check=True)
"""


def test__run__counts_children(tmp_path: Path) -> None:
    taken = measure.run([sys.executable, "-c", HUNGRY_CHILD], os.environ, tmp_path)

    assert taken.cpu >= 0.5
    assert taken.wall >= 0.5
    assert taken.memory > 200_000_000


def test__run__failure_says_what_the_command_said(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="no such table"):
        measure.run([sys.executable, "-c", "exit('no such table')"], os.environ, tmp_path)


@pytest.fixture
def sample(tmp_path: Path) -> Path:
    """The sample's files, in a folder that contenders may write beside."""
    source = tmp_path / "source"
    source.symlink_to(PROJECT / "data")
    return source


@pytest.fixture
def recorded() -> dict[str, int]:
    return json.loads((PROJECT / "data" / "manifest.json").read_text())["rows"]


def test__compare__all_make_the_same_rows(sample: Path, recorded: dict[str, int]) -> None:
    contenders = [TRANSFORMATIONS, DUCKDB, POLARS]

    taken = compare.compare(contenders, sample, recorded, rounds=1)

    assert [len(runs) for runs in taken.values()] == [1, 1, 1]
    assert all(run.wall > 0 and run.cpu > 0 and run.memory > 0 for [run] in taken.values())


def test__compare__other_rows_than_the_generator_made(
    sample: Path, recorded: dict[str, int]
) -> None:
    with pytest.raises(AssertionError, match="DuckDB made"):
        compare.compare([DUCKDB], sample, {**recorded, "customer_curated": 1}, rounds=1)


def test__require_room__says_what_a_scale_needs(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"SCALE=1,9 needs about \d+ GB in .* smaller"):
        compare.require_room(tmp_path, "1,9", 10**18)


def test__results__medians_ratios_and_growth(tmp_path: Path) -> None:
    def scale(readings: int, whole: float, jvm: float) -> results.Scale[Contender]:
        runs = {WHOLE: [whole, 9 * whole, whole], JVM: [jvm], TRANSFORMATIONS: [4.0], DUCKDB: [2.0]}
        taken = {c: [Taken(wall, 2 * wall, 10**9) for wall in walls] for c, walls in runs.items()}
        return results.Scale(readings, 5_000_000, taken)

    results.write(tmp_path, {1: scale(10**6, 3.0, 12.0), 3: scale(3 * 10**6, 5.0, 20.0)}, 3)

    written = (tmp_path / "RESULTS.md").read_text()
    assert "| whole command | 3.00 | (3.00 to 27.00) | 6.00 | 1.00 |" in written
    assert "| whole command / JVM Spark script | 0.25 | 0.25 |" in written
    assert "| transformations / DuckDB | 2.00 | 2.00 |" in written
    assert "| whole command | 1 | 3 | 1.00 | 0.56 |" in written
    drawing = (tmp_path / "results.svg").read_text()
    assert "whole command" in drawing and "scale 3" in drawing
    assert 'href="http' not in drawing  # a script from elsewhere


FILES = 20


def landed(folder: Path, source: str, name: str = "*") -> list[dict[str, Any]]:
    """The records of a source's files, in the order of the files' names."""
    files = sorted((folder / source / "landing").glob(f"{name}.json"))
    return [json.loads(line) for file in files for line in file.read_text().splitlines()]


def values(folder: Path, table: str, column: str) -> list[Any]:
    return list(stored_rows(folder / "lakehouse" / table, columns=[column])[column].to_pylist())


def test__deliver__files_are_slices_of_time(tmp_path: Path) -> None:
    source = tmp_path / "source"

    delivery.deliver(source, tmp_path, SampleSpec(scale=2), FILES)

    for table in LANDING_TABLES:
        names = sorted(file.stem for file in (source / table.location).iterdir())
        assert len(names) == FILES - 1
        if time := table.time_column:
            times = [[r[time] for r in landed(source, table.source, name)] for name in names]
            assert all(max(one) <= min(next_) for one, next_ in itertools.pairwise(times))


def test__deliver__as_many_new_records_at_every_scale(tmp_path: Path) -> None:
    def new(scale: int) -> list[int]:
        folder = tmp_path / str(scale)
        delivery.deliver(folder / "source", folder, SampleSpec(scale=scale), FILES)
        arriving = folder / delivery.NEW_FILES.name
        return [len(landed(arriving, source)) for source in ("customer", "step_trainer")]

    assert new(1) == new(2) == [287, 8604]


def test__deliver__people_of_every_hour_withdraw(tmp_path: Path) -> None:
    delivery.deliver(tmp_path / "source", tmp_path, SampleSpec(scale=3), FILES)

    withdrawn = landed(tmp_path / delivery.SOME_WITHDRAW.name, "customer")
    consenting = {record["email"]: record for record in landed(tmp_path / "source", "customer")}
    assert len({record["lastUpdateDate"] // 3_600_000 for record in withdrawn}) == 3
    for record in withdrawn:
        before = consenting[record["email"]]
        assert before["shareWithResearchAsOfDate"]
        assert record == {
            **{name: value for name, value in before.items() if name != CONSENTED},
            "lastUpdateDate": before["lastUpdateDate"] + delivery.DAY,
        }


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> events.Stage:
    """A loaded lakehouse. `run` compares the rows of its tables with the generator's."""
    stage = events.Stage(tmp_path_factory.mktemp("events"), scale=1, files=FILES)
    stage.run(delivery.FIRST_LOAD)
    return stage


def test__nothing_new__files_keep_their_times(stage: events.Stage) -> None:
    def times(folder: Path) -> dict[str, int]:
        return {file.name: file.stat().st_mtime_ns for file in folder.rglob("*.json")}

    taken = stage.run(delivery.NOTHING)

    assert taken.wall > 0 and taken.cpu > 0 and taken.memory > 0
    assert times(stage.now / "source") == times(stage.loaded / "source")


def test__new_files__all_that_the_generator_made(
    stage: events.Stage, recorded: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.run(delivery.NEW_FILES)

    rows = len(values(stage.now, "accelerometer/trusted", "user"))
    assert rows == recorded["accelerometer_trusted"]
    assert rows > len(values(stage.loaded, "accelerometer/trusted", "user"))
    assert stage.rebuild().wall > 0
    expected = stage.delivery.rows[delivery.NEW_FILES]
    monkeypatch.setitem(expected, "customer_curated", 1)
    with pytest.raises(AssertionError, match="DuckDB, one new file a source"):
        stage.rebuild()


def test__withdrawal__person_and_readings_are_gone(stage: events.Stage) -> None:
    stage.run(delivery.ONE_WITHDRAWS)

    [person] = landed(stage.delivery.arriving / delivery.ONE_WITHDRAWS.name, "customer")
    for table, column, gone in (
        ("customer/trusted", "email", person["email"]),
        ("customer/curated", "email", person["email"]),
        ("accelerometer/trusted", "user", person["email"]),
        ("step_trainer/trusted", "serialNumber", person["serialNumber"]),
        ("machine_learning/curated", "serialNumber", person["serialNumber"]),
    ):
        before, after = (set(values(f, table, column)) for f in (stage.loaded, stage.now))
        assert before - after == {gone}
        assert after < before


def test__replaced__only_the_new_content_counts(stage: events.Stage) -> None:
    stage.run(delivery.REPLACED)

    name = f"accelerometer-{FILES // 2:06d}"
    old, new = (landed(f / "source", "accelerometer", name) for f in (stage.loaded, stage.now))
    before, after = (
        len(values(folder, "accelerometer/trusted", "user")) for folder in (stage.loaded, stage.now)
    )
    assert 0 < before - after < len(old) - len(new)


def test__event_results__targets_and_ratios(tmp_path: Path) -> None:
    def scale(readings: int, walls: dict[delivery.Event, float]) -> results.Scale[delivery.Event]:
        of_all = dict.fromkeys((*delivery.EVENTS, delivery.REBUILD), 10.0) | walls
        taken = {event: [Taken(wall, 2 * wall, 10**9)] * 3 for event, wall in of_all.items()}
        return results.Scale(readings, 5_000_000, taken)

    small = scale(10**6, {delivery.NOTHING: 5.0})
    large = scale(3 * 10**8, {delivery.NOTHING: 5.5, delivery.FIRST_LOAD: 50.0})

    event_results.write(tmp_path, {1: small, 300: large}, 3)

    written = (tmp_path / "EVENTS.md").read_text()
    assert "| at most 1.2 times nothing new, scale 1 | 1.10 | met |" in written
    assert "| at most 0.15 times first load, scale 300 | 0.20 | **missed** |" in written
    assert "| at most 1.3 times one new file a source, scale 30 | | not measured |" in written
    assert "| at most 2 GB of memory | 1.00 | met |" in written
    assert "| nothing new | first load | 0.50 | 0.11 |" in written
    assert "| nothing new | 5.50 | (5.50 to 5.50) | 11.00 | 1.00 |" in written
    drawing = (tmp_path / "events.svg").read_text()
    assert "one person withdraws" in drawing
    assert 'href="http' not in drawing  # a script from elsewhere
