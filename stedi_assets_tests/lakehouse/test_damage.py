"""Damaged logs and data files: reported in a sentence, nothing lost, fixed by the next run."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from deltalake import DeltaTable

from stedi_assets.errors import Code
from stedi_assets.lakehouse import delta
from stedi_assets.lakehouse import maintenance as upkeep
from stedi_assets.lakehouse.commit import Commit
from stedi_assets.lakehouse.lakehouse import Lakehouse
from stedi_assets.storage.faults import storage_faults
from stedi_assets.tables import DELTA_TABLES
from stedi_assets_tests.faults import raises
from stedi_assets_tests.lakehouse.conftest import (
    READINGS,
    TABLE,
    data_files,
    folder_of,
)
from stedi_assets_tests.rows import DEVICE_READINGS, Frame, rows


def _cut_short(log: Path) -> None:
    last = log / f"{1:020}.json"
    last.write_text(last.read_text()[:-40])


def _garble(log: Path) -> None:
    (log / f"{1:020}.json").write_bytes(b"\x00\xff{]")


def _lose_the_first(log: Path) -> None:
    (log / f"{0:020}.json").unlink()


Damage = Callable[[Path], None]


@pytest.mark.parametrize("damage", [_cut_short, _garble, _lose_the_first])
def test__log__is_damaged(damage: Damage, stored: Lakehouse, frame: Frame, tmp_path: Path) -> None:
    """It is read by no one and written by no one, until it is moved away."""
    damage(folder_of(stored) / "_delta_log")
    before = data_files(stored)
    for use in (
        lambda: stored.read(TABLE),
        lambda: stored.arrow(TABLE),
        lambda: stored.write(TABLE, frame(DEVICE_READINGS, READINGS)),
    ):
        with raises(Code.LOG_DAMAGED):
            use()
    assert data_files(stored) == before
    folder_of(stored).rename(tmp_path / "away")
    stored.write(TABLE, frame(DEVICE_READINGS, READINGS))
    assert rows(stored.read(TABLE)) == READINGS


def test__log__commit_without_content_was_not_made(stored: Lakehouse, frame: Frame) -> None:
    """So a power cut may leave it: the version before is the last good one, and is built upon."""
    (folder_of(stored) / "_delta_log" / f"{1:020}.json").write_text("")
    assert rows(stored.read(TABLE)) == READINGS[:1]
    stored.write(TABLE, frame(DEVICE_READINGS, READINGS[1:]))
    assert rows(stored.read(TABLE)) == READINGS[1:]


def test__log__is_gone(stored: Lakehouse, frame: Frame) -> None:
    """Data files without a log are no table; they stay where they are when one is made."""
    for path in (folder_of(stored) / "_delta_log").iterdir():
        path.unlink()
    before = data_files(stored)
    with raises(Code.NOT_MATERIALISED):
        stored.read(TABLE)
    stored.write(TABLE, frame(DEVICE_READINGS, READINGS[1:]))
    assert rows(stored.read(TABLE)) == READINGS[1:]
    assert before.items() <= data_files(stored).items()


def test__log__begins_with_a_checkpoint(stored: Lakehouse, frame: Frame) -> None:
    DeltaTable(stored.uri_of(TABLE)).create_checkpoint()
    _lose_the_first(folder_of(stored) / "_delta_log")
    assert rows(stored.read(TABLE)) == READINGS
    state = stored.write(TABLE, frame(DEVICE_READINGS, READINGS[1:]))
    assert state.version == 2
    assert rows(stored.read(TABLE)) == READINGS[1:]


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda path: path.unlink(), id="lost"),
        pytest.param(lambda path: os.truncate(path, 100), id="cut_short"),
        pytest.param(lambda path: path.write_bytes(bytes(path.stat().st_size)), id="zeroed"),
    ],
)
def test__data_file__is_damaged(damage: Damage, stored: Lakehouse, frame: Frame) -> None:
    """A new version needs none of the old files, so writing it fixes the table."""
    for name in data_files(stored):
        damage(folder_of(stored) / name)
    other = stored.uri_of(DELTA_TABLES[0])
    with raises(Code.DATA_FILE_DAMAGED) as error, storage_faults(other):
        stored.read(TABLE).collect()
    assert stored.uri_of(TABLE) in str(error.value)
    stored.write(TABLE, frame(DEVICE_READINGS, READINGS))
    assert rows(stored.read(TABLE)) == READINGS


def test__log__lacks_the_last_commit(stored: Lakehouse, frame: Frame) -> None:
    """Where its checksum is still there; waiting fixes nothing, so it is not tried again."""
    last = folder_of(stored) / "_delta_log" / f"{1:020}.json"
    assert last.with_suffix(".crc").exists()
    last.unlink()
    assert not Code.LOG_DAMAGED.transient
    with raises(Code.LOG_DAMAGED):
        stored.read(TABLE)
    with raises(Code.LOG_DAMAGED):
        stored.write(TABLE, frame(DEVICE_READINGS, READINGS))


def test__log__written_by_a_clock_that_was_ahead(stored: Lakehouse, frame: Frame) -> None:
    """The order of versions is that of their numbers, whatever their times say."""
    a_year = 365 * 24 * 3600
    for path in folder_of(stored).rglob("*.*"):
        if path.suffix == ".json":
            ahead = re.sub(
                r'("(?:timestamp|deletionTimestamp|modificationTime)":)(\d{13})',
                lambda found: f"{found[1]}{int(found[2]) + a_year * 1000}",
                path.read_text(),
            )
            path.write_text(ahead)
        os.utime(path, (time.time() + a_year,) * 2)
    assert rows(stored.read(TABLE)) == READINGS
    written = stored.write(TABLE, frame(DEVICE_READINGS, READINGS[1:]), Commit(run="third"))
    assert (written.version, written.commit.run) == (2, "third")
    assert upkeep.maintain(TABLE, stored.uri_of(TABLE), 24) == upkeep.Maintained(0, 0, 0)
    again = delta.state(stored.uri_of(TABLE))
    assert again is not None
    assert (again.version, again.commit.run) == (2, "third")
    assert rows(stored.read(TABLE)) == READINGS[1:]
