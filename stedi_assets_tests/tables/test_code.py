"""The version of a table's code changes with what the code does, and with nothing else."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from stedi_assets.tables import DELTA_TABLES, LANDING_TABLES, TABLES, code
from stedi_assets_tests.conftest import PROJECT

SOURCE = '''
"""Of modules."""
LIMIT = 3


def rule(rows: list[int], *, other: str = "a") -> str:
    """Keeps some."""
    # Because.
    return f"{len(rows):>{LIMIT}} {other!r} {'even' if len(rows) % 2 else 'odd'}"
'''.lstrip()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"""Keeps some."""', '"""Keeps those that count."""'),
        ('"""Of modules."""\n', ""),
        ("# Because.", "# For another reason."),
        ("LIMIT = 3", "LIMIT = (\n    3\n)"),
    ],
)
def test__normalized__explanation_and_layout_do_not_count(old: str, new: str) -> None:
    assert old in SOURCE
    assert code.normalized(SOURCE.replace(old, new)) == code.normalized(SOURCE)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("LIMIT = 3", "LIMIT = 4"),
        ("% 2", "% 3"),
        ("!r", "!s"),
        (":>{", ":<{"),
        ('"a"', '"b"'),
        ("'even'", "'equal'"),
    ],
)
def test__normalized__what_it_does_counts(old: str, new: str) -> None:
    assert old in SOURCE
    assert code.normalized(SOURCE.replace(old, new)) != code.normalized(SOURCE)


# Runs the module by itself, for which a Python needs no package.
DIGEST = """
import importlib.util, sys
spec = importlib.util.spec_from_file_location("code_of_tables", sys.argv[1])
code = importlib.util.module_from_spec(spec)
spec.loader.exec_module(code)
print(code.digest(code.normalized(sys.stdin.read())))
"""


@pytest.mark.parametrize("minor", [11, 12, 13])
def test__normalized__is_the_same_in_every_python(minor: int) -> None:
    python = sys.executable if sys.version_info.minor == minor else f"python3.{minor}"
    try:
        subprocess.run([python, "-c", ""], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip(f"there is no Python 3.{minor}")
    run = subprocess.run(
        [python, "-c", DIGEST, str(code.__file__)],
        input=SOURCE,
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.strip() == code.digest(code.normalized(SOURCE)) == "9e80690af5c2"


VERSIONS = """
import stedi_assets.definitions as d
for spec in d.defs.resolve_all_asset_specs():
    print(spec.key.to_user_string(), spec.code_version)
"""


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package where a test may change it."""
    place = tmp_path_factory.mktemp("copy")
    shutil.copytree(PROJECT / "stedi_assets", place / "stedi_assets")
    return place


def versions(copy: Path) -> dict[str, str]:
    run = [sys.executable, "-c", VERSIONS]
    # The history of whoever runs the tests is of another lakehouse.
    environment = {name: value for name, value in os.environ.items() if name != "DAGSTER_HOME"}
    made = subprocess.run(run, cwd=copy, env=environment, capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    return dict(line.split() for line in made.stdout.splitlines() if not line.endswith("None"))


def append(line: str, copy: Path, modules: Iterable[str]) -> None:
    for module in modules:
        with (copy / "stedi_assets" / module).open("a") as source:
            source.write(f"\n{line}\n")


def test__code_version__by_changes_of_modules(copy: Path) -> None:
    before = versions(copy)
    assert set(before) == set(TABLES)
    changes = {
        "tables/consent.py": {table.name for table in (*LANDING_TABLES, *DELTA_TABLES)},
        "landing/json_text.py": {name for name in TABLES if not TABLES[name].rule},
        "tables/machine_learning.py": {"machine_learning_curated", "training_set"},
        "pseudonyms.py": {"machine_learning_curated", "training_set"},
    }
    append("# A comment.", copy, changes)
    assert versions(copy) == before
    for module, expected in changes.items():
        append("ANOTHER = 1", copy, [module])
        after = versions(copy)
        changed = {name for name in before if before[name] != after[name]}
        before = after
        if module == "tables/consent.py":
            assert changed >= {"customer_trusted", "accelerometer_trusted"}
        else:
            assert changed == expected
