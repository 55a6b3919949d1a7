"""The whole project with a Glue database: what a run registers, and registering it again."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from stedi_assets import definitions
from stedi_assets.catalog.registration import register
from stedi_assets.lakehouse.lakehouse import Lakehouse
from stedi_assets.settings import Settings
from stedi_assets.storage import aws_settings
from stedi_assets.tables import LANDING_TABLES, TABLES
from stedi_assets_tests.checks.conftest import GOOD, land
from stedi_assets_tests.conftest import Catalogued
from stedi_assets_tests.runs import Run

pytestmark = pytest.mark.slow

ROWS = {name: len(GOOD.get(name, [])) for name in TABLES}


@pytest.fixture
def environment(aws: dict[str, str], catalogued: Catalogued, tmp_path: Path) -> dict:
    """What a process is given to work on the catalogued lakehouse from a small source."""
    for table in LANDING_TABLES:
        land(tmp_path / "source", table, GOOD[table.name])
    (tmp_path / "dagster").mkdir()
    assert catalogued.catalog is not None
    return {
        **os.environ,
        **aws,
        "STEDI_LAKEHOUSE_URI": catalogued.uri,
        "STEDI_SOURCE_DATA": str(tmp_path / "source"),
        "STEDI_SPARK_REMOTE": "",
        "STEDI_GLUE_DATABASE": catalogued.catalog.database,
        "DAGSTER_HOME": str(tmp_path / "dagster"),
    }


def test__catalogued__run_registers_every_table_and_a_job_does_it_again(
    catalogued: Catalogued, environment: dict[str, str]
) -> None:
    run = Run(environment).end()

    assert run.exit_status == 0, run.printed
    # A check of the catalog that fails stops nothing, so it is looked for.
    assert not [line for line in run.printed.splitlines() if line.startswith("failed ")]
    assert _registered(catalogued) == {name: (rows, "1") for name, rows in ROWS.items()}

    with dg.DagsterInstance.from_config(environment["DAGSTER_HOME"]) as instance:
        events = {
            name: instance.get_latest_materialization_event(dg.AssetKey(name)) for name in TABLES
        }
    assert {
        name: event.asset_materialization.metadata["glue_table"].value
        for name, event in events.items()
        if event and event.asset_materialization
    } == {name: f"{_database(catalogued)}.{name}" for name in TABLES}

    glue = aws_settings.found().client("glue")
    glue.delete_table(DatabaseName=_database(catalogued), Name="customer_trusted")
    assert "customer_trusted" not in _registered(catalogued)
    job = "dagster job execute -m stedi_assets.definitions -j register_in_catalog"
    again = _run(environment, *job.split())

    assert again.returncode == 0, again.stderr
    assert _registered(catalogued) == {name: (rows, "1") for name, rows in ROWS.items()}
    assert {
        table.name: state.version
        for table in TABLES.values()
        if table not in LANDING_TABLES and (state := catalogued.state(table))
    } == {table.name: 0 for table in TABLES.values() if table not in LANDING_TABLES}


def test__catalogued__glue_refuses_and_the_run_says_so(
    catalogued: Catalogued, environment: dict[str, str]
) -> None:
    aws_settings.found().client("glue").delete_database(Name=_database(catalogued))

    run = Run(environment).end()

    assert run.exit_status == 1
    assert f"[NO_DATABASE] {_database(catalogued)}.customer_landing" in run.printed
    assert "Traceback" not in run.printed


def test__catalogued__lakehouse_in_a_folder(environment: dict[str, str], tmp_path: Path) -> None:
    folder = tmp_path / "lakehouse"

    run = Run({**environment, "STEDI_LAKEHOUSE_URI": str(folder)}).end()

    assert run.exit_status == 1
    assert f"but the lakehouse file://{folder} is a folder, which Athena cannot read" in run.printed
    assert not folder.exists()


def test__register__tables_that_are_there_only(catalogued: Catalogued) -> None:
    catalogued.write(TABLES["customer_trusted"], None)
    defs = definitions.define(
        Settings(lakehouse_uri=catalogued.uri, source_data="", glue_database=_database(catalogued))
    )

    result = defs.resolve_job_def("register_in_catalog").execute_in_process()

    assert result.success
    assert set(_registered(catalogued)) == {"customer_trusted"}


def test__write__tells_where_the_table_is_registered(catalogued: Catalogued) -> None:
    table = TABLES["customer_trusted"]
    catalogued.write(table, None)

    assert catalogued.register(table) == {"glue_table": f"{_database(catalogued)}.customer_trusted"}


def test__write__without_a_catalog(lakehouse: Lakehouse) -> None:
    table = TABLES["customer_trusted"]
    lakehouse.write(table, None)

    assert register(None, lakehouse, table) == {}


@pytest.mark.parametrize(
    ("settings", "checks", "jobs"),
    [
        ({}, set(), set()),
        ({"athena_workgroup": "stedi"}, set(), set()),
        ({"glue_database": "stedi"}, {"registered_in_catalog"}, {"register_in_catalog"}),
        (
            {"glue_database": "stedi", "athena_workgroup": "stedi"},
            {"registered_in_catalog", "athena_row_count"},
            {"register_in_catalog"},
        ),
    ],
    ids=["neither", "workgroup alone", "database", "both"],
)
def test__definitions__checks_and_job_are_there_where_they_are_set(
    settings: dict[str, Any], checks: set[str], jobs: set[str]
) -> None:
    def of(settings: Settings) -> tuple[set[tuple[str, str]], set[str]]:
        defs = definitions.define(settings)
        keys = defs.resolve_asset_graph().asset_check_keys
        return (
            {(key.asset_key.to_user_string(), key.name) for key in keys},
            {job.name for job in defs.resolve_all_job_defs()},
        )

    plain_checks, plain_jobs = of(Settings(lakehouse_uri="s3://bucket/prefix"))
    found_checks, found_jobs = of(Settings(lakehouse_uri="s3://bucket/prefix", **settings))

    assert found_checks - plain_checks == {(name, check) for name in TABLES for check in checks}
    assert found_jobs - plain_jobs == jobs


def _run(environment: dict[str, str], *module: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *module],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )


def _database(lakehouse: Catalogued) -> str:
    assert lakehouse.catalog is not None
    return lakehouse.catalog.database


def _registered(lakehouse: Catalogued) -> dict[str, tuple[int, str]]:
    """Of each table in the catalog its row count and Glue's version."""
    found = (
        aws_settings.found()
        .client("glue")
        .get_tables(DatabaseName=_database(lakehouse))["TableList"]
    )
    return {
        each["Name"]: (int(each["Parameters"]["recordCount"]), each["VersionId"]) for each in found
    }
