"""The command `stedi`, as installed from a wheel into an environment of its own."""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from stedi_assets import cli, dev
from stedi_assets.orchestration.runs import LOCATION
from stedi_assets_tests.conftest import PROJECT

UV = str(Path(sys.executable).with_name("uv"))
MAKEFILE = (PROJECT / "Makefile").read_text()
Stedi = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    """A virtual environment with the wheel, and the libraries of the one that the tests run in."""
    source, venv = tmp_path / "source", tmp_path / "venv"
    source.mkdir()
    for name in ("setup.py", "pyproject.toml", "README.md"):
        shutil.copy(PROJECT / name, source)
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(PROJECT / "stedi_assets", source / "stedi_assets", ignore=ignored)
    wheels = ["pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    run = functools.partial(subprocess.run, check=True)
    run([sys.executable, "-m", *wheels, "--wheel-dir", str(tmp_path), str(source)])
    [wheel] = tmp_path.glob("*.whl")
    run([UV, "venv", "--quiet", "--python", sys.executable, str(venv)])
    install = ["pip", "install", "--quiet", "--offline", "--no-deps", "--python", str(venv)]
    run([UV, *install, str(wheel)])
    [packages] = venv.glob("lib/*/site-packages")
    (packages / "libraries.pth").write_text(sysconfig.get_path("purelib"))
    return venv


@pytest.fixture
def stedi(environment: Path, tmp_path: Path) -> Stedi:
    """Runs the command in an empty folder, without any setting."""
    here = tmp_path / "here"
    here.mkdir()
    settings = ("STEDI_", "AWS_", "DAGSTER_", "PYTHON")
    kept = {name: text for name, text in os.environ.items() if not name.startswith(settings)}

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [environment / "bin" / "stedi", *arguments],
            cwd=here,
            env={**kept, "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def test__wheel__works_in_an_empty_folder(stedi: Stedi, environment: Path, tmp_path: Path) -> None:
    installed = set(environment.rglob("*"))

    assert stedi("sample").returncode == 0
    made = stedi("materialize")
    asked = stedi("sql", "--format", "csv", "--query", "select count(*) from customer_trusted")

    assert (made.returncode, made.stderr) == (0, ""), made.stdout
    assert asked.stdout.split()[1:] == ["482"]
    assert {path.name for path in (tmp_path / "here").iterdir()} == {
        *(".dagster", "data", "lakehouse"),
    }
    assert (tmp_path / "here" / ".dagster").stat().st_mode & 0o777 == 0o700
    assert set(environment.rglob("*")) == installed


def test__help__imports_nothing_that_a_command_does_not_need() -> None:
    script = "import sys, stedi_assets.cli; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    ).stdout.split()
    assert not {"dagster", "pyspark", "pydantic", "duckdb", "rich"}.intersection(loaded)


@pytest.mark.parametrize("command", cli.stedi.commands)
def test__command__is_called_by_make(command: str) -> None:
    """But for the sample, which is committed."""
    called = set(re.findall(r"/stedi (\S+)", MAKEFILE))
    assert command in called | {"sample"}


def test__dev__code_location_is_that_of_the_workspace() -> None:
    """So that its history is the one that Dagster's own commands show in a clone."""
    [location] = yaml.safe_load((PROJECT / "workspace.yaml").read_text())["load_from"]
    assert tuple(location["python_module"].values()) == (dev.MODULE, LOCATION)


@pytest.mark.parametrize("arguments", [["dev", "--port", "x"], ["replay"], ["replay", "nobody"]])
def test__command__that_is_wrong(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    assert ended.value.code == 2
    assert "Traceback" not in capsys.readouterr().err
