"""A lakehouse of ten people whose files a test changes, and how its runs judge volume."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import dagster as dg

from stedi_assets.definitions import define
from stedi_assets.lakehouse import delta
from stedi_assets.landing.names import versioned
from stedi_assets.policy import NO_OPTION, Options
from stedi_assets.settings import Settings
from stedi_assets.tables import DELTA_TABLES, LANDING_TABLES, TABLES, Table
from stedi_assets.tables.machine_learning import MACHINE_LEARNING_CURATED
from stedi_assets_tests.rows import NOON, PSEUDONYMS, customer, device_reading, phone_reading

CUSTOMERS, PHONES, DEVICES = LANDING_TABLES
TRAINING = MACHINE_LEARNING_CURATED
PEOPLE, TIMES = 10, 20
HOUR = 3_600_000
Rows = dict[str, list[tuple]]


def person(number: int) -> str:
    return f"p{number}@example.com"


def recorded() -> Rows:
    """Ten people who agree, and each one's twenty readings of phone and device, none's at once."""
    readings = [(n, NOON + n * HOUR + t) for n in range(PEOPLE) for t in range(TIMES)]
    return {
        CUSTOMERS.name: [customer(person(n), f"device-{n}") for n in range(PEOPLE)],
        PHONES.name: [phone_reading(person(n), time) for n, time in readings],
        DEVICES.name: [device_reading(f"device-{n}", time) for n, time in readings],
    }


ROWS = {
    "customer_trusted": PEOPLE,
    "accelerometer_trusted": PEOPLE * TIMES,
    "customer_curated": PEOPLE,
    "step_trainer_trusted": PEOPLE * TIMES,
    "machine_learning_curated": PEOPLE * TIMES,
    "customer_training": PEOPLE,
    "training_set": PEOPLE * TIMES,
}
TRAINED = ("machine_learning_curated", "training_set")


def shifted(rows: list[tuple]) -> list[tuple]:
    """Phone readings of a clock that is a day late: plausible, and beside no device's."""
    return [(user, time + 24 * HOUR, *rest) for user, time, *rest in rows]


class Project:
    """A lakehouse whose files arrive in landing by themselves."""

    def __init__(self, folder: Path, instance: dg.DagsterInstance) -> None:
        self.folder, self.instance = folder, instance
        if not folder.exists():
            for name, rows in recorded().items():
                self.land(TABLES[name], rows)

    def path(self, table: Table, name: str = "first.json") -> Path:
        """A landing file."""
        return self.folder / table.location / name

    def land(self, table: Table, rows: list[tuple], name: str = "first.json") -> None:
        """Writes a landing file, in place of one of that name."""
        lines = [dict(zip(table.column_names, row, strict=True)) for row in rows]
        path = self.path(table, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))

    def replace(self, table: Table, rows: list[tuple]) -> None:
        """Has a later version of the source's file land, and only that one counts."""
        self.land(table, rows, "arriving.json")
        arriving = self.path(table, "arriving.json")
        digest = hashlib.sha256(arriving.read_bytes()).hexdigest()
        arriving.rename(self.path(table, versioned("first.json", digest, ())))

    def run(
        self,
        policy: Options = NO_OPTION,
        job: str = "materialize_lakehouse",
        config: dict[str, Any] | None = None,
        **ops: dict[str, Any],
    ) -> dg.ExecuteInProcessResult:
        """A run; `ops` configures single assets."""
        settings = Settings(
            lakehouse_uri=str(self.folder),
            source_data="",
            pseudonym_key=PSEUDONYMS.key,
            **dict[str, Any](policy.as_dict()),
        )
        given = {"ops": {name: {"config": each} for name, each in ops.items()}}
        return (
            define(settings)
            .resolve_job_def(job)
            .execute_in_process(
                instance=self.instance, raise_on_error=False, run_config=config or given
            )
        )

    def rows(self) -> dict[str, int]:
        """Table to its rows, by the log."""
        states = {
            each.name: delta.state(f"file://{self.folder}/{each.location}") for each in DELTA_TABLES
        }
        return {name: state.rows for name, state in states.items() if state}


def volumes(result: dg.ExecuteInProcessResult) -> dict[str, dg.AssetCheckEvaluation]:
    """Table to how its volume was judged."""
    found = [each for each in result.get_asset_check_evaluations() if each.check_name == "volume"]
    return {each.asset_key.to_user_string(): each for each in found}


def figures(result: dg.ExecuteInProcessResult, table: str) -> dict[str, Any]:
    return {name: value.value for name, value in volumes(result)[table].metadata.items()}


def explained(result: dg.ExecuteInProcessResult) -> dict[str, dict[str, int]]:
    """Table to reason to the rows that it explains, of tables that lost any."""
    found = {}
    for table in volumes(result):
        reasons = {
            name.removeprefix("explained_by_"): rows
            for name, rows in figures(result, table).items()
            if name.startswith("explained_by_")
        }
        if reasons:
            found[table] = reasons
    return found


def refused(result: dg.ExecuteInProcessResult) -> set[str]:
    return {table for table, check in volumes(result).items() if not check.passed}
