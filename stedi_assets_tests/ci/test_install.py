"""What `make` does before it installs, and that what it installs is what uv.lock has."""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from stedi_assets_tests.conftest import PROJECT

pytestmark = pytest.mark.slow

BIN = Path(sys.executable).parent
# What asks that changes to its own files are published, as classifiers and expressions name it.
WEAK_COPYLEFT = re.compile(r"MPL-2\.0|Mozilla Public|LGPL|Lesser General|EPL-|CDDL", re.ASCII)


def make(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs make with no setting and no flag of the make that runs the tests."""
    settings = ("MAKE", "MFLAGS", "STEDI_", "DAGSTER_", "VIRTUAL_ENV", "PYTHON")
    kept = {name: text for name, text in os.environ.items() if not name.startswith(settings)}
    return subprocess.run(
        ["make", *arguments], cwd=folder, env=kept, capture_output=True, text=True, check=False
    )


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone in a folder whose name has a space and a letter that is not ASCII.

    Its requirements are none, but for an uv that is nothing, so that it is installed in no time.
    """
    folder = tmp_path / "a clône"
    for name in ("Makefile", "pyproject.toml", ".ci/environment.py", "stedi_assets/dagster.yaml"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(PROJECT / name, folder / name)
    (folder / "requirements").mkdir()
    (folder / "requirements" / "uv.txt").write_text("")
    return folder


def python_that_says(folder: Path, version: str, free: int = 1 << 40) -> Path:
    """A Python that is another version to all who ask, with some free bytes on any disk."""
    minor = version.split(".")[1]
    script = folder / f"python{version}"
    script.write_text(
        f'#!/bin/sh\n[ "$1" != --version ] || {{ echo Python {version}.1; exit; }}\n'
        f"script=$1; shift\nexec '{sys.executable}' -c \"import sys, runpy; "
        f"sys.version_info = (3, {minor}, 1); sys.argv = sys.argv[1:]; import shutil; "
        f"shutil.disk_usage = lambda _: shutil._ntuple_diskusage(0, 0, {free}); "
        'runpy.run_path(sys.argv[0], run_name=\'__main__\')" "$script" "$@"\n'
    )
    script.chmod(0o755)
    return script


def place(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Makes the environment, without anything in it; what stands in for uv is there."""
    done = make(folder, ".venv/place", *arguments)
    if (folder / ".venv" / "bin").exists():
        (folder / ".venv" / "bin" / "uv").touch()
    return done


def test__environment__is_made_once_and_anew_where_it_cannot_be_used(clone: Path) -> None:
    assert place(clone).returncode == 0
    made = (clone / ".venv" / "place").stat().st_mtime_ns
    assert "up to date" in place(clone).stdout

    moved = clone.rename(clone.parent / "moved")
    again = place(moved)
    assert "made anew: its folder has moved" in again.stdout
    assert (moved / ".venv" / "place").stat().st_mtime_ns > made

    (moved / ".venv" / "bin" / "uv").unlink()
    assert "made anew: make has not made it, or not to its end" in place(moved).stdout

    [version] = [each.name for each in (moved / ".venv" / "lib").iterdir()]
    (moved / ".venv" / "lib" / version).rename(moved / ".venv" / "lib" / "python3.1")
    assert "made anew: its Python has become" in place(moved).stdout

    (moved / ".venv" / "bin" / "python").unlink()
    assert "made anew" in place(moved).stdout
    assert "up to date" in place(moved).stdout


@pytest.mark.parametrize("version", ["3.10", "3.15"])
def test__environment__of_a_python_that_is_not_supported(clone: Path, version: str) -> None:
    refused = place(clone, f"PYTHON={python_that_says(clone.parent, version)}")
    assert refused.returncode != 0
    assert f"is {version}. Name another: make PYTHON=" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert not (clone / ".venv").exists()


def test__environment__of_another_python_than_is_wanted(clone: Path) -> None:
    place(clone)
    another = "3.12" if sys.version_info[1] != 12 else "3.11"
    python = python_that_says(clone.parent, another)
    assert f"is {another}" in make(clone, "-n", ".venv/place", f"PYTHON={python}").stdout


def test__environment__disk_that_is_nearly_full(clone: Path) -> None:
    version = f"3.{sys.version_info[1]}"
    refused = place(clone, f"PYTHON={python_that_says(clone.parent, version, 1_200_000_000)}")
    assert refused.returncode != 0
    assert "needs 3 GB of disk" in refused.stderr
    assert "1.2 GB are free" in refused.stderr
    assert not (clone / ".venv").exists()


def test__environment__no_python(clone: Path) -> None:
    refused = place(clone, "PYTHON=python9")
    assert refused.returncode != 0
    assert refused.stdout.startswith("There is no python9.")


def test__reset__leaves_the_environment(clone: Path) -> None:
    for each in (".dagster", "lakehouse", ".venv/lib"):
        (clone / each).mkdir(parents=True)
    assert make(clone, "reset").returncode == 0
    assert (clone / ".venv").exists()
    assert not (clone / ".dagster").exists()
    assert not (clone / "lakehouse").exists()


def test__help__has_every_target_that_is_documented() -> None:
    helped = {line.split()[0] for line in make(PROJECT, "help").stdout.splitlines()}
    named = set(re.findall(r"`make ([a-z0-9-]+)", (PROJECT / "README.md").read_text()))
    assert named <= helped


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `make requirements` and `make sbom` write, from uv.lock alone."""
    folder = tmp_path_factory.mktemp("exported")
    for name in ("Makefile", "pyproject.toml", "uv.lock", "setup.py", "README.md"):
        shutil.copy(PROJECT / name, folder / name)
    done = make(folder, "requirements", "sbom", "RUN=", f"BIN={BIN}")
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.parametrize("name", ["uv", "run", "test"])
def test__requirements__are_those_of_the_lock(name: str, exported: Path) -> None:
    ours = (PROJECT / "requirements" / f"{name}.txt").read_text()
    assert ours == (exported / "requirements" / f"{name}.txt").read_text()
    named = re.findall(r"^\S+==.*", ours, re.MULTILINE)
    assert named
    assert all(each.endswith("\\") for each in named)  # behind which the hashes stand


def test__sbom__has_what_runs_and_no_tool_of_tests(exported: Path) -> None:
    sbom = json.loads((exported / "build" / "sbom.json").read_text())
    names = {each["name"] for each in sbom["components"]}
    assert sbom["bomFormat"] == "CycloneDX"
    assert {"dagster", "pysail", "psycopg2-binary", "duckdb", "slack-sdk"} <= names
    assert not {"pytest", "hypothesis", "playwright", "ruff", "mypy"} & names
    # What builds this project is in only where a package that runs depends on it, as dg does.
    project = sbom["metadata"]["component"]["bom-ref"]
    needs = {
        each["ref"]: [ref.rpartition("-")[0] for ref in each.get("dependsOn", ())]
        for each in sbom["dependencies"]
        if each["ref"] != project
    }
    assert ("setuptools" in names) is any("setuptools" in each for each in needs.values())
    assert all("@" in each["purl"] for each in sbom["components"])


def test__notice__names_every_weak_copyleft_dependency() -> None:
    notice = (PROJECT / "NOTICE").read_text()
    text = (PROJECT / "requirements" / "test.txt").read_text()
    locked = [Requirement(line) for line in re.findall(r"^(\S+==[^\\]*)", text, re.MULTILINE)]
    found = []
    for each in locked:
        if each.marker and not each.marker.evaluate():
            continue  # it is not installed on this system
        metadata = importlib.metadata.metadata(each.name)
        licence = [
            metadata.json.get("license_expression"),
            str(metadata.json.get("license", ""))[:80],
        ]
        if WEAK_COPYLEFT.search(
            " ".join(map(str, [*licence, *metadata.get_all("Classifier", [])]))
        ):
            found.append(each.name)
    assert found
    assert [name for name in found if not re.search(rf"\b{name}\b", notice)] == []
