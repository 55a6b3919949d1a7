"""How much of each table a run makes anew, and that what it leaves is as a rebuild has it."""

from __future__ import annotations

import shutil
from collections.abc import Callable

import pytest
from deltalake import DeltaTable, write_deltalake

from stedi_assets.errors import Code, LakehouseError
from stedi_assets.lakehouse import making, plan
from stedi_assets.lakehouse.plan import Mode
from stedi_assets.policy import NO_OPTION, Options
from stedi_assets.pseudonyms import Pseudonyms
from stedi_assets.tables import DELTA_TABLES, TABLES
from stedi_assets.tables.buckets import BUCKET_MILLISECONDS
from stedi_assets.tables.customer import CUSTOMER_TRUSTED
from stedi_assets_tests.incremental import Runs, reading, rows_of
from stedi_assets_tests.rows import (
    MORNING,
    NOON,
    PSEUDONYMS,
    customer,
    device_reading,
    phone_reading,
    stored_rows,
)
from stedi_assets_tests.strategies import DAY, NOW

pytestmark = pytest.mark.slow

CUSTOMERS, PHONES, DEVICES = "customer_landing", "accelerometer_landing", "step_trainer_landing"
ANN, BEN, CID = "ann@example.com", "ben@example.com", "cid@example.com"
NEW_DAY = NOON - 9 * DAY
NAMES = [table.name for table in DELTA_TABLES]
UNCHANGED, RANGES, WHOLE = Mode.UNCHANGED, Mode.RANGES, Mode.WHOLE
HIDING = Options(pseudonymise_devices=True)


def modes(*expected: Mode) -> dict[str, Mode]:
    """How much is made of each table, in their order."""
    return dict(zip(NAMES, expected, strict=True))


def test__nothing_new__changes_nothing(runs: Runs) -> None:
    versions = {n: DeltaTable(str(runs.lakehouse / TABLES[n].location)).version() for n in NAMES}

    assert runs.run_equal().modes == modes(*[UNCHANGED] * 7)

    for name, version in versions.items():
        assert DeltaTable(str(runs.lakehouse / TABLES[name].location)).version() == version


@pytest.mark.parametrize("apart", [False, True])
def test__file_of_one_day__costs_that_day(runs: Runs, apart: bool) -> None:
    runs.land(PHONES, [phone_reading(f" {ANN.upper()}", NEW_DAY)])
    runs.land(DEVICES, [device_reading("device-1", NEW_DAY)])

    made = runs.run_equal(apart=apart)

    assert made.modes == modes(*(UNCHANGED, RANGES, UNCHANGED, UNCHANGED, RANGES, RANGES, RANGES))
    times = {made.plans[name].ranges for name in NAMES if made.modes[name] is RANGES}
    [[(first, last)]] = times
    assert first <= NEW_DAY <= last < first + 5 * 60_000


def test__reading_of_someone_without_consent__changes_no_rows(runs: Runs) -> None:
    runs.land(PHONES, [phone_reading(CID, NEW_DAY)])

    assert runs.run_equal().modes["machine_learning_curated"] is not WHOLE


@pytest.mark.parametrize(
    "said",
    [
        pytest.param(customer(ANN, "device-1", None, updated=NOON), id="withdrawal"),
        pytest.param(customer(CID, "device-3", NOON, updated=NOON), id="consent"),
        pytest.param(customer("ANN@EXAMPLE.COM ", None, None, updated=NOON), id="spelling"),
        pytest.param(customer(ANN, "device-3", updated=NOON), id="another device"),
        pytest.param(customer(ANN, "device-2", updated=NOON), id="shared device"),
        pytest.param(customer(ANN, "device-1", NOON - DAY, updated=NOON), id="another date"),
        pytest.param(customer(ANN, "device-1", name="Ann", updated=NOON), id="another name"),
    ],
)
def test__what_a_person_says__costs_the_times_of_their_readings(runs: Runs, said: tuple) -> None:
    options = Options(after_consent_only=True, match_device=True)
    runs.land(PHONES, [phone_reading(BEN, NEW_DAY)])
    runs.run(options=options)
    runs.land(CUSTOMERS, [said])

    made = runs.run_equal(options=options)

    assert made.modes["customer_trusted"] is WHOLE
    assert WHOLE not in [made.modes[name] for name in NAMES[1:] if TABLES[name].time_column]
    # Who comes to share Ben's device takes him into another group.
    of_ben = {"training_set"} if said[4] == "device-2" else set()
    for name in made.plans.keys() - of_ben:
        assert not any(first <= NEW_DAY <= last for first, last in made.plans[name].ranges)


# With the four days of the first run. Of too many those that are nearest are joined, which are all.
@pytest.mark.parametrize("times, ranges", [(60, 60 + 4), (1_200, 1 + 4)])
def test__many_times__are_made_apart_from_each_other(runs: Runs, times: int, ranges: int) -> None:
    """Around 1970, when the time of a bucket rounds in two directions."""
    often = [(n - times // 2) * 3 * BUCKET_MILLISECONDS for n in range(times)]
    for table, of in ((PHONES, ANN), (PHONES, BEN), (DEVICES, "device-1"), (DEVICES, "device-2")):
        made_of = phone_reading if table == PHONES else device_reading
        runs.land(table, [made_of(of, time + change) for time in often for change in (-1, 0)])
    runs.run()
    runs.land(CUSTOMERS, [customer(ANN, "device-1", None, updated=NOON)])

    made = runs.run_equal()

    assert len(made.plans["machine_learning_curated"].ranges) == ranges
    runs.land(PHONES, [phone_reading(BEN, NEW_DAY)])
    runs.run_equal()


@pytest.mark.parametrize("days, mode", [(1, WHOLE), (20, RANGES)])
def test__most_of_many_rows__are_made_anew_with_the_rest(
    runs: Runs, monkeypatch: pytest.MonkeyPatch, days: int, mode: Mode
) -> None:
    monkeypatch.setattr(plan, "MANY_ROWS", 0)
    runs.land(PHONES, [phone_reading(BEN, NEW_DAY - n * DAY) for n in range(days)])
    runs.run()
    runs.land(CUSTOMERS, [customer(ANN, "device-1", None, updated=NOON)])

    assert runs.run_equal().modes["accelerometer_trusted"] is mode


def test__device_that_changes_hands__is_of_its_new_owner(runs: Runs) -> None:
    path = runs.source / "customer/landing/people.json"
    path.unlink()
    for landed in runs.landed(CUSTOMERS):
        landed.unlink()
    runs.land(CUSTOMERS, [customer(ANN, "device-2"), customer(BEN, "device-1")])

    runs.run_equal(options=Options(match_device=True))


def test__dates__count_as_time_comes_to_them_and_goes_back(runs: Runs) -> None:
    runs.land(CUSTOMERS, [customer(CID, "device-3", NOW + DAY, updated=NOON)])
    runs.run_equal()

    later = runs.run_equal(now=NOW + 2 * DAY)
    again = runs.run_equal(now=NOW + 3 * DAY)
    back = runs.run_equal(now=NOW)

    assert later.modes == modes(WHOLE, RANGES, WHOLE, WHOLE, RANGES, RANGES, RANGES)
    assert again.modes == modes(*[UNCHANGED] * 7)
    assert back.modes == later.modes


def test__clock_that_goes_back_behind_every_date__leaves_no_one(runs: Runs) -> None:
    runs.run_equal(now=MORNING - 1)

    assert not sum(rows_of(runs.lakehouse)[name].total() for name in NAMES)


def test__other_options__make_the_training_table_anew(runs: Runs) -> None:
    for options in (Options(match_device=True), NO_OPTION, HIDING):
        # The training set obeys the first of these options whatever a run says.
        hidden = WHOLE if options == HIDING else UNCHANGED
        assert runs.run_equal(options=options).modes == modes(*[UNCHANGED] * 5, WHOLE, hidden)


def test__another_key__makes_pseudonyms_anew(runs: Runs) -> None:
    runs.run_equal(options=HIDING)
    runs.land(DEVICES, [device_reading("device-1", NEW_DAY)])
    runs.land(PHONES, [phone_reading(BEN, NEW_DAY)])
    more = runs.run_equal(options=HIDING)
    other = runs.run_equal(options=HIDING, pseudonyms=Pseudonyms("another-" + "0123456789" * 4))
    same = runs.run_equal(options=HIDING, pseudonyms=Pseudonyms("another-" + "0123456789" * 4))

    assert more.modes["machine_learning_curated"] is RANGES
    assert other.modes == modes(*[UNCHANGED] * 5, WHOLE, WHOLE)
    assert same.modes == modes(*[UNCHANGED] * 7)


def test__rebuild__makes_all_anew(runs: Runs) -> None:
    assert runs.run_equal(rebuild=True).modes == modes(*[WHOLE] * 7)


def _appended(runs: Runs, uri: str) -> None:
    rows = stored_rows(uri)
    write_deltalake(uri, rows.slice(0, 1), mode="append")


def _restored(runs: Runs, uri: str) -> None:
    runs.land(CUSTOMERS, [customer(ANN, "device-9", None, updated=NOON)])
    runs.land(PHONES, [phone_reading(BEN, NEW_DAY)])
    runs.land(DEVICES, [device_reading("device-2", NEW_DAY)])
    runs.run()
    DeltaTable(uri).restore(0)


DAMAGES: dict[str, Callable[[Runs, str], object]] = {
    "rows appended": _appended,
    "rows deleted": lambda _, uri: DeltaTable(uri).delete(),
    "restored": _restored,
    "removed": lambda _, uri: shutil.rmtree(uri),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
@pytest.mark.parametrize("table", [*NAMES[0::2], "machine_learning_curated"])
def test__table_that_another_changed__is_made_anew(
    runs: Runs, table: str, damage: Callable[[Runs, str], object]
) -> None:
    damage(runs, str(runs.lakehouse / TABLES[table].location))

    assert runs.run_equal().modes[table] is WHOLE
    assert runs.run_equal().modes == modes(*[UNCHANGED] * 7)


def test__version_that_is_gone__has_what_follows_made_anew(runs: Runs) -> None:
    runs.land(CUSTOMERS, [customer(ANN, "device-1", None, updated=NOON)])
    runs.run(until="customer_trusted")
    uri = str(runs.lakehouse / CUSTOMER_TRUSTED.location)
    DeltaTable(uri).vacuum(0, dry_run=False, enforce_retention_duration=False)

    assert runs.run_equal().modes["accelerometer_trusted"] is WHOLE


def test__duplicates_in_other_files__count_once(runs: Runs) -> None:
    again = runs.land(PHONES, [phone_reading(ANN, NOON - DAY)], "again.json")
    runs.run_equal()
    before = rows_of(runs.lakehouse)

    again.unlink()
    (runs.lakehouse / "accelerometer/landing/again.json").unlink()
    runs.run_equal()

    assert rows_of(runs.lakehouse) == before


@pytest.mark.parametrize("time", [-(2**63), -(2**63) + 1, -300_001, -1, 0, 2**63 - 1])
def test__any_time__can_be_made_apart(runs: Runs, time: int) -> None:
    runs.land(PHONES, [phone_reading(ANN, time)], "odd.json")
    runs.land(DEVICES, [device_reading("device-1", time)], "odd.json")
    assert runs.run_equal().modes["machine_learning_curated"] is RANGES
    assert rows_of(runs.lakehouse)["machine_learning_curated"].total() == 4 * 4 + 1

    runs.land(PHONES, [phone_reading(ANN, NEW_DAY)], "odd.json")
    assert runs.run_equal().modes["machine_learning_curated"] is RANGES
    assert rows_of(runs.lakehouse)["machine_learning_curated"].total() == 4 * 4


def test__two_runs__leave_nothing_that_a_later_one_takes_for_known(runs: Runs) -> None:
    """One notes that its customers are as they were, when another has made them of a withdrawal."""
    runs.land(CUSTOMERS, [customer(CID, "device-3", None, updated=NOON)])
    slow = runs.stored()
    runs.run(until="customer_landing")
    new = making.next_version(slow, CUSTOMER_TRUSTED, reading(slow), NOW, NO_OPTION, PSEUDONYMS)
    assert new.commit and new.plan.mode is UNCHANGED
    runs.land(CUSTOMERS, [customer(ANN, "device-1", None, updated=NOON)])
    runs.run(until="customer_trusted")

    with pytest.raises(LakehouseError) as refused:
        making.keep(slow, CUSTOMER_TRUSTED, new)

    assert refused.value.code is Code.WRITE_CONFLICT
    runs.run_equal()
