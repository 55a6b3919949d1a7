"""What checks count is of the whole table, though they look only at what has changed."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from deltalake import DeltaTable, write_deltalake

from stedi_assets.lakehouse import maintenance
from stedi_assets.lakehouse.plan import Mode
from stedi_assets.policy import Options
from stedi_assets.tables import DELTA_TABLES, TABLES
from stedi_assets_tests.incremental import Runs, run
from stedi_assets_tests.rows import (
    NOON,
    customer,
    device_reading,
    phone_reading,
    stored_rows,
)
from stedi_assets_tests.strategies import DAY, NOW

pytestmark = pytest.mark.slow

CUSTOMERS, PHONES, DEVICES = "customer_landing", "accelerometer_landing", "step_trainer_landing"
ANN = "ann@example.com"
NEW_DAY = NOON - 9 * DAY
TIMED = [table.name for table in DELTA_TABLES if table.time_column]


def counted_anew(runs: Runs) -> dict:
    """The figures of the checks where nothing is known of earlier ones."""
    for kept in runs.lakehouse.glob("*/*/_verified.json"):
        kept.unlink()
    return runs.checks().figures


def test__figures__are_known_where_nothing_has_changed(runs: Runs) -> None:
    before = runs.checks().figures
    for path in runs.lakehouse.glob("*/*/*.parquet"):
        path.unlink()

    assert runs.checks().figures == before


def test__figures__of_what_has_changed_are_those_of_all(runs: Runs) -> None:
    runs.land(PHONES, [phone_reading(ANN, NEW_DAY), phone_reading(ANN, NOON)])
    runs.land(DEVICES, [device_reading("device-2", NEW_DAY, 0), device_reading("device-1")])
    figures = runs.run().figures

    assert counted_anew(runs).items() <= figures.items()


def test__fault__stays_until_its_time_is_made_again(runs: Runs) -> None:
    fault = "step_trainer_trusted/values"
    runs.land(DEVICES, [device_reading("device-1", NEW_DAY, 0)], "odd.json")
    assert fault in runs.run_equal().failing()

    runs.land(DEVICES, [device_reading("device-1", NEW_DAY - DAY)])
    assert fault in runs.run_equal().failing()

    runs.land(DEVICES, [device_reading("device-1", NEW_DAY)], "odd.json")
    assert fault not in runs.run_equal().failing()


def _deleted_and_forgotten(uri: str) -> None:
    DeltaTable(uri).delete()
    maintenance.delete_old_versions(uri)


DAMAGES: dict[str, Callable[[str], object]] = {
    "rows appended": lambda uri: write_deltalake(uri, stored_rows(uri).slice(0, 1), mode="append"),
    "rows deleted": lambda uri: DeltaTable(uri).delete(),
    "then maintained": _deleted_and_forgotten,
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
@pytest.mark.parametrize("table", ["customer_curated", "accelerometer_trusted"])
def test__damage__by_another_fails_checks_until_the_table_is_made_again(
    runs: Runs, table: str, damage: Callable[[str], object]
) -> None:
    damage(str(runs.lakehouse / TABLES[table].location))

    for _ in range(2):
        failing = runs.checks().failing()
        assert {f"{table}/provenance", f"{table}/counts"} <= failing

    made = runs.run_equal()
    assert made.modes[table] is Mode.WHOLE
    assert not {f"{table}/provenance", f"{table}/counts"} & made.failing()


def test__maintenance__is_no_damage(runs: Runs) -> None:
    runs.land(PHONES, [phone_reading(ANN, NEW_DAY)])
    runs.run()
    for table in DELTA_TABLES:
        maintenance.maintain(table, str(runs.lakehouse / table.location), 0)
    assert not any(name.endswith("/provenance") for name in runs.checks().failing())
    runs.land(PHONES, [phone_reading(ANN, NEW_DAY - DAY)])

    assert runs.run_equal().modes["accelerometer_trusted"] is Mode.RANGES


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe{", b'{"format": 2}'])
def test__figures__that_cannot_be_read_are_found_anew(runs: Runs, content: bytes) -> None:
    before = runs.checks().figures
    for kept in runs.lakehouse.glob("*/*/_verified.json"):
        kept.write_bytes(content)

    assert runs.checks().figures == before


def test__figures__of_another_state_are_not_taken_for_these(runs: Runs) -> None:
    kept = {path: path.read_bytes() for path in runs.lakehouse.glob("*/*/_verified.json")}
    runs.land(PHONES, [phone_reading(ANN, NEW_DAY)])
    runs.land(CUSTOMERS, [customer(ANN, "device-2", updated=NOON)])
    after = runs.run_equal().figures
    for path, content in kept.items():
        path.write_bytes(content)

    assert runs.checks().figures.items() <= after.items()


def test__withdrawal__fails_the_checks_of_tables_not_made_since(runs: Runs) -> None:
    runs.land(CUSTOMERS, [customer(ANN, "device-1", None, updated=NOON)])
    run(runs.lakehouse, runs.source, runs.spark, until="customer_landing")

    failing = runs.checks().failing()

    assert {f"{table.name}/consent" for table in DELTA_TABLES} <= failing
    assert not any(name.endswith("/consent") for name in runs.run_equal().failing())


def test__consent__is_judged_by_the_time_of_the_checks(runs: Runs) -> None:
    """Who gave consent as of a time that a clock gone back has yet to come to gives none."""
    runs.land(CUSTOMERS, [customer("cid@example.com", "device-3", NOW + DAY, updated=NOON)])
    runs.run_equal(now=NOW + 2 * DAY)

    assert not any(n.endswith("/consent") for n in runs.checks(now=NOW + 2 * DAY).failing())
    # That of strict options has no reading from before the consent.
    timed = [name for name in TIMED if not TABLES[name].strict]
    assert {f"{name}/consent" for name in timed} <= runs.checks(now=NOW).failing()


BEFORE_CONSENT = "machine_learning_curated/readings_before_consent"


def test__share__warns_once_it_has_changed_by_more_than_its_bound(runs: Runs) -> None:
    """12 of 16 pairs are of before consent: 75 %. Each one that lands is of after it."""
    assert BEFORE_CONSENT not in runs.checks().failing()
    land_after_consent(runs, NOON + 1)
    assert BEFORE_CONSENT not in runs.run_equal().failing()  # 70.6 %

    land_after_consent(runs, NOON + 2)
    assert BEFORE_CONSENT in runs.run_equal().failing()  # 66.7 %, as small changes add up
    assert BEFORE_CONSENT in runs.run_equal().failing()  # where nothing is new

    land_after_consent(runs, NOON + 3)
    assert BEFORE_CONSENT not in runs.run_equal().failing()  # 63.2 %


def test__share__is_not_compared_with_that_of_other_options(runs: Runs) -> None:
    runs.run(options=Options(after_consent_only=True))
    assert BEFORE_CONSENT not in runs.run().failing()


def land_after_consent(runs: Runs, time: int) -> None:
    """Has a reading of Ann's phone land, and one of her device."""
    runs.land(PHONES, [phone_reading(ANN, time)])
    runs.land(DEVICES, [device_reading("device-1", time)])
