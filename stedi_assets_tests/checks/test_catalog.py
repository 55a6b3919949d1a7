"""The check of the catalog: it passes where catalog and table agree, and names what differs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest
from dagster import AssetCheckResult
from deltalake import write_deltalake

from stedi_assets import tables
from stedi_assets.lakehouse.lakehouse import Lakehouse
from stedi_assets.orchestration.checks.registered import registered
from stedi_assets.storage import aws_settings
from stedi_assets.tables import Table
from stedi_assets.tables.machine_learning import MACHINE_LEARNING_CURATED
from stedi_assets.tables.step_trainer import STEP_TRAINER_LANDING
from stedi_assets_tests.conftest import Catalogued
from stedi_assets_tests.rows import function_of

TABLE = MACHINE_LEARNING_CURATED
LANDING = STEP_TRAINER_LANDING
COLUMNS = {column.name: column.type for column in TABLE.columns}
ARROW = {"string": pa.string(), "bigint": pa.int64(), "int": pa.int32(), "double": pa.float64()}


def check(lakehouse: Catalogued, table: Table = TABLE) -> AssetCheckResult:
    """The check's result in a run of its own."""
    later = Lakehouse(lakehouse.uri, lakehouse.spark)
    result: AssetCheckResult = function_of(registered(table))(later, lakehouse.catalog)
    return result


@pytest.mark.parametrize(
    "table", [TABLE, tables.quarantine_of(LANDING)], ids=lambda table: table.name
)
def test__registered__as_the_table_is(catalogued: Catalogued, table: Table) -> None:
    catalogued.write(table, None)
    catalogued.register(table)

    result = check(catalogued, table)

    assert result.passed, result.description
    assert result.description is None


def test__registered__landing_as_its_files_are(
    catalogued: Catalogued, land_in_bucket: Callable[..., None]
) -> None:
    land_in_bucket(LANDING)
    catalogued.register(LANDING)

    result = check(catalogued, LANDING)

    assert result.passed, result.description
    assert catalogued.catalog is not None
    found = catalogued.catalog.find(LANDING)
    assert found is not None
    assert found["Parameters"]["recordCount"] == "3"
    assert found["Parameters"]["version"] == catalogued.landing(LANDING).fingerprint


def test__registered__landing_has_a_new_file(
    catalogued: Catalogued, land_in_bucket: Callable[..., None]
) -> None:
    land_in_bucket(LANDING)
    catalogued.register(LANDING)
    bucket, _, prefix = catalogued.uri_of(LANDING).removeprefix("s3://").partition("/")
    aws_settings.found().client("s3").put_object(
        Bucket=bucket, Key=f"{prefix}/new.json", Body=b"{}"
    )

    _assert_fails(
        check(catalogued, LANDING),
        "step_trainer_landing is not materialised, or has changed since. Materialise it.",
    )


def test__registered__not_materialised(catalogued: Catalogued) -> None:
    _assert_fails(
        check(catalogued),
        "machine_learning_curated is not materialised, or has changed since. Materialise it.",
    )


def test__registered__not_in_the_catalog(catalogued: Catalogued) -> None:
    catalogued.write(TABLE, None)

    _assert_fails(
        check(catalogued),
        f"Glue has no table {_name(catalogued)}. Run the job register_in_catalog.",
    )


def test__registered__written_again_since(catalogued: Catalogued) -> None:
    catalogued.write(TABLE, None)
    catalogued.register(TABLE)
    row = dict(zip(TABLE.column_names, [1, "serial", 2, 1, 0.5, 0.5, 0.5], strict=True))
    schema = pa.schema([(name, ARROW[kind]) for name, kind in COLUMNS.items()])
    write_deltalake(catalogued.uri_of(TABLE), pa.Table.from_pylist([row], schema), mode="append")

    _assert_fails(
        check(catalogued),
        f"Glue's {_name(catalogued)} differs from the lakehouse in recordCount, version. "
        "Run the job register_in_catalog.",
    )


@pytest.mark.parametrize(
    ("part", "value", "named"),
    [
        ("Columns", [{"Name": "x", "Type": "double"}], "Columns"),
        ("Location", "s3://elsewhere/", "Location"),
        ("InputFormat", "org.apache.hadoop.mapred.TextInputFormat", "InputFormat"),
    ],
)
def test__registered__changed_in_the_catalog(
    catalogued: Catalogued, part: str, value: Any, named: str
) -> None:
    catalogued.write(TABLE, None)
    catalogued.register(TABLE)
    told = _told(catalogued)
    told["StorageDescriptor"][part] = value
    _tell(catalogued, told)

    _assert_fails(
        check(catalogued),
        f"Glue's {_name(catalogued)} differs from the lakehouse in {named}. "
        "Run the job register_in_catalog.",
    )


def test__registered__made_by_another(catalogued: Catalogued) -> None:
    catalogued.write(TABLE, None)
    catalogued.register(TABLE)
    told = _told(catalogued)
    del told["Parameters"]["created_by"]
    _tell(catalogued, told)

    _assert_fails(
        check(catalogued),
        f"Glue's {_name(catalogued)} differs from the lakehouse in created_by. "
        "Run the job register_in_catalog.",
    )


@pytest.mark.parametrize(
    ("columns", "named"),
    [
        ({**COLUMNS, "speed": "double"}, "speed"),
        ({**COLUMNS, "x": "bigint"}, "x"),
        ({name: kind for name, kind in COLUMNS.items() if name != "serialNumber"}, "seri"),
    ],
    ids=["more", "another type", "fewer"],
)
def test__registered__table_has_other_columns_than_declared(
    catalogued: Catalogued, columns: dict[str, str], named: str
) -> None:
    schema = pa.schema([(name, ARROW[kind]) for name, kind in columns.items()])
    write_deltalake(catalogued.uri_of(TABLE), schema.empty_table())
    catalogued.register(TABLE)

    result = check(catalogued)

    assert not result.passed
    assert str(result.description).startswith(
        f"Glue's {_name(catalogued)} has other columns than the Delta table: {named}"
    )


def _assert_fails(result: AssetCheckResult, description: str) -> None:
    assert not result.passed
    assert result.description == description


def _name(lakehouse: Catalogued) -> str:
    assert lakehouse.catalog is not None
    return lakehouse.catalog.name_of(TABLE)


def _told(lakehouse: Catalogued) -> dict[str, Any]:
    assert lakehouse.catalog is not None
    found = lakehouse.catalog.find(TABLE)
    assert found is not None
    parts = "Name Description TableType PartitionKeys Parameters StorageDescriptor"
    return {part: found[part] for part in parts.split()}


def _tell(lakehouse: Catalogued, told: dict[str, Any]) -> None:
    assert lakehouse.catalog is not None
    aws_settings.found().client("glue").update_table(
        DatabaseName=lakehouse.catalog.database, TableInput=told
    )
