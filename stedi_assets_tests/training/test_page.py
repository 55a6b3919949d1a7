"""The page on loading works as it stands, and says what comes out."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from stedi_assets_tests.conftest import PROJECT
from stedi_assets_tests.training.conftest import readings, write

PAGE = PROJECT / "docs" / "LOAD_TRAINING_DATA.md"


def run_page(monkeypatch: pytest.MonkeyPatch, lakehouse: Path, *, torch: bool) -> dict[str, Any]:
    """Runs its blocks in order, and gives what they name."""
    write(str(lakehouse), readings(200, moments=60), files=3)
    monkeypatch.setenv("STEDI_LAKEHOUSE_URI", str(lakehouse))
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    names: dict[str, Any] = {}
    for block in (each for each in blocks if torch or "torch" not in each):
        exec(compile(block, str(PAGE), "exec"), names)
    return names


@pytest.mark.training
def test__page__has_a_network_read_windows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output = run_page(monkeypatch, tmp_path, torch=True)["output"]
    assert len(output) > 0 and bool(output.isfinite().all())


def test__page__runs_and_its_baseline_is_no_better_than_the_mean(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    names = run_page(monkeypatch, tmp_path, torch=False)

    assert -0.1 < names["score"] < 0.02
    shown = capsys.readouterr().out
    assert "values float32 (256," in shown
    assert "R² on test" in shown
