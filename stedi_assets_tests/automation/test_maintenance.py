"""Maintenance joins files and forgets old versions; rows and what is known of them stay."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest
from dagster._core.errors import DagsterConfigMappingFunctionError
from deltalake import DeltaTable, write_deltalake

from stedi_assets.errors import LakehouseError
from stedi_assets.lakehouse import delta
from stedi_assets.lakehouse import maintenance as upkeep
from stedi_assets.lakehouse.maintenance import Maintained
from stedi_assets.orchestration import failures
from stedi_assets.tables import DELTA_TABLES, QUARANTINE_TABLES, TABLES
from stedi_assets.tables.customer import CUSTOMER_TRUSTED
from stedi_assets_tests.automation.test_sensors import materialize
from stedi_assets_tests.rows import stored_rows
from stedi_assets_tests.test_errors import Failing

MAINTAINED = {table.name for table in (*QUARANTINE_TABLES, *DELTA_TABLES)}


def maintain(defs: dg.Definitions, instance: dg.DagsterInstance, **config: int):
    """Runs the job, as the schedule does."""
    return defs.resolve_job_def("maintenance").execute_in_process(
        instance=instance, run_config=config, raise_on_error=False
    )


def observed(result: dg.ExecuteInProcessResult) -> dict[str, dict]:
    observations = [event.asset_observation_data for event in result.get_asset_observation_events()]
    return {
        each.asset_observation.asset_key.to_user_string(): {
            name: value.value for name, value in each.asset_observation.metadata.items()
        }
        for each in observations
    }


@pytest.fixture
def many_files(tmp_path: Path) -> Path:
    """A table of three files, which two writers made of one after the other."""
    import pyarrow as pa

    for number in range(3):
        write_deltalake(str(tmp_path / "t"), pa.table({"number": [number]}), mode="append")
    return tmp_path / "t"


def rows(table: Path) -> list[int]:
    return sorted(stored_rows(table)["number"].to_pylist())


def test__maintain__joins_files_and_keeps_rows(many_files: Path) -> None:
    done = upkeep.maintain(f"file://{many_files}", 168)

    assert done == Maintained(compacted=3, removed=0, removed_bytes=0)
    assert len(DeltaTable(str(many_files)).file_uris()) == 1
    assert rows(many_files) == [0, 1, 2]
    assert stored_rows(many_files, version=0)["number"].to_pylist() == [0]


def test__maintain__removes_files_that_were_replaced_long_enough_ago(many_files: Path) -> None:
    sizes = [path.stat().st_size for path in many_files.glob("*.parquet")]

    done = upkeep.maintain(f"file://{many_files}", 0)

    assert done == Maintained(compacted=3, removed=3, removed_bytes=sum(sizes))
    assert len(list(many_files.glob("*.parquet"))) == 1
    assert rows(many_files) == [0, 1, 2]


def test__maintain__no_table(tmp_path: Path) -> None:
    assert upkeep.maintain(f"file://{tmp_path}/none", 168) is None


def test__maintenance__observes_every_delta_table(
    defs: dg.Definitions, instance: dg.DagsterInstance
) -> None:
    materialize(defs, instance, *TABLES)

    result = maintain(defs, instance)

    assert result.success
    told = observed(result)
    assert set(told) == MAINTAINED
    assert {figures["retention_hours"] for figures in told.values()} == {168}


def test__maintenance__leaves_what_the_tables_are_known_by(
    defs: dg.Definitions, instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    uri = f"file://{tmp_path}/lakehouse"
    materialize(defs, instance, *TABLES, machine_learning_curated={"match_device": True})
    before = {name: delta.state(f"{uri}/{TABLES[name].location}") for name in MAINTAINED}

    assert maintain(defs, instance).success
    assert upkeep.maintain(f"{uri}/{CUSTOMER_TRUSTED.location}", 0) is not None

    after = {name: delta.state(f"{uri}/{TABLES[name].location}") for name in MAINTAINED}
    for name in MAINTAINED:
        kept, now = before[name], after[name]
        assert kept is not None and now is not None
        assert (now.rows, now.commit) == (kept.rows, kept.commit), name
    again = materialize(defs, instance, "customer_landing", "customer_quarantine")
    quarantine = delta.state(f"{uri}/{TABLES['customer_quarantine'].location}")
    assert again.success
    assert quarantine == after["customer_quarantine"]  # its landing was not read again


def test__maintenance__empty_lakehouse(defs: dg.Definitions, instance: dg.DagsterInstance) -> None:
    result = maintain(defs, instance)
    assert result.success
    assert observed(result) == {}


def test__maintenance__damaged_table_leaves_the_others_maintained(
    defs: dg.Definitions, instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    materialize(defs, instance, *TABLES)
    log = tmp_path / "lakehouse" / CUSTOMER_TRUSTED.location / "_delta_log"
    commit = log / f"{0:020}.json"
    commit.write_bytes(commit.read_bytes()[:100])

    result = maintain(defs, instance)

    [failed] = [event for event in result.all_events if event.is_step_failure]
    assert failed.step_key == "maintain_customer_trusted"
    said = failed.step_failure_data.user_failure_data
    assert said is not None and "The Delta log of" in str(said.description)
    assert set(observed(result)) == MAINTAINED - {"customer_trusted"}


@pytest.mark.parametrize(
    ("error", "succeeds"),
    [(OSError("SlowDown"), True), (OSError(28, "No space left on device"), False)],
    ids=["overloaded", "disk full"],
)
def test__maintenance__tries_again_only_what_may_pass(
    defs: dg.Definitions,
    instance: dg.DagsterInstance,
    monkeypatch: pytest.MonkeyPatch,
    error: OSError,
    succeeds: bool,
) -> None:
    failing = Failing(upkeep.maintain, error, times=1)
    monkeypatch.setattr(upkeep, "maintain", failing)
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
    assert str(raised.value.__cause__).startswith(f"retention_hours is {hours}. Choose 24 (a day)")


def test__maintenance__retention_reaches_every_table(
    defs: dg.Definitions, instance: dg.DagsterInstance
) -> None:
    materialize(defs, instance, "customer_landing", "customer_quarantine", "customer_trusted")
    told = observed(maintain(defs, instance, retention_hours=720))
    assert {name: figures["retention_hours"] for name, figures in told.items()} == {
        "customer_quarantine": 720,
        "customer_trusted": 720,
    }
