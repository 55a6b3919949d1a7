"""The page on loading works as it stands, and says what comes out."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from stedi_assets_tests.conftest import PROJECT
from stedi_assets_tests.training.conftest import readings, write

PAGE = PROJECT / "docs" / "LOAD_TRAINING_DATA.md"


def test__page__runs_and_its_baseline_is_no_better_than_the_mean(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    write(str(tmp_path), readings(200, moments=60), files=3)
    monkeypatch.setenv("STEDI_LAKEHOUSE_URI", str(tmp_path))
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    names: dict = {}

    for block in (each for each in blocks if "torch" not in each):
        exec(compile(block, str(PAGE), "exec"), names)

    assert -0.1 < names["score"] < 0.02
    shown = capsys.readouterr().out
    assert "values float32 (256," in shown
    assert "R² on test" in shown
