"""Each landed file is read once: what was read is known again, or all is read anew."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from unittest import mock

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from stedi_assets.errors import Code, LakehouseError
from stedi_assets.lakehouse import batches, delta, writer
from stedi_assets.lakehouse.plan import Mode
from stedi_assets.tables import LANDING_TABLES, TABLES, records_of
from stedi_assets_tests.incremental import Runs, rows_of, untold
from stedi_assets_tests.rows import MORNING, NOON, customer, device_reading, phone_reading
from stedi_assets_tests.strategies import DAY

pytestmark = pytest.mark.slow

CUSTOMERS, PHONES, DEVICES = (table.name for table in LANDING_TABLES)
ANN, BEN, DAN = "ann@example.com", "ben@example.com", "dan@example.com"
NEW_DAY = NOON - 9 * DAY
MALFORMED = '{"user":"ann@example.com","timestamp":"noon"}\n'


def records(runs: Runs, table: str) -> Path:
    """Where the records of a source are."""
    return runs.lakehouse / records_of(TABLES[table]).location


def lists(runs: Runs) -> list[Path]:
    """The lists of what was read."""
    return list(runs.lakehouse.glob("*/records/_files/*.json"))


def forget_what_is_old(runs: Runs) -> None:
    """Has whoever reads a file that was read before find nothing in it."""
    for path in runs.source.glob("*/landing/[!.]*.json"):
        path.unlink()
    for path in runs.lakehouse.glob("*/landing/[!.]*.json"):
        untold(path)


def test__new_file__is_the_only_one_that_is_read(runs: Runs) -> None:
    before = rows_of(runs.lakehouse)
    forget_what_is_old(runs)
    runs.land(PHONES, [phone_reading(ANN, NEW_DAY)], "new.json")
    runs.land(CUSTOMERS, [customer(DAN, None)], "new.json")

    runs.run()

    found = rows_of(runs.lakehouse)
    new = phone_reading(ANN, NEW_DAY)
    assert found["accelerometer_trusted"] - before["accelerometer_trusted"] == {new: 1}
    assert not before["accelerometer_trusted"] - found["accelerometer_trusted"]
    assert found["customer_trusted"] - before["customer_trusted"] == {customer(DAN, None): 1}


def test__malformed_text__of_a_new_file_has_no_other_read(runs: Runs) -> None:
    forget_what_is_old(runs)
    good = [phone_reading(ANN, NEW_DAY), phone_reading(BEN, NEW_DAY)]
    runs.land(PHONES, good, "new.json", besides=MALFORMED)

    made = runs.run()

    assert made.modes["accelerometer_trusted"] is Mode.RANGES
    assert rows_of(runs.lakehouse)["accelerometer_quarantine"].total() == 1
    assert rows_of(runs.lakehouse)["accelerometer_trusted"].total() == 8 + 2


def test__rebuild__reads_every_file_anew(runs: Runs) -> None:
    for folder in (runs.source, runs.lakehouse):
        untold(folder / "accelerometer/landing/day-2.json")
    assert rows_of(runs.lakehouse)["accelerometer_trusted"].total() == 8

    runs.run_equal(rebuild=True)

    assert rows_of(runs.lakehouse)["accelerometer_trusted"].total() == 6


def test__source_without_files__leaves_what_has_landed(runs: Runs) -> None:
    before = rows_of(runs.lakehouse)
    for path in runs.source.glob("*/landing/[!.]*.json"):
        path.unlink()

    assert set(runs.run_equal().modes.values()) == {Mode.UNCHANGED}
    assert rows_of(runs.lakehouse) == before


@pytest.mark.parametrize("others", [[], [phone_reading(BEN, NOON - DAY, x=7.0)]])
def test__replaced_file__costs_its_own_time(runs: Runs, others: list[tuple]) -> None:
    runs.land(PHONES, [phone_reading(ANN, NOON - DAY), *others], "day-1.json")

    made = runs.run_equal()

    ranges = made.plans["accelerometer_trusted"].ranges
    assert any(first <= NOON - DAY <= last for first, last in ranges)
    # With the files that were read with it.
    assert all(first > NOON - 4 * DAY and last < NOON + DAY for first, last in ranges)


def test__file_taken_from_landing__costs_its_own_time(runs: Runs) -> None:
    (runs.source / "accelerometer/landing/day-1.json").unlink()
    (runs.lakehouse / "accelerometer/landing/day-1.json").unlink()

    made = runs.run_equal()

    assert made.modes["accelerometer_trusted"] is Mode.RANGES
    assert rows_of(runs.lakehouse)["accelerometer_trusted"].total() == 6


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (customer(DAN, consent=MORNING // 1000), customer(DAN)),
        (customer(DAN), customer(DAN, consent=None, updated=MORNING // 1000)),
        (customer(DAN), customer(DAN, consent=None, updated=NOON)),
    ],
)
def test__customer_file__that_is_as_it_was_counts_as_current(
    runs: Runs, first: tuple, second: tuple
) -> None:
    """A record with an impossible date counts only until its file says otherwise."""
    path = runs.land(CUSTOMERS, [first], "dan.json")
    runs.run()
    once = path.read_bytes()
    runs.land(CUSTOMERS, [second], "dan.json")
    runs.run_equal()
    path.write_bytes(once)
    runs.run_equal()

    for landed in runs.landed(CUSTOMERS):
        if landed.name.startswith("dan") and landed.read_bytes() == once:
            landed.unlink()
    path.unlink()
    runs.run_equal()


def _removed(paths: Iterable[Path]) -> None:
    for path in list(paths):
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def _lists_become(runs: Runs, content: bytes) -> None:
    for path in lists(runs):
        path.write_bytes(content)


DAMAGES: dict[str, Callable[[Runs], object]] = {
    "lists removed": lambda runs: _removed(lists(runs)),
    "lists cut": lambda runs: _lists_become(runs, b'{"format":1,"id":"a'),
    "lists not UTF-8": lambda runs: _lists_become(runs, b"\xff\xfe{"),
    "lists of a later release": lambda runs: _lists_become(runs, b'{"format":2}'),
    "ledger removed": lambda runs: _removed(runs.lakehouse.rglob(".ledger.json")),
    "quarantine removed": lambda runs: _removed(runs.lakehouse.glob("*/quarantine")),
    "records removed": lambda runs: _removed([records(runs, PHONES)]),
    "records deleted": lambda runs: DeltaTable(str(records(runs, PHONES))).delete(),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test__what_is_not_known__is_read_anew_and_not_twice(
    runs: Runs, damage: Callable[[Runs], object]
) -> None:
    runs.land(PHONES, [phone_reading(ANN, NEW_DAY)], "new.json", besides=MALFORMED)
    runs.run()
    before = rows_of(runs.lakehouse)

    damage(runs)

    runs.run_equal()
    assert rows_of(runs.lakehouse) == before


def test__restored_records__are_read_anew(runs: Runs) -> None:
    runs.land(PHONES, [phone_reading(ANN, NEW_DAY)], "new.json")
    runs.run()
    DeltaTable(str(records(runs, PHONES))).restore(0)

    runs.run_equal()

    assert rows_of(runs.lakehouse)["accelerometer_trusted"].total() == 9


def test__list__outlives_vacuum_checkpoint_and_log(runs: Runs) -> None:
    for day in range(12):
        path = runs.land(PHONES, [phone_reading(ANN, NEW_DAY - day * DAY)], f"new-{day}.json")
        path.rename(runs.lakehouse / path.relative_to(runs.source))
        runs.stored().take_in(TABLES[PHONES])
    runs.run()
    before = rows_of(runs.lakehouse)
    uri = records(runs, PHONES)
    DeltaTable(str(uri)).vacuum(0, dry_run=False, enforce_retention_duration=False, full=True)
    DeltaTable(str(uri)).create_checkpoint()
    for path in (uri / "_delta_log").iterdir():
        os.utime(path, (10**9, 10**9))
    DeltaTable(str(uri)).cleanup_metadata()
    assert not (uri / "_delta_log" / f"{0:020}.json").exists()
    forget_what_is_old(runs)

    assert set(runs.run().modes.values()) == {Mode.UNCHANGED}
    assert rows_of(runs.lakehouse) == before


def test__many_files__are_read_in_batches_by_time(
    runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "BATCH_BYTES", 1)  # these files are small
    for day in range(60):
        runs.land(DEVICES, [device_reading("device-1", NEW_DAY - day * DAY)], f"n-{day:02}.json")
    runs.run_equal()

    taken = runs.stored().records(TABLES[DEVICES]).taken
    files = [id for batch in taken.batches for id in batch.files]
    assert len(files) == len(set(files)) == 64
    times = [b.found.times for b in taken.batches if len(b.files) == 4 and b.found]
    new = [each for each in times if each and each[1] <= NEW_DAY]
    assert len(new) == 15
    assert max(last - first for first, last in new) == 3 * DAY

    runs.land(DEVICES, [device_reading("device-2", NEW_DAY - 30 * DAY)], "n-30.json")
    made = runs.run_equal()
    ranges = made.plans["step_trainer_trusted"].ranges
    assert ranges and all(NEW_DAY - 36 * DAY < first < NEW_DAY - 24 * DAY for first, _ in ranges)


def test__records__that_another_adds_to_meanwhile_are_not_taken_for_ours(runs: Runs) -> None:
    """An engine that saw no table appends to one that another has made since."""
    uri = str(records(runs, PHONES))
    shutil.rmtree(uri)
    write = writer.overwrite

    def overtaken(*of: Any) -> delta.TableState:
        state = write(*of)
        if of[0].endswith(uri):
            write_deltalake(uri, pa.table(DeltaTable(uri).scan()), mode="append")
        return state

    with (
        mock.patch.object(writer, "overwrite", overtaken),
        pytest.raises(LakehouseError) as refused,
    ):
        runs.stored().take_in(TABLES[PHONES])

    assert refused.value.code is Code.WRITE_CONFLICT
    runs.run_equal()
