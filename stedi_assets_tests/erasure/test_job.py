"""An erasure leaves no one who has left in any version, log or quarantine, and others unchanged."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from stedi_assets.erasure.record import RECORDS
from stedi_assets.lakehouse import delta, maintenance
from stedi_assets.orchestration.erase import ConfigRefused
from stedi_assets.tables import DELTA_TABLES, QUARANTINE_TABLES
from stedi_assets.tables.machine_learning import MACHINE_LEARNING_CURATED
from stedi_assets_tests.checks.conftest import LATER
from stedi_assets_tests.erasure.conftest import ANN, HERS, Lakehouse
from stedi_assets_tests.rows import MORNING, PSEUDONYMS, stored_rows

pytestmark = pytest.mark.slow


def test__erase__withdrawn_is_in_no_version_log_or_quarantine(withdrawn: Lakehouse) -> None:
    assert {Path(name).parts[1] for name in withdrawn.holding(*HERS)} > {"trusted", "curated"}
    rows = withdrawn.delta_rows
    uris = {table.name: f"file://{withdrawn.folder / table.location}" for table in DELTA_TABLES}
    before = {name: delta.state(uri) for name, uri in uris.items()}
    superseded = maintenance.superseded_files(uris["customer_trusted"])

    result = withdrawn.erase()

    assert result.success
    # As landing, records hold whoever has only withdrawn.
    assert {Path(name).parts[1] for name in withdrawn.holding(*HERS)} == {"landing", "records"}
    assert withdrawn.delta_rows == rows
    for name, uri in uris.items():
        state, kept = delta.state(uri), before[name]
        assert state and kept and state.commit == kept.commit
        with pytest.raises(Exception, match=r"(?i)version|commit|log"):
            stored_rows(withdrawn.folder / uri.removeprefix("file://"), version=0)
    quarantined = withdrawn.rows(QUARANTINE_TABLES[0])
    assert [row[0] for row in quarantined] == ["", '{"email":null}']
    assert [row[1] for row in quarantined] == ["not a JSON object", "email is missing"]

    [record] = withdrawn.records
    assert (record["people"], record["run"]) == ([ANN], result.run_id)
    assert record["began"] <= record["finished"]
    assert record["quarantined"]["customer_quarantine"] == 1
    assert record["tables"]["customer_trusted"] == {"files": len(superseded), "versions": 1}
    assert not withdrawn.holding(*HERS, below=RECORDS)
    first, *others = (
        event.asset_observation_data.asset_observation
        for event in result.get_asset_observation_events()
    )
    observed = {each.asset_key.to_user_string() for each in others}
    assert observed == {table.name for table in (*QUARANTINE_TABLES, *DELTA_TABLES)}
    leads = {name: value.value for name, value in first.metadata.items()}
    assert list(leads)[:2] == ["people_erased", "erased_from"]
    assert leads["people_erased"] == 1
    assert "customer_trusted" in str(leads["erased_from"])
    assert leads["rows_read_as_proof"] == sum(record["read"].values())
    assert not any(word in repr(result.all_events) for word in HERS)

    times = withdrawn.times
    assert withdrawn.erase().success
    assert withdrawn.times == times
    withdrawn.materialize()


def test__erase__tables_have_not_followed(withdrawn: Lakehouse) -> None:
    DeltaTable(str(withdrawn.folder / DELTA_TABLES[0].location)).restore(0)
    with_her = withdrawn.delta_rows

    assert withdrawn.failure().startswith("[PEOPLE_LEFT] customer_trusted")

    assert withdrawn.delta_rows == with_her


def test__erase__phone_is_still_paired_with_anothers_device(withdrawn: Lakehouse) -> None:
    table = str(withdrawn.folder / MACHINE_LEARNING_CURATED.location)
    rows = stored_rows(table)
    hers = rows.set_column(4, "x", pa.array([0.75] * rows.num_rows))
    write_deltalake(table, hers, mode="overwrite")

    assert withdrawn.failure().startswith("[PEOPLE_LEFT] machine_learning_curated")


def test__erase__tables_were_made_by_a_fast_clock(
    lakehouse: Lakehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Consent of tomorrow counted then; now it does not, and the message says why."""
    tomorrow = time.time_ns() // 1_000_000 + 24 * 3_600_000
    dates = ("shareWithResearchAsOfDate", "lastUpdateDate")
    lakehouse.arrive({"email": "new@example.com", **dict.fromkeys(dates, tomorrow - 3_600_000)})
    with monkeypatch.context() as patched:
        patched.setattr(time, "time_ns", lambda: tomorrow * 1_000_000)
        lakehouse.materialize()

    assert "It was made by a clock" in lakehouse.failure()


def test__erase__leaves_no_one_in_quarantine_and_takes_no_one_else(lakehouse: Lakehouse) -> None:
    """Whatever identifies Zoë O'Neil, in any spelling; not what may be anyone's."""
    zoe = {"email": "zoë.o'neil@example.com", "phone": "+1 (801) 555-0177", "customerName": "Zoë O"}
    serial = "12345678901234567720"
    zoes = {**zoe, "serialNumber": serial, "shareWithResearchAsOfDate": MORNING}
    lakehouse.arrive({**zoes, "lastUpdateDate": MORNING})
    lakehouse.arrive({"email": "bob@example.com", "serialNumber": "device-of-all"})
    lakehouse.arrive({**zoe, "serialNumber": "device-of-all", "lastUpdateDate": MORNING})
    lakehouse.arrive({"email": zoe["email"], "lastUpdateDate": LATER})
    gone = {
        "customer": [
            '{"email":"zo\\u00eb.o\'neil\\u0040example.com","pho',
            '{"customerName":"Zoë","phone":"+1 (801) 555-0177","ema',
            "call +1 (801) 555-0177",
        ],
        "step_trainer": [
            f'{{"sensorReadingTime":1700000000000,"serialNumber":{serial},"dis',
            f'{{"sensorReadingTime":1700000000000,"serialNumber":"{serial}","dis',
        ],
        "accelerometer": ['{"user":"Zoë.O\'Neil@Example.com","timestamp":17'],
    }
    stays = {
        "customer": ['{"customerName":"Zoë O","bi', '{"email":"neil@example.com","pho'],
        "step_trainer": ['{"sensorReadingTime":1700000000000,"serialNumber":"device-of-all","d'],
        "accelerometer": ['{"user":"bob@example.com","timestamp":17'],
    }
    for source, lines in gone.items():
        lakehouse.land(source, "cut.json", *lines, *stays[source])
    lakehouse.materialize()
    before = {source: _quarantined(lakehouse, source) for source in gone}
    assert all(set(lines) <= set(before[source]) for source, lines in gone.items())

    assert lakehouse.erase().success

    for source, lines in gone.items():
        expected = ["" if line in lines else line for line in before[source]]
        assert sorted(_quarantined(lakehouse, source)) == sorted(expected)
    [record] = lakehouse.records
    assert record["quarantined"] == {
        "customer_quarantine": 3,
        "step_trainer_quarantine": 2,
        "accelerometer_quarantine": 1,
    }
    assert PSEUDONYMS.of_text("zoë.o'neil@example.com") in record["people"]
    assert record["ambiguous"] == {
        "customer_quarantine": 1,
        "step_trainer_quarantine": 1,
        "accelerometer_quarantine": 0,
    }

    assert lakehouse.erase(PSEUDONYMS.of_text("zoë.o'neil@example.com")).success
    assert lakehouse.holding("o'neil", "555-0177", serial) == set()


def _quarantined(lakehouse: Lakehouse, source: str) -> list[str]:
    table = next(table for table in QUARANTINE_TABLES if table.source == source)
    return [row[0] for row in lakehouse.rows(table)]


@pytest.mark.parametrize(
    "config",
    [
        {"erase_from_landing": ["ann@example.com"]},
        {"erase_from_landing": ["0" * 64, 5]},
        {"erase_from_landing": "ann@example.com"},
        {"erase_from_landing": None},
        {"erase_form_landing": ["0" * 64]},
    ],
)
def test__erase__configuration_is_wrong(config: dict[str, Any], lakehouse: Lakehouse) -> None:
    """There is no run then, whose history would keep it; the message does not repeat it."""
    with pytest.raises(ConfigRefused) as raised:
        lakehouse.execute("erase_withdrawn", config)
    assert "ann@" not in str(raised.value)
    assert lakehouse.instance.get_runs() == []
