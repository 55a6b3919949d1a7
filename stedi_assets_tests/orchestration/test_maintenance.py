"""Maintenance compacts files and deletes old versions; rows and commit metadata stay."""

from __future__ import annotations

import shutil
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.errors import DagsterConfigMappingFunctionError

from stedi_assets.definitions import define
from stedi_assets.errors import Code, LakehouseError
from stedi_assets.lakehouse import delta
from stedi_assets.lakehouse import maintenance as table_maintenance
from stedi_assets.orchestration import failures, maintenance
from stedi_assets.settings import Settings
from stedi_assets.tables import (
    DELTA_TABLES,
    LANDING_TABLES,
    QUARANTINE_TABLES,
    TABLES,
    records_of,
)
from stedi_assets.tables.customer import CUSTOMER_TRUSTED
from stedi_assets_tests.checks.conftest import GOOD, land
from stedi_assets_tests.orchestration.conftest import materialize, observed
from stedi_assets_tests.test_errors import OVERLOADED, Failing

PAIRED = {"machine_learning_curated": {"match_device": True}}
MAINTAINED = {table.name for table in (*LANDING_TABLES, *QUARANTINE_TABLES, *DELTA_TABLES)}


def maintain(defs: dg.Definitions, instance: dg.DagsterInstance, **config: int):
    """Runs the job, as the schedule does."""
    return defs.resolve_job_def("maintenance").execute_in_process(
        instance=instance, run_config=config, raise_on_error=False
    )


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a source and the lakehouse of it, materialised once."""
    folder = tmp_path_factory.mktemp("made")
    for table in LANDING_TABLES:
        land(folder / "source", table, GOOD[table.name])
    with dg.DagsterInstance.ephemeral() as instance:
        defs = define(
            Settings(lakehouse_uri=str(folder / "lakehouse"), source_data=str(folder / "source"))
        )
        assert materialize(defs, instance, *TABLES, **PAIRED).success
    return folder


@pytest.fixture
def maintained(made: Path, tmp_path: Path) -> dg.Definitions:
    """The project on a copy of that lakehouse."""
    shutil.copytree(made / "lakehouse", tmp_path / "lakehouse")
    return define(
        Settings(lakehouse_uri=str(tmp_path / "lakehouse"), source_data=str(made / "source"))
    )


def test__maintenance__keeps_rows_and_commit_metadata(
    maintained: dg.Definitions, instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    uri = f"file://{tmp_path}/lakehouse"
    tables = {name: TABLES[name] for name in MAINTAINED}
    tables |= {table.name: records_of(table) for table in LANDING_TABLES}
    before = {name: delta.state(f"{uri}/{table.location}") for name, table in tables.items()}

    result = maintain(maintained, instance)
    assert result.success
    shown = observed(result)
    assert set(shown) == MAINTAINED
    assert {figures["retention_hours"] for figures in shown.values()} == {168}
    assert table_maintenance.maintain(CUSTOMER_TRUSTED, f"{uri}/{CUSTOMER_TRUSTED.location}", 0)

    after = {name: delta.state(f"{uri}/{table.location}") for name, table in tables.items()}
    for name in MAINTAINED:
        kept, now = before[name], after[name]
        assert kept is not None and now is not None
        assert (now.rows, now.commit) == (kept.rows, kept.commit), name
    again = materialize(maintained, instance, "customer_landing", "customer_quarantine")
    quarantine = delta.state(f"{uri}/{TABLES['customer_quarantine'].location}")
    assert again.success
    assert quarantine == after["customer_quarantine"]  # its landing was not read again


def test__maintenance__empty_lakehouse(defs: dg.Definitions, instance: dg.DagsterInstance) -> None:
    result = maintain(defs, instance)
    assert result.success
    assert observed(result) == {}


def test__maintenance__damaged_table_leaves_the_others_maintained(
    maintained: dg.Definitions, instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    log = tmp_path / "lakehouse" / CUSTOMER_TRUSTED.location / "_delta_log"
    commit = log / f"{0:020}.json"
    commit.write_bytes(commit.read_bytes()[:100])

    result = maintain(maintained, instance, retention_hours=720)

    [failed] = [event for event in result.all_events if event.is_step_failure]
    assert failed.step_key == "maintain_customer_trusted"
    assert failures.code_of(failed.step_failure_data) is Code.LOG_DAMAGED
    shown = observed(result)
    assert set(shown) == MAINTAINED - {"customer_trusted"}
    assert {figures["retention_hours"] for figures in shown.values()} == {720}


@pytest.mark.parametrize(
    ("error", "succeeds"),
    [(OVERLOADED, True), (OSError(28, "No space left on device"), False)],
    ids=["overloaded", "disk full"],
)
def test__maintenance__tries_again_only_what_may_pass(
    defs: dg.Definitions,
    instance: dg.DagsterInstance,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    succeeds: bool,
) -> None:
    failing = Failing(table_maintenance.maintain, error, times=1)
    monkeypatch.setattr(maintenance, "maintain_table", failing)
    monkeypatch.setattr(failures, "RETRY_SECONDS", 0)

    assert maintain(defs, instance).success is succeeds
    assert failing.calls == len(MAINTAINED) + succeeds


@pytest.mark.parametrize("hours", [0, 23, 30 * 24 + 1])
def test__maintenance__retention_outside_of_what_consent_allows(
    defs: dg.Definitions, instance: dg.DagsterInstance, hours: int
) -> None:
    with pytest.raises(DagsterConfigMappingFunctionError) as raised:
        maintain(defs, instance, retention_hours=hours)
    assert isinstance(raised.value.__cause__, LakehouseError)
