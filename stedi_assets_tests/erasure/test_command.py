"""`dagster job execute` says in one sentence what is wrong, and prints what an erasure did."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from stedi_assets.tables.customer import CUSTOMER_LANDING
from stedi_assets_tests.checks.conftest import GOOD, land
from stedi_assets_tests.conftest import PROJECT
from stedi_assets_tests.rows import PSEUDONYMS


def execute(folder: Path, config: str) -> subprocess.CompletedProcess[str]:
    """Runs the job as docs/ERASE_PEOPLE.md has it."""
    (folder / "erase.yaml").write_text(config)
    (folder / "home").mkdir(exist_ok=True)
    return subprocess.run(
        [
            *(Path(sys.executable).with_name("dagster"), "job", "execute"),
            *("-m", "stedi_assets.definitions", "-j", "erase_withdrawn", "-c", "erase.yaml"),
        ],
        cwd=folder,
        env={
            **os.environ,
            "DAGSTER_HOME": str(folder / "home"),
            "STEDI_LAKEHOUSE_URI": str(folder / "lakehouse"),
            "STEDI_PSEUDONYM_KEY": PSEUDONYMS.key,
            "PYTHONPATH": str(PROJECT),
        },
        capture_output=True,
        text=True,
        check=False,
    )


def test__execute__configuration_is_wrong(tmp_path: Path) -> None:
    result = execute(tmp_path, "erase_from_landing: [ann@example.com]")

    assert result.returncode == 1
    assert result.stderr.splitlines()[-1].startswith("Error: Entry 1 of erase_from_landing")
    assert "Traceback" not in result.stderr + result.stdout
    kept = (path for path in (tmp_path / "home").rglob("*") if path.is_file())
    assert not any(b"ann@example.com" in path.read_bytes() for path in kept)


def test__execute__example_of_the_page(tmp_path: Path) -> None:
    """The output has the number of people and of lines."""
    page = (PROJECT / "docs" / "ERASE_PEOPLE.md").read_text()
    [example] = re.findall(r"```yaml\n(erase_from_landing:.*?)```", page, re.DOTALL)
    land(tmp_path / "lakehouse", CUSTOMER_LANDING, GOOD[CUSTOMER_LANDING.name])
    first, second = re.findall("[0-9a-f]{64}", example)
    config = example.replace(first, PSEUDONYMS.of_text("eve@example.com"))

    result = execute(tmp_path, config.replace(second, PSEUDONYMS.of_text("zoe@example.com")))

    assert result.returncode == 0, result.stderr
    assert "Erased 2 people: 2 lines of landing" in result.stderr + result.stdout
