"""The benchmarks: they measure whole trees, all make the same rows, and events happen."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from benchmarks import (
    check,
    compare,
    delivery,
    event_results,
    events,
    floors,
    measure,
    results,
)
from benchmarks.contenders import (
    COMPARED,
    DUCKDB,
    DUCKDB_DUTY,
    JVM,
    POLARS,
    POLARS_DUTY,
    TRANSFORMATIONS,
    WHOLE,
    Contender,
    Content,
)
from benchmarks.measure import Taken
from stedi_assets.sample.cohort import CONSENTED
from stedi_assets.sample.files import write_sample
from stedi_assets.sample.spec import SampleSpec
from stedi_assets.tables import DELTA_TABLES, LANDING_TABLES, QUARANTINE_TABLES, Table
from stedi_assets_tests.conftest import PROJECT
from stedi_assets_tests.rows import stored_rows

pytestmark = pytest.mark.slow

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


def test__taken__processor_seconds_between_moments() -> None:
    taken = Taken(4.0, 6.0, 0, cpu_at=((100.0, 0.0), (102.0, 4.0), (104.0, 6.0)))

    assert taken.cpu_between(101.0, 103.0) == 3.0


def test__run__failure_says_what_the_command_said(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="no such table"):
        measure.run([sys.executable, "-c", "exit('no such table')"], os.environ, tmp_path)


HARD = (
    '{"user":"ann@x.io","timestamp":1655564376361,"x":1.0,"y":0.0,"z":-0.0}'
    ' {"user":"ann@x.io","timestamp":"1655564376362","x":"1","y":1e4,"z":0},\r\n'
    '\n[{"user":" ANN@x.io","timeStamp":1.655564376363e12,"x":1,"y":2,"z":3},\n'
    '{"user":true,"timestamp":99999999999999999999,"x":0.1,"y":0.0}\n'
    '{"user":"ann@x.io","timestamp":1655564376361,"x":"","y":null,"z":{}} tail\n'
    '{"user":"ann@x.io","timestamp":16555'
)


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
    contenders = [TRANSFORMATIONS, DUCKDB, DUCKDB_DUTY, POLARS, POLARS_DUTY]

    taken = compare.compare(contenders, sample, recorded, rounds=1)

    assert [len(runs) for runs in taken.values()] == [1] * 5
    assert all(run.wall > 0 and run.cpu > 0 and run.memory > 0 for [run] in taken.values())


def test__compare__other_rows_than_the_generator_made(
    sample: Path, recorded: dict[str, int]
) -> None:
    with pytest.raises(AssertionError, match="DuckDB made"):
        compare.compare([DUCKDB], sample, {**recorded, "customer_curated": 1}, rounds=1)


def test__compare__other_rows_than_the_first(sample: Path, recorded: dict[str, int]) -> None:
    class Other(Contender):
        def contents(self, output: Path, tables: Sequence[Table]) -> dict[str, Content]:
            made = super().contents(output, tables)
            made["customer_curated"] = made["customer_curated"]._replace(digest=1)
            return made

    with pytest.raises(AssertionError, match="another made other rows of customer_curated"):
        compare.compare([DUCKDB, Other("another", DUCKDB.script)], sample, recorded, rounds=1)


def test__same_duty__what_is_hard_is_judged_alike(tmp_path: Path) -> None:
    """Malformed and repeated records, numbers as texts, several objects on a line, withdrawals."""
    source = tmp_path / "source"
    write_sample(source, SampleSpec(malformed=0.004, duplicates=0.01, withdrawn=0.05))
    (source / "accelerometer" / "landing" / "hard.json").write_text(HARD)
    made = {}
    for rival in (TRANSFORMATIONS, DUCKDB_DUTY, POLARS_DUTY):
        output = tmp_path / rival.script
        rival.take(source, output)
        quarantined = {
            table.name: sorted(
                tuple(row.values())
                for row in stored_rows(
                    output / table.location, columns=["line", "reason", "lineNumber", "byteOffset"]
                ).to_pylist()
            )
            for table in QUARANTINE_TABLES
        }
        assert len(quarantined["accelerometer_quarantine"]) > 100
        made[rival] = rival.contents(output, (*LANDING_TABLES, *COMPARED)), quarantined

    assert made[DUCKDB_DUTY] == made[POLARS_DUTY] == made[TRANSFORMATIONS]


def test__bench_check__release_is_not_this_tree(tmp_path: Path) -> None:
    python = check.install(check.build("HEAD", tmp_path), tmp_path / "release")

    where = "import dagster, stedi_assets; print(stedi_assets.__file__)"
    run = subprocess.run([python, "-c", where], cwd=tmp_path, stdout=subprocess.PIPE, check=True)
    assert run.stdout.decode().startswith(str(tmp_path / "release"))


def test__require_room__says_what_a_scale_needs(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"SCALE=1,9 needs about \d+ GB in .* smaller"):
        compare.require_room(tmp_path, "1,9", 10**18)


def test__results__medians_ratios_and_growth(tmp_path: Path) -> None:
    def scale(readings: int, whole: float, jvm: float) -> results.Scale[Contender]:
        runs = {WHOLE: [whole, 9 * whole, whole], JVM: [jvm], TRANSFORMATIONS: [4.0], DUCKDB: [2.0]}
        taken = {
            contender: [Taken(wall, 2 * wall, 10**9, checks=wall) for wall in walls]
            for contender, walls in runs.items()
        }
        return results.Scale(readings, 5_000_000, taken)

    results.write(tmp_path, {1: scale(10**6, 3.0, 12.0), 300: scale(3 * 10**6, 5.0, 20.0)}, 3)

    written = (tmp_path / "RESULTS.md").read_text()
    assert "| whole command | 3.00 | (3.00 to 27.00) | 6.00 | 1.00 |" in written
    assert "| whole command / JVM Spark script | 0.25 | 0.25 |" in written
    assert "| transformations / DuckDB | 2.00 | 2.00 |" in written
    assert "| whole command / JVM Spark script, wall | 1 | 0.25 | 0.25 | met |" in written
    assert "| transformations / DuckDB, same duty, wall | 300 | 1.2 | | not measured |" in written
    assert "| checks' share of CPU | 300 | 0.25 | 0.50 | **missed** |" in written
    assert "| whole command | 1 | 300 | 1.00 | 0.56 |" in written
    drawing = (tmp_path / "results.svg").read_text()
    assert "whole command" in drawing and "scale 300" in drawing
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


def test__floors__every_step_of_each_table(
    capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(floors, "WORK", tmp_path)
    floors.main("1")
    printed = capsys.readouterr().out.splitlines()
    *taken, total, reading, drawing = (float(line.split("|")[3]) for line in printed[2:])
    assert len(taken) == 1 + 3 * len(LANDING_TABLES) + 3 * len(DELTA_TABLES)
    assert total == pytest.approx(sum(taken), abs=0.005 * (len(taken) + 1))
    assert reading > 0
    assert drawing > 0
    assert all(any(f"{table.name}: its rule" in line for line in printed) for table in DELTA_TABLES)
