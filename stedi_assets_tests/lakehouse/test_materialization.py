"""What Dagster shows of a table that was materialised."""

from __future__ import annotations

import re
from typing import Any

import dagster as dg
import pytest

from stedi_assets import pictures
from stedi_assets.lakehouse.lakehouse import Lakehouse
from stedi_assets.policy import Options
from stedi_assets.tables.accelerometer import ACCELEROMETER_TRUSTED
from stedi_assets.tables.customer import CUSTOMER_CURATED, CUSTOMER_TRUSTED
from stedi_assets.tables.machine_learning import MACHINE_LEARNING_CURATED
from stedi_assets.tables.step_trainer import STEP_TRAINER_TRUSTED
from stedi_assets_tests.bound import MADE
from stedi_assets_tests.lakehouse.conftest import Run, folder_of
from stedi_assets_tests.rows import (
    CUSTOMERS,
    DEVICE_READINGS,
    MORNING,
    NOON,
    PHONE_READINGS,
    Frame,
    customer,
    device_reading,
    pair,
    phone_reading,
    rows,
)


@pytest.fixture
def parents(lakehouse: Lakehouse, frame: Frame) -> Lakehouse:
    """A lakehouse with the three parents of machine_learning_curated."""
    for table, ddl, made in [
        (
            STEP_TRAINER_TRUSTED,
            DEVICE_READINGS,
            [device_reading("device-1"), device_reading("device-2")],
        ),
        (ACCELEROMETER_TRUSTED, PHONE_READINGS, [phone_reading("ann@example.com")]),
        (CUSTOMER_CURATED, CUSTOMERS, [customer("ann@example.com", "device-1", MORNING)]),
    ]:
        lakehouse.write(table, frame(ddl, made))
    return lakehouse


def test__materialization__metadata(parents: Lakehouse, run: Run) -> None:
    table = MACHINE_LEARNING_CURATED
    [materialization] = run(MADE["machine_learning_curated"]).asset_materializations_for_node(
        "machine_learning_curated"
    )
    told: dict[str, Any] = {name: value.value for name, value in materialization.metadata.items()}

    files = list(folder_of(parents, table).glob("*.parquet"))
    assert told["dagster/row_count"] == 2
    assert told["delta_version"] == 0
    assert told["files"] == len(files)
    assert told["size_mb"] == round(sum(path.stat().st_size for path in files) / 1e6, 1)
    assert told["dagster/uri"] == f"file://{folder_of(parents, table)}"
    assert told["dagster/table_name"] == "machine_learning_curated"
    assert told["figures"]["funnel"] == [
        {"table": "accelerometer_trusted", "zone": "trusted", "rows": 1, "people": 1},
        {"table": "step_trainer_trusted", "zone": "trusted", "rows": 2, "people": 1},
        {"table": "customer_curated", "zone": "curated", "rows": 1, "people": 1},
        {"table": "machine_learning_curated", "zone": "curated", "rows": 2, "people": 1},
    ]
    for picture in ("funnel", "movement_over_time", "movement_by_distance"):
        assert told[picture].startswith("![")
        assert "](data:image/svg+xml;base64," in told[picture]


def test__materialization__picture_that_fails_is_a_warning(
    parents: Lakehouse, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The table is written by then; what the error says may quote a row."""

    def fails(_: object) -> None:
        raise ArithmeticError("ann@example.com")

    monkeypatch.setattr(pictures, "metadata", fails)

    result = run(MADE["machine_learning_curated"])

    assert result.success
    [made] = result.asset_materializations_for_node("machine_learning_curated")
    shown = str(made.metadata["pictures_not_drawn"].value)
    assert "ArithmeticError" in shown
    assert "ann@example.com" not in shown
    assert parents.arrow(MACHINE_LEARNING_CURATED).num_rows == 2


def test__materialization__no_row(parents: Lakehouse, run: Run, frame: Frame) -> None:
    """Dagster's history outlives an erasure, so it holds no serial number, date or reading."""
    people = [customer("ann@example.com", "device-1", consent=MORNING + 1, updated=MORNING + 2)]
    parents.write(CUSTOMER_TRUSTED, frame(CUSTOMERS, people))
    for asset in (MADE["customer_curated"], MADE["machine_learning_curated"]):
        for materialization in run(asset).asset_materializations_for_node(asset.key.path[-1]):
            told = repr({name: each.value for name, each in materialization.metadata.items()})
            assert not re.search(f"ann@|device-1|{NOON}|{MORNING}|{MORNING + 1}", told)


def test__materialization__lineage_of_each_column(parents: Lakehouse, run: Run) -> None:
    [materialization] = run(MADE["machine_learning_curated"]).asset_materializations_for_node(
        "machine_learning_curated"
    )
    lineage = materialization.metadata["dagster/column_lineage"].value
    assert isinstance(lineage, dg.TableColumnLineage)
    found = {
        column: [(dep.asset_key.to_user_string(), dep.column_name) for dep in deps]
        for column, deps in lineage.deps_by_column.items()
    }
    assert found == {
        "sensorReadingTime": [("step_trainer_trusted", "sensorReadingTime")],
        "serialNumber": [("step_trainer_trusted", "serialNumber")],
        "distanceFromObject": [("step_trainer_trusted", "distanceFromObject")],
        "timestamp": [("accelerometer_trusted", "timestamp")],
        "x": [("accelerometer_trusted", "x")],
        "y": [("accelerometer_trusted", "y")],
        "z": [("accelerometer_trusted", "z")],
    }


def test__materialization__lineage_of_a_restricted_table(
    parents: Lakehouse, run: Run, frame: Frame
) -> None:
    people = frame(CUSTOMERS, [customer("ann@example.com")])
    parents.write(CUSTOMER_TRUSTED, people)
    [materialization] = run(MADE["customer_curated"]).asset_materializations_for_node(
        "customer_curated"
    )
    lineage = materialization.metadata["dagster/column_lineage"].value
    assert isinstance(lineage, dg.TableColumnLineage)
    assert set(lineage.deps_by_column) == set(CUSTOMER_CURATED.column_names)
    for column, deps in lineage.deps_by_column.items():
        assert [(dep.asset_key.to_user_string(), dep.column_name) for dep in deps] == [
            ("customer_trusted", column)
        ]


@pytest.mark.parametrize("options", [{}, {"match_device": True}])
def test__materialization__commit_keeps_run_and_options(
    options: dict, parents: Lakehouse, run: Run
) -> None:
    config = {"machine_learning_curated": {"config": options}}
    result = run(MADE["machine_learning_curated"], config=config)
    state = parents.state(MACHINE_LEARNING_CURATED)
    assert state is not None
    assert state.commit.run == result.run_id
    assert state.commit.config == Options(**options)
    made = [pair("device-1")] if options else [pair("device-1"), pair("device-2")]
    assert rows(parents.read(MACHINE_LEARNING_CURATED)) == made
