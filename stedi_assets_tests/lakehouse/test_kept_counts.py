"""Value counts that are kept are those of the table as it is, and of no one who has left it."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stedi_assets.errors import Code, LakehouseError
from stedi_assets.lakehouse import lookups
from stedi_assets.lakehouse.kept_counts import MARK
from stedi_assets.lakehouse.lookups import VALUE_COUNTS
from stedi_assets.tables import LANDING_TABLES, TABLES, Table
from stedi_assets.tables.value_counts import ROWS, value_counts
from stedi_assets_tests.incremental import Runs
from stedi_assets_tests.rows import NOON, customer, device_reading, phone_reading
from stedi_assets_tests.strategies import DAY

pytestmark = pytest.mark.slow

CUSTOMERS, PHONES, DEVICES = (table.name for table in LANDING_TABLES)
ANN = "ann@example.com"
TIMED = [table for table in TABLES.values() if table.time_column]
TABLE = TABLES["accelerometer_trusted"]
FIRST, LAST = -(2**63), 2**63 - 1


def kept(runs: Runs, table: Table) -> Iterator[Path]:
    """The files of a table's value counts."""
    zone = "records" if table in LANDING_TABLES else table.zone
    return (runs.lakehouse / table.source / zone / VALUE_COUNTS).glob("*.parquet")


def counts(runs: Runs, table: Table) -> Counter:
    """The value counts of a table, as a run that begins finds them."""
    return Counter(map(tuple, lookups.value_counts(runs.stored(), table).collect()))


def anew(runs: Runs, table: Table) -> Counter:
    """The value counts of a table by its rows."""
    return Counter(map(tuple, value_counts(table, runs.stored().read(table)).collect()))


def new_readings(runs: Runs) -> None:
    """A file a source, of new times and known ones, the first and the last that there are too."""
    times = (NOON - 9 * DAY, NOON, -1, 0)
    runs.land(PHONES, [phone_reading(ANN, time, 7.5) for time in times])
    runs.land(DEVICES, [device_reading("device-1", time) for time in (*times, FIRST, LAST)])


def a_withdrawal(runs: Runs) -> None:
    """Ann no longer agrees."""
    runs.land(CUSTOMERS, [customer(ANN, "device-1", None, updated=NOON)])


def a_replaced_file(runs: Runs) -> None:
    """A file with other readings stands in its place."""
    for name in ("first.json", "second.json"):
        runs.land(PHONES, [phone_reading(ANN, NOON + DAY)], name)
    runs.run()
    runs.land(PHONES, [phone_reading("bob@example.com", NOON + 2 * DAY)], "second.json")


@pytest.mark.parametrize("event", [new_readings, a_withdrawal, a_replaced_file])
def test__value_counts__are_those_of_the_rows(runs: Runs, event: Callable[[Runs], object]) -> None:
    before = [counts(runs, table) for table in TIMED]
    event(runs)
    runs.run_equal()

    assert [counts(runs, table) for table in TIMED] == [anew(runs, table) for table in TIMED]
    assert [counts(runs, table) for table in TIMED] != before


@pytest.mark.parametrize("table", TIMED, ids=lambda table: table.name)
def test__value_counts__are_kept(runs: Runs, table: Table) -> None:
    before = counts(runs, table)
    files = {path.name for path in kept(runs, table)}
    for path in runs.lakehouse.glob("*/*/*.parquet"):
        path.unlink()

    assert counts(runs, table) == before
    assert {path.name for path in kept(runs, table)} == files


def test__value_counts__of_who_left_are_not_kept(runs: Runs) -> None:
    counts(runs, TABLE)
    a_withdrawal(runs)
    runs.run()

    found = [user for path in kept(runs, TABLE) for user in pq.read_table(path)["user"].to_pylist()]
    assert found
    assert ANN not in found


def damaged(change: Callable[[pa.Table], pa.Table]) -> Callable[[Path], object]:
    """Changes a file of value counts."""
    return lambda path: pq.write_table(change(pq.read_table(path)), path)


def marked(rows: pa.Table, part: int) -> pa.Table:
    """The rows with another part of what they are said to be of."""
    mark = rows[MARK][0].as_py().split("/")
    mark[part] = "other"
    return rows.drop_columns([MARK]).append_column(MARK, [["/".join(mark)] * len(rows)])


DAMAGES: dict[str, Callable[[Path], object]] = {
    "gone": Path.unlink,
    "empty": lambda path: path.write_bytes(b""),
    "no Parquet": lambda path: path.write_bytes(b"{}"),
    "cut short": lambda path: path.write_bytes(path.read_bytes()[:-20]),
    "twice": lambda path: shutil.copy(path, path.with_name(f"2-{path.name}")),
    "without rows": damaged(lambda rows: rows.slice(0, 0)),
    "without the last": damaged(lambda rows: rows.slice(0, len(rows) - 1)),
    "without a column": damaged(lambda rows: rows.drop_columns([ROWS])),
    "of another state": damaged(lambda rows: marked(rows, 0)),
    "by other code": damaged(lambda rows: marked(rows, 1)),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test__value_counts__that_are_damaged_are_counted_anew(
    runs: Runs, damage: Callable[[Path], object]
) -> None:
    before = counts(runs, TABLE)
    for path in [*kept(runs, TABLE)]:
        damage(path)

    assert counts(runs, TABLE) == before
    assert counts(runs, TABLE) == before


@pytest.mark.parametrize("event", [new_readings, a_withdrawal])
def test__people__are_those_of_the_whole_table(runs: Runs, event: Callable[[Runs], object]) -> None:
    event(runs)

    figures = runs.run_equal().figures

    for table in ("machine_learning_curated", "training_set"):
        _, counts = figures[f"{table}/counts"]
        assert counts["people"] in (1, 2)
        assert counts["fewest_rows_of_a_person"] > 0
    [*kept] = runs.lakehouse.glob("customer/curated/_person_counts*/*.parquet")
    assert {row["person"] for path in kept for row in pq.read_table(path).to_pylist()}
    assert not [*runs.lakehouse.glob("machine_learning/**/_person_counts*")]


def test__value_counts__of_a_damaged_file_name_its_table(runs: Runs) -> None:
    for path in [*kept(runs, TABLE), *(runs.lakehouse / TABLE.location).glob("*.parquet")]:
        path.write_bytes(b"")

    with pytest.raises(LakehouseError) as raised:
        counts(runs, TABLE)

    assert raised.value.code is Code.DATA_FILE_DAMAGED
    assert f"{runs.lakehouse / TABLE.location}:" in str(raised.value)
