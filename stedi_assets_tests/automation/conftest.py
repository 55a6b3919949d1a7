"""The project on a small source, and a Dagster instance of the test's own."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from stedi_assets.definitions import define
from stedi_assets.settings import Settings


@pytest.fixture
def source(small: Path) -> Path:
    """A small source whose files were written a while ago."""
    for path in small.rglob("*.json"):
        settle(path)
    return small


@pytest.fixture
def defs(source: Path, tmp_path: Path) -> dg.Definitions:
    """The project on that source."""
    return define(Settings(str(tmp_path / "lakehouse"), str(source), ""))


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    """Keeps the history of one test."""
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


def settle(path: Path, seconds: float = 60) -> None:
    """Makes a file one that was last written some seconds ago."""
    then = time.time() - seconds
    os.utime(path, (then, then))
