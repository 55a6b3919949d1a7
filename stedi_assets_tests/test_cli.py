"""The command `stedi`, as installed from a wheel into an environment of its own."""

from __future__ import annotations

import functools
import importlib.metadata
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
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE", "NOTICE"):
        shutil.copy(PROJECT / name, source)
    for name in ("stedi_assets", "sql"):
        shutil.copytree(PROJECT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    run = functools.partial(subprocess.run, check=True)
    build = ["build", "--quiet", "--wheel", "--offline", "--no-build-isolation"]
    run([UV, *build, "--python", sys.executable, "--out-dir", str(tmp_path), str(source)])
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
    assert str(tmp_path / "here" / "lakehouse") in made.stdout
    assert asked.stdout.split()[1:] == ["482"]
    query = environment / "share" / "stedi_assets" / "sql" / "queries" / "row_counts.sql"
    assert "machine_learning_curated" in stedi("sql", "--file", str(query)).stdout
    assert {path.name for path in (tmp_path / "here").iterdir()} == {
        *(".dagster", "data", "lakehouse"),
    }
    assert (tmp_path / "here" / ".dagster").stat().st_mode & 0o777 == 0o700
    assert set(environment.rglob("*")) == installed


def test__wheel__metadata(environment: Path) -> None:
    """What pyproject.toml does not call dynamic would be dropped without a word."""
    [wheel] = importlib.metadata.distributions(
        name="stedi_assets", path=[str(each) for each in environment.glob("lib/*/site-packages")]
    )
    metadata, text = wheel.metadata, wheel.read_text("METADATA")
    needed = {re.split(r"[^\w-]", each)[0] for each in wheel.requires or []}

    assert {"dagster", "pyspark", "pysail", "deltalake", "duckdb", "slack-sdk"} <= needed
    assert {"postgres", "slack", "sql"} <= set(metadata.get_all("Provides-Extra") or [])
    assert [each.value for each in wheel.entry_points] == ["stedi_assets.cli:main"]
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata.get_all("License-File") == ["LICENSE", "NOTICE"]
    assert metadata["Author"]
    assert metadata.get_all("Project-URL")
    assert metadata["Requires-Python"]
    links = re.findall(r"\]\(([^)]+)\)", text or "")
    assert any(link.endswith(".png") for link in links)
    assert [
        link for link in links if not link.startswith(("https://", "http://127.0.0.1:", "#"))
    ] == []
    shipped = {str(each) for each in wheel.files or []}
    assert {f"stedi_assets/{name}" for name in ("py.typed", "dagster.yaml")} <= shipped


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


@pytest.mark.parametrize("there", [True, False])
def test__reset__of_a_link_removes_the_link_alone(
    there: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere, here = tmp_path / "elsewhere", tmp_path / "here"
    here.mkdir()
    if there:
        (elsewhere / "customer").mkdir(parents=True)
    (here / "lakehouse").symlink_to(elsewhere)
    monkeypatch.chdir(here)
    with pytest.raises(SystemExit) as ended:
        cli.main(["reset"])
    assert not ended.value.code
    assert not list(here.iterdir())
    assert (elsewhere / "customer").exists() is there
