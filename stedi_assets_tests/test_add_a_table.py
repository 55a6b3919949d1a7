"""docs/ADD_A_TABLE.md, followed on a copy of the project."""

from __future__ import annotations

import filecmp
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from stedi_assets_tests.conftest import PROJECT

pytestmark = pytest.mark.slow

PAGE = PROJECT / "docs" / "ADD_A_TABLE.md"
COPIED = ("stedi_assets", "docs", "sql", "deploy", "README.md", "setup.py")
# What the page says to write, and what `make generate` writes.
WRITTEN = {"stedi_assets/tables/heart_rate.py", "stedi_assets/sample/recipes/heart_rate.py"}
GENERATED = {
    "README.md",
    "deploy/aws/lakehouse.yaml",
    *(f"sql/ddl/heart_rate_{zone}.sql" for zone in ("landing", "quarantine", "trusted", "curated")),
}
CHECKS = {
    "heart_rate_landing": {
        *("objects_accounted_for", "malformed_share", "landed_files_unaltered"),
        "implausible_share",
    },
    "heart_rate_trusted": {
        *("volume", "provenance", "consent", "counts", "schema", "values"),
        *("keys", "references"),
    },
    "heart_rate_curated": {
        *("volume", "provenance", "consent", "counts", "schema", "values"),
        *("references", "no_personal_data"),
    },
}
# Materialises the sample, plants a row, and erases a person; says what it saw.
RUN = """
import json, pathlib, sys
import dagster as dg
from deltalake import write_deltalake
from stedi_assets.definitions import define
from stedi_assets.engine.spark import SparkResource
from stedi_assets.lakehouse.lakehouse import Lakehouse
from stedi_assets.orchestration.checks.tables import evaluate_in
from stedi_assets.policy import NO_OPTION
from stedi_assets.pseudonyms import Pseudonyms
from stedi_assets.settings import Settings
from stedi_assets.tables import TABLES

source, lakehouse, key = sys.argv[1], sys.argv[2], "k" * 40
defs = define(Settings(lakehouse_uri=lakehouse, source_data=source, pseudonym_key=key))
pseudonyms, spark = Pseudonyms(key), SparkResource()
rates = TABLES["heart_rate_trusted"]

def run(job, config=None):
    return defs.resolve_job_def(job).execute_in_process(config or {}, raise_on_error=False)

def landed():
    lines = pathlib.Path(lakehouse, "heart_rate", "landing").glob("heart_rate*.json")
    return [json.loads(line)["user"] for file in lines for line in file.read_text().splitlines()]

first = run("materialize_lakehouse")
found = {"checks": {}, "rows": {}, "failed": []}
for check in first.get_asset_check_evaluations():
    table = check.asset_key.to_user_string()
    if table.startswith("heart_rate"):
        found["checks"].setdefault(table, []).append(check.check_name)
        found["failed"] += [] if check.passed else [check.check_name]
for event in first.get_asset_materialization_events():
    made = event.step_materialization_data.materialization
    found["rows"][made.asset_key.to_user_string()] = made.metadata["dagster/row_count"].value

stored = Lakehouse(lakehouse, spark)
people = stored.arrow(rates)
strangers = sorted(set(landed()) - set(people["user"].to_pylist()))
row = people.slice(0, 1).set_column(0, "user", [[strangers[0]]])
write_deltalake(stored.uri_of(rates), row, mode="append")
planted = evaluate_in(Lakehouse(lakehouse, spark), rates, 2**42, pseudonyms, NO_OPTION)
found["planted"] = {r.check_name: r.metadata["rows_at_fault"].value for r in planted
                    if not r.passed and "rows_at_fault" in r.metadata}

person = people["user"][0].as_py()
erasing = {"erase_from_landing": [pseudonyms.of_text(person)]}
found["erasures"] = [
    run("erase_withdrawn", erasing).success,
    run("materialize_lakehouse").success,
    run("erase_withdrawn", erasing).success,
]
users = Lakehouse(lakehouse, spark).arrow(rates)["user"].to_pylist()
found["left"] = [person in landed(), person in users]
spark.stop()
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project as the page leaves it."""
    project = tmp_path_factory.mktemp("copy")
    for name in COPIED:
        source = PROJECT / name
        if source.is_dir():
            shutil.copytree(source, project / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, project / name)
    steps = re.findall(r"^Write `(\S+)`.*?^```python\n(.*?)^```$", PAGE.read_text(), re.M | re.S)
    for path, text in steps:
        (project / path).write_text(text)
    python(project, "-m", "docs.generate")
    return project


def python(project: Path, *arguments: str) -> str:
    """What a Python says that has the copy before the project itself."""
    run = subprocess.run(
        [sys.executable, "-B", *arguments], cwd=project, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr[-3000:]
    return run.stdout


def changed(one: Path, other: Path, below: str = "") -> set[str]:
    """The files that differ between two folders, or are only in the second."""
    found = filecmp.dircmp(one / below, other / below, ignore=["__pycache__"])
    names = {f"{below}{name}" for name in (*found.diff_files, *found.right_only)}
    return names.union(*(changed(one, other, f"{below}{each}/") for each in found.common_dirs))


def test__page__names_all_that_changes(copy: Path) -> None:
    files = set().union(
        *(
            changed(PROJECT / name, copy / name)
            and {f"{name}/{each}" for each in changed(PROJECT / name, copy / name)}
            for name in COPIED
            if (PROJECT / name).is_dir()
        )
    ) | {name for name in COPIED if name.endswith(".md") and not same(name, copy)}
    assert files == WRITTEN | GENERATED


def same(name: str, copy: Path) -> bool:
    return filecmp.cmp(PROJECT / name, copy / name, shallow=False)


def test__page__ruff_has_nothing_to_say(copy: Path) -> None:
    ruff = Path(sys.executable).with_name("ruff")
    for command in (["check"], ["format", "--check"]):
        run = subprocess.run(
            [ruff, *command, "--config", PROJECT / "pyproject.toml", *sorted(WRITTEN)],
            cwd=copy,
            capture_output=True,
            text=True,
            check=False,
        )
        assert run.returncode == 0, run.stdout


@pytest.fixture(scope="module")
def found(copy: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the copy's pipeline does with its own sample."""
    place = tmp_path_factory.mktemp("run")
    python(copy, "-m", "stedi_assets.cli", "sample", "--out", str(place / "source"))
    said = python(copy, "-c", RUN, str(place / "source"), str(place / "lakehouse"))
    seen: dict[str, Any] = json.loads(said.splitlines()[-1])
    manifest = json.loads((place / "source" / "manifest.json").read_text())
    seen["recorded"] = {n: rows for n, rows in manifest["rows"].items() if "+" not in n}
    return seen


def test__ninth_table__has_its_checks_and_rows(found: dict[str, Any]) -> None:
    assert {table: set(names) for table, names in found["checks"].items()} == CHECKS
    assert found["failed"] == []
    assert found["recorded"]["heart_rate_trusted"] > 0
    assert {name: found["rows"][name] for name in found["recorded"]} == found["recorded"]


def test__ninth_table__planted_row_fails_consent(found: dict[str, Any]) -> None:
    assert found["planted"] == {"consent": 1, "references": 1}


def test__ninth_table__erasure_removes_a_person(found: dict[str, Any]) -> None:
    assert found["erasures"] == [False, True, True]
    assert found["left"] == [False, False]
