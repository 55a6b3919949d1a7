"""Lakehouses to query: one of a few rows, and one of the sample."""

from __future__ import annotations

import io
import json
from pathlib import Path

import dagster as dg
import pyarrow as pa
import pytest
from deltalake import write_deltalake
from rich.console import Console

import stedi_assets.definitions
import stedi_assets.materialize
from stedi_assets.console import duck
from stedi_assets.settings import Settings
from stedi_assets.tables.customer import CUSTOMER_LANDING, CUSTOMER_TRUSTED
from stedi_assets_tests.conftest import PROJECT

ANN = {"email": "ann@example.com", "serialNumber": "device-ann", "shareWithResearchAsOfDate": 5}


def rows(uri: str, sql: str) -> list[tuple]:
    """The rows that one query gives."""
    [statement] = duck.statements(sql)
    return duck.query(uri, statement).fetchall()


def land(folder: Path, *lines: str) -> None:
    """Writes a file of customer landing."""
    landing = folder / CUSTOMER_LANDING.location
    landing.mkdir(parents=True, exist_ok=True)
    (landing / "customer.json").write_text("".join(f"{line}\n" for line in lines))


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """The folder of a lakehouse in which Ann landed and is trusted, and nothing else is."""
    folder = tmp_path / "lakehouse"
    land(folder, json.dumps(ANN))
    write_deltalake(folder / CUSTOMER_TRUSTED.location, pa.Table.from_pylist([ANN]))
    return folder


@pytest.fixture
def uri(small: Path) -> str:
    """The address of the small lakehouse."""
    return f"file://{small}"


@pytest.fixture(scope="session")
def sample_uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A lakehouse of the sample, materialised once."""
    uri = str(tmp_path_factory.mktemp("sql") / "lakehouse")
    settings = Settings(lakehouse_uri=uri, source_data=str(PROJECT / "data"))
    defs = stedi_assets.definitions.define(settings)
    quiet = Console(file=io.StringIO())
    with dg.DagsterInstance.ephemeral() as instance:
        assert stedi_assets.materialize.materialize(defs, instance, quiet).success
    return f"file://{uri}"
