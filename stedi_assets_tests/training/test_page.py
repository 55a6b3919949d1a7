"""The page on loading works as it stands, and says what comes out."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from stedi_assets_tests.conftest import PROJECT, Materialize
from stedi_assets_tests.training.conftest import readings, write

PAGE = PROJECT / "docs" / "LOAD_TRAINING_DATA.md"


def run_page(monkeypatch: pytest.MonkeyPatch, lakehouse: Path, *, torch: bool) -> dict[str, Any]:
    """Runs its blocks in order, and gives what they name."""
    monkeypatch.setenv("STEDI_LAKEHOUSE_URI", str(lakehouse))
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    names: dict[str, Any] = {}
    for block in (each for each in blocks if torch or "torch" not in each):
        exec(compile(block, str(PAGE), "exec"), names)
    return names


@pytest.mark.training
def test__page__has_a_network_read_windows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(str(tmp_path), readings(200, moments=60), files=3)
    output = run_page(monkeypatch, tmp_path, torch=True)["output"]
    assert len(output) > 0 and bool(output.isfinite().all())


def test__page__runs_and_its_baseline_is_no_better_than_the_mean(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    write(str(tmp_path), readings(200, moments=60), files=3)
    names = run_page(monkeypatch, tmp_path, torch=False)

    assert -0.1 < names["score"] < 0.02
    shown = capsys.readouterr().out
    assert "values float32 (256," in shown
    assert "R² on test" in shown


@pytest.mark.slow
@pytest.mark.parametrize("data", ["STEDI data", "sample in `data`"])
def test__page__says_what_comes_out(
    data: str,
    tmp_path: Path,
    materialize: Materialize,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
    request: pytest.FixtureRequest,
) -> None:
    sample = PROJECT / "data"
    materialize(sample if "sample" in data else request.getfixturevalue("reference_data"))
    run_page(monkeypatch, tmp_path / "lakehouse", torch=False)
    number = r"(-?\d+\.\d+)"
    found = re.findall(rf"(?:R² on test|error.*): {number}", capsys.readouterr().out)
    written = rf"{re.escape(data)} R² is {number}, and the error {number} against {number}"
    [said] = re.findall(written, PAGE.read_text())
    # The last digit may be rounded otherwise on another processor.
    assert list(map(float, found)) == pytest.approx(list(map(float, said)), abs=0.011)
