"""The benchmark itself: that it measures whole trees, and that all make the same rows."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from benchmarks import compare, measure, results
from benchmarks.contenders import DUCKDB, JVM, POLARS, TRANSFORMATIONS, WHOLE, Contender
from benchmarks.measure import Taken
from stedi_assets_tests.conftest import PROJECT

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
    with pytest.raises(SystemExit, match=r"SCALE=1000000000 needs about \d+ GB in .* smaller"):
        compare.require_room(tmp_path, 1_000_000_000, compare.BYTES_OF_SCALE)


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
