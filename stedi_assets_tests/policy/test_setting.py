"""The settings of the privacy policy are on or off, and every command refuses anything else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from stedi_assets import cli
from stedi_assets.errors import LakehouseError
from stedi_assets.policy import Options
from stedi_assets.settings import Settings


@pytest.mark.parametrize(
    ("value", "on"),
    [
        *((value, True) for value in ("true", "1", "YES", " on ")),
        *((value, False) for value in ("", "false", "0", "No", "off")),
    ],
)
def test__setting__is_on_or_off(value: str, on: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEDI_MATCH_DEVICE", value)
    assert Settings.from_environment().policy == Options(match_device=on)


def test__setting__is_neither(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEDI_PSEUDONYMISE_DEVICES", "sometimes")
    with pytest.raises(LakehouseError, match=r"^\[SETTING\] STEDI_PSEUDONYMISE_DEVICES is"):
        Settings.from_environment()


@pytest.mark.parametrize("command", ["pseudonyms", "replay customer", "sql --query x"])
def test__setting__is_neither_and_commands_end_in_a_sentence(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STEDI_MATCH_DEVICE", "maybe")
    with pytest.raises(SystemExit, match=r"^\[SETTING\] STEDI_MATCH_DEVICE.*\Z"):
        cli.main(command.split())
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("command", ["materialize", "report", "dev"])
def test__setting__is_neither_and_nothing_is_defined(command: str, tmp_path: Path) -> None:
    """In a process of its own, which reads the settings where it imports the definitions."""
    ended = subprocess.run(
        [sys.executable, "-m", "stedi_assets.cli", *command.split()],
        env={"STEDI_MATCH_DEVICE": "maybe", "DAGSTER_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 1
    [said] = (ended.stdout + ended.stderr).splitlines()
    assert said.startswith("[SETTING] STEDI_MATCH_DEVICE")
