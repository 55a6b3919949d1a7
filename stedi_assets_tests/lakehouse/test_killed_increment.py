"""A run of what has changed that is killed at any commit leaves what the next one continues."""

from __future__ import annotations

import contextlib

import pytest

from stedi_assets.tables import DELTA_TABLES, LANDING_TABLES, Table, quarantine_of, records_of
from stedi_assets.tables.accelerometer import ACCELEROMETER_LANDING
from stedi_assets_tests.incremental import Runs
from stedi_assets_tests.rows import NOON, customer, device_reading, phone_reading
from stedi_assets_tests.state_machine import Killed, dying
from stedi_assets_tests.strategies import DAY

pytestmark = pytest.mark.slow

CUSTOMERS, PHONES, DEVICES = (table.name for table in LANDING_TABLES)
COMMITS = [
    *map(records_of, LANDING_TABLES),
    quarantine_of(ACCELEROMETER_LANDING),
    *DELTA_TABLES,
]
NEW_DAY = NOON - 9 * DAY


@pytest.mark.parametrize("at", COMMITS, ids=lambda table: table.name)
def test__run__after_one_that_was_killed_at_a_commit(runs: Runs, at: Table) -> None:
    """With a replaced file, a day that is new, a withdrawal and a new person."""
    malformed = '{"user":"ann@example.com","timestamp":"noon"}\n'
    runs.land(PHONES, [phone_reading("ann@example.com", NOON - DAY)], "day-1.json", malformed)
    # Before and after his consent.
    for time in (NEW_DAY, NOON + DAY):
        runs.land(PHONES, [phone_reading("ben@example.com", time)])
        runs.land(DEVICES, [device_reading("device-2", time)])
    runs.land(CUSTOMERS, [customer("ann@example.com", "device-1", None, updated=NOON)])
    runs.land(CUSTOMERS, [customer("cid@example.com", "device-3", NOON, updated=NOON)])
    written = set[str]()

    for moment in ("before", "within", "after"):
        with dying(at, moment, written), contextlib.suppress(Killed):
            runs.run()

    assert at.name in written
    runs.run_equal()
