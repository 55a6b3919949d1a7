"""The checks as Dagster runs them: what a failed one stops, and what of a run shows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import dagster as dg
import pytest
from pyspark.sql import DataFrame

from stedi_assets import tables
from stedi_assets.lakehouse.lakehouse import Lakehouse
from stedi_assets.orchestration.source import SourceData
from stedi_assets.orchestration.table_assets import table_asset
from stedi_assets.tables import LANDING_TABLES
from stedi_assets.tables.customer import CUSTOMER_TRUSTED
from stedi_assets.tables.step_trainer import STEP_TRAINER_TRUSTED
from stedi_assets_tests.bound import ASSETS, LANDING, MADE, SUITES, bound
from stedi_assets_tests.checks.conftest import (
    ANN,
    ANNS_DEVICE,
    ANNS_PHONE,
    BOBS_DEVICE,
    CHECKS,
    GOOD,
    land,
)
from stedi_assets_tests.rows import (
    NOON,
    device_reading,
)

Run = Callable[..., dg.ExecuteInProcessResult]


@pytest.fixture
def run(tmp_path: Path, lakehouse: Lakehouse) -> Run:
    """Materialises everything with its checks, of the good rows but for those that are given."""

    def materialize(
        *instead: dg.AssetsDefinition, **landed: list[tuple]
    ) -> dg.ExecuteInProcessResult:
        for table in LANDING_TABLES:
            land(tmp_path / "source", table, landed.get(table.name, GOOD[table.name]))
        assets = ASSETS | {asset.key.to_user_string(): asset for asset in instead}
        return dg.materialize(
            [*assets.values(), *SUITES.values()],
            resources={
                **bound(lakehouse),
                "source": SourceData(path=str(tmp_path / "source")),
            },
            raise_on_error=False,
        )

    return materialize


def failed(result: dg.ExecuteInProcessResult) -> set[tuple[str, str]]:
    """Table and name of the checks that did not pass."""
    return {
        (check.asset_key.to_user_string(), check.check_name)
        for check in result.get_asset_check_evaluations()
        if not check.passed
    }


def materialized(result: dg.ExecuteInProcessResult) -> set[str]:
    """The assets that a run made."""
    return {
        event.asset_key.to_user_string()
        for event in result.get_asset_materialization_events()
        if event.asset_key
    }


def test__run__good_rows(run: Run, lakehouse: Lakehouse) -> None:
    result = run()
    assert result.success
    assert failed(result) == set()
    assert materialized(result) == set(tables.TABLES)
    of_landing, volumes = 3 * 4, len(tables.DELTA_TABLES)
    suites = sum(map(len, CHECKS.values()))
    assert len(result.get_asset_check_evaluations()) == suites + of_landing + volumes
    for table in tables.DELTA_TABLES:
        assert {tuple(row) for row in lakehouse.read(table).collect()} == set(GOOD[table.name])


def test__run__one_person_one_reading(run: Run) -> None:
    result = run(
        customer_landing=[ANN],
        accelerometer_landing=[ANNS_PHONE],
        step_trainer_landing=[ANNS_DEVICE],
    )
    assert failed(result) == set()
    assert result.success


def without_consent(customer_landing: DataFrame) -> DataFrame:
    """Forgets to ask for consent."""
    return customer_landing


def multiplied(step_trainer_landing: DataFrame, customer_curated: DataFrame) -> DataFrame:
    """Joins where it should only restrict."""
    people = customer_curated.select("serialNumber").unionAll(
        customer_curated.select("serialNumber")
    )
    return step_trainer_landing.join(people, "serialNumber").select(
        *STEP_TRAINER_TRUSTED.column_names
    )


forgetful = table_asset(replace(CUSTOMER_TRUSTED, rule=without_consent))
multiplying = table_asset(replace(STEP_TRAINER_TRUSTED, rule=multiplied))
LANDED = {table.name for table in (*tables.LANDING_TABLES, *tables.QUARANTINE_TABLES)}


def test__run__failed_consent_stops_all_downstream(run: Run) -> None:
    result = run(forgetful)
    assert not result.success
    blocking = {("customer_trusted", "consent"), ("customer_trusted", "counts")}
    assert failed(result) == blocking
    assert materialized(result) == {*LANDED, "customer_trusted"}


def test__run__failed_counts_stop_all_downstream(run: Run) -> None:
    result = run(multiplying)
    assert not result.success
    assert failed(result) == {("step_trainer_trusted", "counts"), ("step_trainer_trusted", "keys")}
    assert materialized(result) == set(tables.TABLES) - {"machine_learning_curated", "training_set"}


def test__run__failed_check_that_does_not_block_stops_nothing(run: Run) -> None:
    twice = [ANNS_DEVICE, device_reading("device-ann", NOON, 300), BOBS_DEVICE]
    result = run(step_trainer_landing=twice)
    assert result.success
    assert failed(result) == {("step_trainer_trusted", "keys")}
    assert materialized(result) == set(tables.TABLES)


def test__run__shows_no_personal_value(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    result = run(forgetful, customer_landing=[*GOOD["customer_landing"], ANN])
    told = "\n".join(
        [
            *(repr(event) for event in result.all_events),
            *(repr(check) for check in result.get_asset_check_evaluations()),
            caplog.text,
        ]
    )
    assert "rows_at_fault" in told
    for name, email, phone, birth_day, *_ in GOOD["customer_landing"]:
        assert not [value for value in (name, email, phone, birth_day) if value in told]


def test__run__of_a_single_check_evaluates_no_other(run: Run, lakehouse: Lakehouse) -> None:
    """As the button beside a check in the UI does."""
    assert run().success
    key = dg.AssetCheckKey(dg.AssetKey("customer_trusted"), "keys")
    result = dg.materialize(
        [MADE["customer_trusted"], *LANDING.values(), SUITES["customer_trusted"]],
        resources={
            **bound(lakehouse),
            "source": SourceData(path=""),
        },
        selection=dg.AssetSelection.checks(key),
    )
    assert result.success
    assert [check.asset_check_key for check in result.get_asset_check_evaluations()] == [key]
    assert not result.get_asset_materialization_events()
