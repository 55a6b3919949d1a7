"""Nobody's name, e-mail, phone or birthday is in what Dagster keeps, prints or sends."""

from __future__ import annotations

import base64
import gzip
import io
import json
import shutil
import sqlite3
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa
import pytest
from deltalake import write_deltalake
from rich.console import Console

import stedi_assets.definitions
import stedi_assets.materialize
from stedi_assets import tables
from stedi_assets.lakehouse.making import NewVersion
from stedi_assets.landing.folder import LandingFolder
from stedi_assets.orchestration.failures import shown_of
from stedi_assets.orchestration.history import INSTANCE
from stedi_assets.orchestration.io_manager import LakehouseIOManager
from stedi_assets.orchestration.notify import failure_message
from stedi_assets.settings import Settings
from stedi_assets.tables.accelerometer import ACCELEROMETER_LANDING
from stedi_assets.tables.customer import CUSTOMER_LANDING, CUSTOMER_TRUSTED
from stedi_assets_tests import leaks
from stedi_assets_tests.checks.conftest import BOB, GOOD, land
from stedi_assets_tests.rows import stored_rows

NAME, EMAIL, PHONE, BIRTHDAY = (str(value) for value in BOB[:4])
EVERYONE = {str(value) for row in GOOD["customer_landing"] for value in row[:4]}
Run = Callable[[], dg.ExecuteInProcessResult]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A source of four people."""
    for table in tables.LANDING_TABLES:
        land(tmp_path / "source", table, GOOD[table.name])
    return tmp_path / "source"


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """Where Dagster keeps its history, and `run` what is printed and sent."""
    home = tmp_path / "dagster"
    home.mkdir()
    shutil.copy(INSTANCE, home)
    return home


@pytest.fixture
def run(source: Path, kept: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Run:
    """Materialises everything, as `make materialize` does."""

    def materialize() -> dg.ExecuteInProcessResult:
        printed = io.StringIO()
        with dg.DagsterInstance.from_config(str(kept)) as instance:
            result = stedi_assets.materialize.materialize(
                stedi_assets.definitions.define(
                    Settings(lakehouse_uri=str(tmp_path / "lakehouse"), source_data=str(source))
                ),
                instance,
                Console(file=printed, soft_wrap=True),
            )
        failures = [event for event in result.all_node_events if event.is_step_failure]
        (kept / "sent").write_text(failure_message(result.dagster_run, failures))
        (kept / "printed").write_text(printed.getvalue() + "".join(capfd.readouterr()))
        return result

    return materialize


def failures(result: dg.ExecuteInProcessResult) -> dict[str, str]:
    """The message of each step that failed."""
    return {
        str(event.step_key): shown_of(event.step_failure_data)
        for event in result.all_node_events
        if event.is_step_failure
    }


def test__leaks__are_found_wherever_they_are(tmp_path: Path) -> None:
    """Else the other tests of this module could not fail."""
    places = {
        "text": NAME.encode(),
        "escaped": json.dumps("Zoë Ähre").encode(),
        "drawing": b"data:image/svg+xml;base64," + base64.b64encode(f"<p>{PHONE}</p>".encode()),
        f"{EMAIL}.json": b"",
    }
    folder = tmp_path / "kept"
    folder.mkdir()
    for name, content in places.items():
        (folder / name).write_bytes(content)
    with sqlite3.connect(folder / "history.db") as database:
        database.execute("create table snapshots (body blob)")
        database.execute("insert into snapshots values (?)", [zlib.compress(BIRTHDAY.encode())])
    database.close()

    everyone = {NAME, "Zoë Ähre", PHONE, EMAIL, BIRTHDAY}
    assert leaks.told(folder, {*everyone, "Ann Archer"}) == sorted(everyone)


def test__run__that_fails_at_landing(run: Run, source: Path, kept: Path) -> None:
    """Malformed lines, and a damaged file with an e-mail for a name."""
    folders = {table.source: source / table.location for table in tables.LANDING_TABLES}
    record = dict(zip(CUSTOMER_LANDING.column_names, BOB, strict=True))
    cut_short = json.dumps(record)[:-20]
    displaced = json.dumps(record | {"serialNumber": NAME, "registrationDate": int(PHONE)})
    (folders["customer"] / "more.json").write_text(f"{cut_short}\n{displaced}\n\xff{cut_short}\n")
    (folders["step_trainer"] / f"{EMAIL}.json.gz").write_bytes(gzip.compress(b"{}")[:-4])
    result = run()

    said = failures(result)
    assert set(said) == {"customer_landing", "step_trainer_landing"}
    assert "file 1 of 2 by name (18 bytes) cannot be read" in said["step_trainer_landing"]
    assert leaks.told(kept, EVERYONE) == []


def test__run__whose_landing_changes_while_it_is_read(
    run: Run, kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = LandingFolder.records

    def replaced(self: LandingFolder, *of: Any) -> Any:
        if self.table == ACCELEROMETER_LANDING:
            for file in self.files:
                Path(file.uri.removeprefix("file://")).write_text(f'{{"timestamp": "{EMAIL}"}}\n')
        return read(self, *of)

    monkeypatch.setattr(LandingFolder, "records", replaced)

    result = run()

    said = failures(result)
    assert set(said) == {"accelerometer_landing"}
    assert "An unexpected SparkRuntimeException" in said["accelerometer_landing"]
    assert leaks.told(kept, EVERYONE) == []


def test__run__that_meets_a_table_of_another_schema(
    run: Run, source: Path, kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where another writer made numbers of e-mails, the engine fails on a cast, and quotes."""
    write = LakehouseIOManager.handle_output

    def drifted(self: LakehouseIOManager, context: dg.OutputContext, obj: NewVersion) -> None:
        write(self, context, obj)
        table = tables.TABLES[context.asset_key.to_user_string()]
        if table == CUSTOMER_TRUSTED:
            place = str(tmp_path / "lakehouse" / table.location)
            rows = stored_rows(place)
            for column, value in (("email", 7), ("lastUpdateDate", NAME), ("serialNumber", PHONE)):
                number = rows.column_names.index(column)
                rows = rows.set_column(number, column, pa.array([value] * rows.num_rows))
            write_deltalake(place, rows, mode="overwrite", schema_mode="overwrite")
            self.lakehouse._drop(table)

    monkeypatch.setattr(LakehouseIOManager, "handle_output", drifted)

    result = run()

    said = failures(result)
    assert "An unexpected SparkRuntimeException at " in said["customer_trusted_checks"]
    assert leaks.told(kept, EVERYONE) == []
