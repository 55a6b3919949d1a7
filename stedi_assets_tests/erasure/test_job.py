"""Who has left is found nowhere any more, and who stays is untouched; killed or not."""

from __future__ import annotations

import gzip
import itertools
import json
import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, write_deltalake

from stedi_assets.definitions import define
from stedi_assets.erasure.erasure import Erasure
from stedi_assets.erasure.record import RECORDS
from stedi_assets.lakehouse import delta
from stedi_assets.lakehouse import maintenance as upkeep
from stedi_assets.orchestration.erase import ConfigRefused
from stedi_assets.settings import Settings
from stedi_assets.tables import DELTA_TABLES, LANDING_TABLES, QUARANTINE_TABLES, Table
from stedi_assets.tables.machine_learning import MACHINE_LEARNING_CURATED
from stedi_assets_tests.checks.conftest import GOOD, LATER, land
from stedi_assets_tests.rows import MORNING, PSEUDONYMS, stored_rows

HERS = ("ann@example.com", "Ann Archer", "8015550101", "device-ann")
CUT = '{"customerName":"Ann Archer","email":"Ann@example.com","phone":"80155'
WITHDRAWAL = {"email": "Ann@Example.com ", "lastUpdateDate": LATER}


@dataclass
class Lakehouse:
    """A lakehouse in a folder, with what a run needs."""

    folder: Path
    source: Path
    instance: dg.DagsterInstance

    def materialize(self) -> None:
        """Makes every table."""
        assert self._execute("materialize_lakehouse", {"ops": LENIENT}).success

    def erase(self, *requested: str) -> dg.ExecuteInProcessResult:
        """Erases."""
        return self._execute("erase_withdrawn", {"erase_from_landing": list(requested)})

    def _execute(self, job: str, config: dict[str, Any]) -> dg.ExecuteInProcessResult:
        settings = Settings(str(self.folder), str(self.source), "", pseudonym_key=PSEUDONYMS.key)
        resolved = define(settings).resolve_job_def(job)
        return resolved.execute_in_process(
            instance=self.instance, raise_on_error=False, run_config=config
        )

    def arrive(self, record: dict) -> None:
        """A customer's record comes."""
        path = self.source / "customer" / "landing" / f"{uuid.uuid4().hex}.json"
        path.write_text(json.dumps(record) + "\n")

    def rows(self, table: Table) -> list[tuple]:
        """A table's rows."""
        found = stored_rows(self.folder / table.location).to_pylist()
        return sorted((tuple(row.values()) for row in found), key=repr)

    def holding(self, *words: str, below: str = "") -> set[str]:
        """The files, packed or not, in which any of the words stands, whatever its case."""
        found = set()
        for path in (self.folder / below).rglob("*"):
            if path.is_file():
                text = _text(path).lower()
                if any(word.lower() in text for word in words):
                    found.add(str(path.relative_to(self.folder)))
        return found


def _text(path: Path) -> str:
    if path.suffix == ".parquet":
        return repr(pq.read_table(path).to_pylist()) + repr(pq.read_metadata(path))
    content = path.read_bytes()
    return (gzip.decompress(content) if path.suffix == ".gz" else content).decode(
        "utf-8", "replace"
    )


LENIENT = {table.name: {"config": {"max_malformed_share": 1.0}} for table in LANDING_TABLES}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ann's rows are in every table, with a line of hers in quarantine; then she withdraws."""
    folder = tmp_path_factory.mktemp("made")
    for table in LANDING_TABLES:
        land(folder / "source", table, GOOD[table.name])
    broken = folder / "source" / "customer" / "landing" / "broken.json"
    broken.write_text(f'{CUT}\n{{"email":null}}\n')
    with dg.DagsterInstance.ephemeral() as instance:
        first = Lakehouse(folder / "lakehouse", folder / "source", instance)
        first.materialize()
        shutil.copytree(folder, folder / "agreeing")
        first.arrive(WITHDRAWAL)
        first.materialize()
    return folder


@pytest.fixture
def lakehouse(made: Path, tmp_path: Path) -> Iterator[Lakehouse]:
    """Ann's rows are in every table, with a line of hers in quarantine."""
    shutil.copytree(made / "agreeing", tmp_path, dirs_exist_ok=True)
    with dg.DagsterInstance.ephemeral() as instance:
        yield Lakehouse(tmp_path / "lakehouse", tmp_path / "source", instance)


@pytest.fixture
def withdrawn(made: Path, tmp_path: Path) -> Iterator[Lakehouse]:
    """Ann has withdrawn since, and the tables have followed."""
    shutil.copytree(made / "lakehouse", tmp_path / "lakehouse")
    shutil.copytree(made / "source", tmp_path / "source")
    with dg.DagsterInstance.ephemeral() as instance:
        yield Lakehouse(tmp_path / "lakehouse", tmp_path / "source", instance)


LANDING = {"customer/landing", "accelerometer/landing", "step_trainer/landing"}


def records(lakehouse: Lakehouse) -> list[dict]:
    return [json.loads(path.read_text()) for path in sorted((lakehouse.folder / RECORDS).iterdir())]


def test__erase__withdrawn_is_in_no_version_log_or_quarantine(withdrawn: Lakehouse) -> None:
    assert {Path(name).parts[1] for name in withdrawn.holding(*HERS)} > {"trusted", "curated"}
    rows = {table.name: withdrawn.rows(table) for table in DELTA_TABLES}
    said = {t.name: delta.state(f"file://{withdrawn.folder / t.location}") for t in DELTA_TABLES}

    superseded = upkeep.superseded_files(f"file://{withdrawn.folder}/customer/trusted")

    result = withdrawn.erase()

    assert result.success
    assert {str(Path(name).parent) for name in withdrawn.holding(*HERS)} == LANDING
    for table in DELTA_TABLES:
        assert withdrawn.rows(table) == rows[table.name]
        state, before = delta.state(f"file://{withdrawn.folder / table.location}"), said[table.name]
        assert state and before
        assert state.commit == before.commit
        with pytest.raises(Exception, match=r"(?i)version|commit|log"):
            stored_rows(withdrawn.folder / table.location, version=0)
    quarantined = withdrawn.rows(QUARANTINE_TABLES[0])
    assert [row[0] for row in quarantined] == ["", '{"email":null}']
    assert [row[1] for row in quarantined] == ["not a JSON object", "email is missing"]

    [record] = records(withdrawn)
    assert record["people"] == [PSEUDONYMS.of_text("ann@example.com")]
    assert record["run"] == result.run_id
    assert record["began"] <= record["finished"]
    assert record["quarantined"]["customer_quarantine"] == 1
    assert record["tables"]["customer_trusted"] == {"files": len(superseded), "versions": 1}
    assert not withdrawn.holding(*HERS, below=RECORDS)
    observed = {
        event.asset_observation_data.asset_observation.asset_key.to_user_string()
        for event in result.get_asset_observation_events()
    }
    assert observed == {table.name for table in (*QUARANTINE_TABLES, *DELTA_TABLES)}
    assert not any(word in repr(result.all_events) for word in HERS)

    files = {path: path.stat().st_mtime_ns for path in withdrawn.folder.rglob("*")}
    assert withdrawn.erase().success
    assert {path: path.stat().st_mtime_ns for path in withdrawn.folder.rglob("*")} == files
    withdrawn.materialize()


def test__erase__tables_have_not_followed(lakehouse: Lakehouse) -> None:
    with_her = lakehouse.rows(DELTA_TABLES[0])
    lakehouse.arrive(WITHDRAWAL)
    lakehouse.materialize()
    DeltaTable(str(lakehouse.folder / DELTA_TABLES[0].location)).restore(0)

    result = lakehouse.erase()

    assert not result.success
    [said] = _failures(result)
    assert said == (
        "customer_trusted still has 1 rows of people who left. "
        "Materialise the lakehouse, then run erase_withdrawn again."
    )
    assert lakehouse.rows(DELTA_TABLES[0]) == with_her


def test__erase__from_landing_on_request(withdrawn: Lakehouse) -> None:
    landed = {path: path.read_text() for path in withdrawn.folder.glob("*/landing/[!.]*.json")}

    assert withdrawn.erase(PSEUDONYMS.of_text("ann@example.com")).success

    assert withdrawn.holding(*HERS) == set()
    for path, text in landed.items():
        kept = [
            line for line in text.splitlines() if not any(w.lower() in line.lower() for w in HERS)
        ]
        assert path.read_text().splitlines() == kept
    [record] = records(withdrawn)
    assert record["landing_lines"] == {
        "customer_landing": 3,
        "accelerometer_landing": 1,
        "step_trainer_landing": 1,
    }
    withdrawn.materialize()
    assert withdrawn.holding(*HERS) == set()


def test__erase__from_landing_one_who_still_agrees(lakehouse: Lakehouse) -> None:
    """The tables have to follow before their history can go."""
    pseudonym = PSEUDONYMS.of_text("ann@example.com")

    result = lakehouse.erase(pseudonym)

    [said] = _failures(result)
    assert said.endswith("Materialise the lakehouse, then run erase_withdrawn again.")
    assert {name for name in lakehouse.holding(*HERS) if "/landing/" in name} == set()

    lakehouse.materialize()
    assert lakehouse.erase(pseudonym).success
    assert lakehouse.holding(*HERS) == set()


def test__erase__phone_is_still_paired_with_anothers_device(withdrawn: Lakehouse) -> None:
    table = str(withdrawn.folder / MACHINE_LEARNING_CURATED.location)
    rows = stored_rows(table)
    hers = rows.set_column(4, "x", pa.array([0.75] * rows.num_rows))
    write_deltalake(table, hers, mode="overwrite")

    [said] = _failures(withdrawn.erase())

    assert said.startswith("machine_learning_curated still has 1 rows of people who left.")


@pytest.mark.parametrize(
    ("step", "call"),
    [
        *(("keep_record", 1), ("quarantine", 1), ("forget", 1), ("forget", 4)),
        *(("clear_landing", 1), ("clear_landing", 3)),
    ],
)
def test__erase__dies_then_run_again(
    step: str, call: int, withdrawn: Lakehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    pseudonym = PSEUDONYMS.of_text("ann@example.com")
    rows = {table.name: withdrawn.rows(table) for table in DELTA_TABLES}
    really: Callable[..., object] = getattr(Erasure, step)
    calls = itertools.count(1)

    def die(*given: object) -> object:
        if next(calls) == call:
            raise SystemExit
        return really(*given)

    with monkeypatch.context() as patched:
        patched.setattr(Erasure, step, die)
        assert not withdrawn.erase(pseudonym).success
    assert {table.name: withdrawn.rows(table) for table in DELTA_TABLES} == rows

    assert withdrawn.erase(pseudonym).success

    assert withdrawn.holding(*HERS) == set()
    assert {table.name: withdrawn.rows(table) for table in DELTA_TABLES} == rows


def quarantined(lakehouse: Lakehouse, source: str) -> list[str]:
    table = next(table for table in QUARANTINE_TABLES if table.source == source)
    return [row[0] for row in lakehouse.rows(table)]


def test__erase__leaves_no_one_in_quarantine_and_takes_no_one_else(lakehouse: Lakehouse) -> None:
    """What tells of Zoë O'Neil, however written; not what may be anyone's."""
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
        path = lakehouse.source / source / "landing" / "cut.json"
        path.write_text("\n".join([*lines, *stays[source]]) + "\n")
    lakehouse.materialize()
    before = {source: quarantined(lakehouse, source) for source in gone}
    assert all(set(lines) <= set(before[source]) for source, lines in gone.items())

    assert lakehouse.erase().success

    for source, lines in gone.items():
        expected = ["" if line in lines else line for line in before[source]]
        assert sorted(quarantined(lakehouse, source)) == sorted(expected)
    [record] = records(lakehouse)
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
    left = lakehouse.holding("o'neil", "555-0177", serial)
    assert left == set()


def test__erase__unknown_pseudonym(withdrawn: Lakehouse) -> None:
    """Nothing is done or recorded, for the others neither."""
    files = {path: path.stat().st_mtime_ns for path in withdrawn.folder.rglob("*")}

    result = withdrawn.erase(
        PSEUDONYMS.of_text("ann@example.com"), PSEUDONYMS.of_text("nobody@example.com")
    )

    [said] = _failures(result)
    assert said.startswith(
        "1 of the 2 pseudonyms in erase_from_landing are of no one who landed, is in a table or in "
        "quarantine, or was erased before. Nothing was done."
    )
    assert {path: path.stat().st_mtime_ns for path in withdrawn.folder.rglob("*")} == files


@pytest.mark.parametrize(
    ("source", "line"),
    [
        (
            "accelerometer",
            '{"user":"only@example.com","timestamp":1700000000000,"x":1,"y":2,"z":3}',
        ),
        ("customer", '{"email":"only@example.com","pho'),
    ],
)
def test__erase__known_from_a_reading_or_quarantine_alone(
    source: str, line: str, withdrawn: Lakehouse
) -> None:
    (withdrawn.source / source / "landing" / "only.json").write_text(f"{line}\n")
    withdrawn.materialize()

    assert withdrawn.erase(PSEUDONYMS.of_text("only@example.com")).success

    assert withdrawn.holding("only@example.com") == set()
    # Once erased, a person stays known.
    assert withdrawn.erase(PSEUDONYMS.of_text("only@example.com")).success


def test__erase__file_is_named_after_them(withdrawn: Lakehouse) -> None:
    path = withdrawn.source / "customer" / "landing" / "ann@example.com.json"
    path.write_bytes(b'{"email":"\xff", "note":\n')
    withdrawn.materialize()
    assert any("ann@example.com" in path.name for path in withdrawn.folder.rglob("*"))

    assert withdrawn.erase(PSEUDONYMS.of_text("ann@example.com")).success

    assert withdrawn.holding(*HERS) == set()
    assert not any("ann@example.com" in path.name for path in withdrawn.folder.rglob("*"))
    withdrawn.materialize()
    assert not any("ann@example.com" in path.name for path in withdrawn.folder.rglob("*"))


def test__erase__tables_were_made_by_a_fast_clock(
    lakehouse: Lakehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Consent of tomorrow counted then; now it does not, and the message says why."""
    tomorrow = time.time_ns() // 1_000_000 + 24 * 3_600_000
    lakehouse.arrive(
        {
            "email": "new@example.com",
            "shareWithResearchAsOfDate": tomorrow - 3_600_000,
            "lastUpdateDate": tomorrow - 3_600_000,
        }
    )
    with monkeypatch.context() as patched:
        patched.setattr(time, "time_ns", lambda: tomorrow * 1_000_000)
        lakehouse.materialize()

    [said] = _failures(lakehouse.erase())
    assert said.startswith("customer_trusted still has 1 rows of people who left. It was made by a")
    assert "later than now: that one was fast, or this one is slow." in said

    lakehouse.materialize()
    assert lakehouse.erase().success


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (["ann@example.com"], "Entry 1 of erase_from_landing is no pseudonym. Make one of each"),
        (["0" * 64, 5], "Entry 2 of erase_from_landing is no pseudonym."),
        ("ann@example.com", "erase_from_landing is no list. Give it a list of pseudonyms."),
        (None, "erase_from_landing is no list."),
    ],
)
def test__erase__configuration_is_wrong(config: Any, said: str, lakehouse: Lakehouse) -> None:
    with pytest.raises(ConfigRefused) as raised:
        lakehouse._execute("erase_withdrawn", {"erase_from_landing": config})
    assert str(raised.value).startswith(said)
    assert lakehouse.instance.get_runs() == []


def _failures(result: dg.ExecuteInProcessResult) -> list[str]:
    return [
        str(event.step_failure_data.user_failure_data.description)
        for event in result.all_events
        if event.is_step_failure and event.step_failure_data.user_failure_data
    ]
