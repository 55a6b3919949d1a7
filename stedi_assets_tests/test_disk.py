"""A disk that is full or read-only: a clear error, the last good version, and then recovery."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stedi_assets.tables import DELTA_TABLES, LANDING_TABLES
from stedi_assets_tests.checks.conftest import GOOD, land
from stedi_assets_tests.conftest import PROJECT
from stedi_assets_tests.rows import MORNING, NOON, customer, device_reading, phone_reading

NEW = {
    "customer_landing": customer("cat@example.com", "device-cat", MORNING),
    "accelerometer_landing": phone_reading("cat@example.com", NOON + 1),
    "step_trainer_landing": device_reading("device-cat", NOON + 1),
}
OWN_MOUNTS = ["unshare", "--map-root-user", "--mount"]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A source of four people, and the files of a fifth who comes later."""
    for table in LANDING_TABLES:
        land(tmp_path / "source", table, GOOD[table.name])
        record = dict(zip(table.column_names, NEW[table.name], strict=True))
        later = tmp_path / "source" / table.location / "new.later"
        later.write_text(json.dumps(record) + "\n")
    return tmp_path / "source"


def may_mount() -> bool:
    """Whether this system lets its users mount a file system for themselves."""
    if not shutil.which("unshare"):
        return False
    trial = [*OWN_MOUNTS, "mount", "-t", "tmpfs", "trial", "/mnt"]
    return subprocess.run(trial, capture_output=True, check=False).returncode == 0


@pytest.fixture
def told(source: Path, tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """What `mounted` prints, given its further arguments."""
    if not may_mount():
        pytest.skip("no user namespaces here in which to mount a disk")
    mount = tmp_path / "mount"
    mount.mkdir()

    def run(*arguments: str) -> dict[str, Any]:
        given = [str(mount), str(source), *arguments]
        done = subprocess.run(
            [*OWN_MOUNTS, sys.executable, "-m", "stedi_assets_tests.mounted", *given],
            cwd=PROJECT,
            env={**os.environ, "STEDI_SPARK_REMOTE": ""},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return dict(json.loads(done.stdout))

    return run


def test__disk__full_then_read_only_then_fixed(told: Callable[..., dict[str, Any]]) -> None:
    found = told()
    old = {table.name: len(GOOD[table.name]) for table in DELTA_TABLES}
    new = {name: rows + 1 for name, rows in old.items()}
    assert found["good"] == {"failed": {}, "rows": old}
    for condition, code in (
        ("full", "DISK_FULL"),
        ("nearly full", "DISK_FULL"),
        ("read-only", "READ_ONLY"),
    ):
        assert found[condition]["failed"], condition
        for step, said in found[condition]["failed"].items():
            assert said.startswith(f"[{code}] The lakehouse cannot"), (condition, step)
    assert found["full"]["rows"] == old
    assert found["fixed"] == {"failed": {}, "rows": new}


def test__disk__full_beside_the_lakehouse(told: Callable[..., dict[str, Any]]) -> None:
    """The disk of the history or of temporary files is blamed, not the lakehouse's."""
    found = told("beside")
    assert found["history"].startswith("[DISK_FULL] Dagster's history cannot"), found
    assert found["scratch"]
    for said in found["scratch"].values():
        assert said.startswith("[DISK_FULL] The folder for temporary files cannot"), said
