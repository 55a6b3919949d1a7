"""A small lakehouse in which every check passes, for tests to break one thing of."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster import AssetCheckResult
from pyspark.sql import DataFrame

from stedi_assets.engine.spark import SparkResource
from stedi_assets.lakehouse.changes import Changes
from stedi_assets.lakehouse.lakehouse import Lakehouse
from stedi_assets.landing import upload as arrival
from stedi_assets.orchestration.checks.tables import evaluate_in
from stedi_assets.policy import NO_OPTION, Options
from stedi_assets.storage.local import LocalFolder
from stedi_assets.tables import LANDING_TABLES, TABLES, Table
from stedi_assets_tests.checks.project import ROWS, Project
from stedi_assets_tests.conftest import Catalogued
from stedi_assets_tests.rows import (
    CLOCK,
    MORNING,
    NOON,
    PSEUDONYMS,
    Frame,
    customer,
    device_reading,
    pair,
    phone_reading,
)

# Ann and Bob agreed to research and are recorded an hour apart; Eve and Zoe did not agree.
LATER = NOON + 3_600_000
ANN = customer("ann@example.com", "device-ann", MORNING, name="Ann Archer", phone="8015550101")
BOB = customer("bob@example.com", "device-bob", MORNING, name="Bob Bowman", phone="8015550102")
EVE = customer("eve@example.com", "device-eve", None, name="Eve Everett", phone="8015550103")
ZOE = customer("zoe@example.com", "device-zoe", 0, name="Zoe Zimmer", phone="8015550104")
ANNS_PHONE, ANNS_DEVICE = phone_reading("ann@example.com", NOON), device_reading("device-ann", NOON)
BOBS_PHONE, BOBS_DEVICE = (
    phone_reading("bob@example.com", LATER),
    device_reading("device-bob", LATER),
)
EVES_PHONE, EVES_DEVICE = (
    phone_reading("eve@example.com", NOON, x=0.125),
    device_reading("device-eve", NOON),
)
ANNS_PAIR, BOBS_PAIR = pair("device-ann", NOON), pair("device-bob", LATER)

GOOD = {
    "customer_landing": [ANN, BOB, EVE, ZOE],
    "accelerometer_landing": [ANNS_PHONE, BOBS_PHONE, EVES_PHONE],
    "step_trainer_landing": [ANNS_DEVICE, BOBS_DEVICE, EVES_DEVICE],
    "customer_trusted": [ANN, BOB],
    "accelerometer_trusted": [ANNS_PHONE, BOBS_PHONE],
    "customer_curated": [ANN, BOB],
    "step_trainer_trusted": [ANNS_DEVICE, BOBS_DEVICE],
    "machine_learning_curated": [ANNS_PAIR, BOBS_PAIR],
    "customer_training": [
        ("ann@example.com", "device-ann", MORNING, "ann@example.com"),
        ("bob@example.com", "device-bob", MORNING, "bob@example.com"),
    ],
    "training_set": [(*ANNS_PAIR, "test"), (*BOBS_PAIR, "validation")],
}

ALL = {"provenance", "consent", "counts", "schema", "values"}
CHECKS = {
    "customer_trusted": ALL
    | {
        "keys",
        "impossible_consent",
        "near_duplicate_people",
    },
    "accelerometer_trusted": ALL | {"keys", "references"},
    "customer_curated": ALL | {"keys", "references"},
    "step_trainer_trusted": ALL | {"keys", "references", "devices_shared_without_consent"},
    "machine_learning_curated": ALL
    | {
        "references",
        *("no_personal_data", "pairs_of_two_people", "readings_before_consent", "policy"),
    },
    "customer_training": ALL | {"keys", "references"},
    "training_set": ALL
    | {"references", "no_personal_data", "policy", "split_leakage", "split_balance"},
}

Results = dict[str, AssetCheckResult]
Check = Callable[..., Results]

COUNTED = ("rows", "expected")


def faults(results: Results) -> dict[str, Any]:
    """Check to what it found, of the checks that failed or found something to be known."""
    found: dict[str, Any] = {}
    for name, result in results.items():
        figures = {label: value.value for label, value in result.metadata.items()}
        if result.passed and not figures.get("rows_at_fault"):
            continue
        if name == "counts":
            found[name] = tuple(figures[label] for label in COUNTED if label in figures)
        elif name == "schema":
            found[name] = figures["faults"]
        else:
            found[name] = figures["rows_at_fault"]
    return found


def land(folder: Path, table: Table, rows: list[tuple]) -> None:
    """Writes rows as a file of JSON lines where a landing table's files are."""
    path = folder / table.location / f"{table.source}.json"
    path.parent.mkdir(parents=True)
    records = [
        {
            name: value
            for name, value in zip(table.column_names, row, strict=True)
            if value is not None
        }
        for row in rows
    ]
    path.write_text("".join(json.dumps(record) + "\n" for record in records))


class Shown(Lakehouse):
    """A lakehouse whose tables read as a test says, whatever is stored of them."""

    def __init__(self, uri: str, spark: SparkResource) -> None:
        super().__init__(uri, spark)
        self.shown: dict[str, DataFrame] = {}

    def read(self, table: Table) -> DataFrame:
        return self.shown[table.name] if table.name in self.shown else super().read(table)

    def changes(self, table: Table) -> Changes:
        return () if table.name in self.shown else super().changes(table)


@pytest.fixture
def landed(tmp_path: Path, spark_resource: SparkResource) -> Shown:
    """The lakehouse with the good rows in its landing folders."""
    for table in LANDING_TABLES:
        land(tmp_path / "lakehouse", table, GOOD[table.name])
    return Shown(str(tmp_path / "lakehouse"), spark_resource)


@pytest.fixture
def land_in_bucket(tmp_path: Path, catalogued: Catalogued) -> Callable[..., None]:
    """Lands the good rows of a table in the catalogued lakehouse, and lines besides."""

    def run(table: Table, *besides: str) -> None:
        land(tmp_path, table, GOOD[table.name])
        for line in besides:
            (tmp_path / table.location / "besides.json").write_text(line)
        source = LocalFolder(f"file://{tmp_path}/{table.location}")
        folder = catalogued.landing(table)
        arrival.ingest(source, folder.folder)
        catalogued.records(table).take_in()

    return run


@pytest.fixture
def check(frame: Frame, landed: Shown) -> Check:
    """Runs the checks of a table on the good rows, but for the tables that are given."""

    def run(table: str, policy: Options = NO_OPTION, **changed: list[tuple] | DataFrame) -> Results:
        for name, given in (GOOD | changed).items():
            rows = frame(TABLES[name].ddl, given) if isinstance(given, list) else given
            landed.shown[name] = rows
        found = evaluate_in(landed, TABLES[table], CLOCK.now, PSEUDONYMS, policy)
        return {str(result.check_name): result for result in found}

    return run


@pytest.fixture(scope="session")
def accepted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lakehouse in which every check has passed."""
    with dg.DagsterInstance.ephemeral() as instance:
        made = Project(tmp_path_factory.mktemp("accepted") / "lakehouse", instance)
        assert made.run().success
    assert made.rows() == ROWS
    return made.folder


@pytest.fixture
def project(accepted: Path, tmp_path: Path) -> Iterator[Project]:
    """The project with a copy of that lakehouse."""
    shutil.copytree(accepted, tmp_path / "lakehouse")
    with dg.DagsterInstance.ephemeral() as instance:
        yield Project(tmp_path / "lakehouse", instance)
