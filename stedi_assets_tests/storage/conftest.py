"""Runs of the command against a real S3 server."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable
from pyarrow.fs import LocalFileSystem, S3FileSystem, SubTreeFileSystem

from stedi_assets.demo_s3 import BUCKET, S3Server
from stedi_assets.orchestration.history import INSTANCE
from stedi_assets.tables import DELTA_TABLES, LANDING_TABLES, Table
from stedi_assets_tests.checks.conftest import GOOD, land
from stedi_assets_tests.runs import Run
from stedi_assets_tests.s3_proxy import S3Proxy, s3_proxy

Start = Callable[..., Run]


@pytest.fixture
def uri() -> str:
    """The address of a lakehouse in which nothing is yet."""
    return f"s3://{BUCKET}/{uuid.uuid4().hex}"


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A source with a few people, two of whom agreed to research."""
    folder = tmp_path_factory.mktemp("small")
    for table in LANDING_TABLES:
        land(folder, table, GOOD[table.name])
    return folder


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Dagster instance for one run at a time, as the Makefile makes it."""
    home = tmp_path_factory.mktemp("dagster")
    shutil.copy(INSTANCE, home)
    return home


@pytest.fixture
def settings(s3_server: S3Server, small: Path, uri: str, home: Path) -> dict[str, str]:
    """What leads a process to the server, and to nothing else of this machine."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return {
        **kept,
        **s3_server.environment,
        "DAGSTER_HOME": str(home),
        "STEDI_LAKEHOUSE_URI": uri,
        "STEDI_SOURCE_DATA": str(small),
    }


@pytest.fixture
def start(settings: dict[str, str]) -> Start:
    """Begins `make materialize`; settings given replace others, None unsets one."""

    def begin(*options: str, **changed: str | None) -> Run:
        given = {n: value for n, value in (settings | changed).items() if value is not None}
        return Run(given, *options)

    return begin


@pytest.fixture
def run(start: Start) -> Start:
    """Runs `make materialize` to its end."""
    return lambda *options, **changed: start(*options, **changed).end()


@pytest.fixture
def proxy(s3_server: S3Server) -> Iterator[S3Proxy]:
    """A proxy before the server."""
    with s3_proxy(s3_server.endpoint) as proxy:
        yield proxy


def table_at(uri: str, table: Table, server: S3Server) -> DeltaTable:
    options = {**server.environment, "AWS_ALLOW_HTTP": "true"} if uri.startswith("s3:") else None
    return DeltaTable(f"{uri}/{table.location}", storage_options=options)


def content(uri: str, table: Table, server: S3Server) -> pa.Table:
    filesystem = (
        S3FileSystem(
            access_key=server.access_key,
            secret_key=server.secret_key,
            endpoint_override=server.endpoint,
        )
        if uri.startswith("s3:")
        else LocalFileSystem()
    )
    folder = f"{uri.partition('://')[2]}/{table.location}"
    stored = table_at(uri, table, server).to_pyarrow_dataset(
        filesystem=SubTreeFileSystem(folder, filesystem)
    )
    rows = stored.to_table()
    return rows.sort_by([(name, "ascending") for name in table.column_names])


def row_counts(uri: str, server: S3Server) -> dict[str, int]:
    return {table.name: table_at(uri, table, server).count() for table in DELTA_TABLES}


GOOD_ROWS = {table.name: len(GOOD[table.name]) for table in DELTA_TABLES}


def failures(run: Run) -> list[str]:
    return [line for line in run.printed.splitlines() if line.startswith("failed")]
