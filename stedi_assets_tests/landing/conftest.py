"""A landing folder on the disk, and a source to upload from."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from stedi_assets.lakehouse.lakehouse import Lakehouse
from stedi_assets.tables.accelerometer import ACCELEROMETER_LANDING
from stedi_assets_tests.rows import rows


def write(folder: Path, files: dict[str, str | bytes]) -> None:
    """Puts files into a folder, compressed where their names say so."""
    for name, content in files.items():
        data = content.encode() if isinstance(content, str) else content
        (folder / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)


def read(lakehouse: Lakehouse) -> list[tuple]:
    """The readings that have landed."""
    return rows(lakehouse.read(ACCELEROMETER_LANDING))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The landing folder of the lakehouse's accelerometer source."""
    folder = tmp_path / "lakehouse" / ACCELEROMETER_LANDING.location
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A folder to upload from, with a space in its path."""
    folder = tmp_path / "new data"
    folder.mkdir()
    return folder
