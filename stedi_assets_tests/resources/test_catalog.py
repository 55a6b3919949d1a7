"""The catalog on a moto server: what it holds after each way a table can come to it."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from stedi_assets.catalog.glue import ATTEMPTS, GlueCatalog
from stedi_assets.catalog.table_input import JSON_LINES
from stedi_assets.errors import Code, LakehouseError
from stedi_assets.storage import aws_settings
from stedi_assets.tables import Column, Table, Zone
from stedi_assets.tables.columns import ColumnType
from stedi_assets_tests import aws_answers
from stedi_assets_tests.faults import raises
from stedi_assets_tests.resources.conftest import FIRST, TABLE, URI

LANDING = dataclasses.replace(TABLE, zone=Zone.LANDING)
WIDER = dataclasses.replace(
    TABLE, columns=(*TABLE.columns, Column("x", ColumnType.DOUBLE, "How far"))
)
SECOND = {"recordCount": "5", "version": "1"}


@pytest.fixture
def glue(glue_database: str) -> Any:
    """A client beside the catalog's own, which has none of the hooks that a test sets."""
    return aws_settings.found().client("glue")


def test__register__table_is_new(catalog: GlueCatalog) -> None:
    catalog.register(TABLE, URI, FIRST)

    found = catalog.find(TABLE)
    assert found is not None
    assert found["Description"] == "A reading of a phone."
    assert found["TableType"] == "EXTERNAL_TABLE"
    assert found["Parameters"] == {
        "EXTERNAL": "TRUE",
        "created_by": "stedi_assets",
        "personal_data": "true",
        "table_type": "DELTA",
        "recordCount": "3",
        "version": "0",
    }
    assert found["StorageDescriptor"]["Location"] == f"{URI}/"
    assert found["StorageDescriptor"]["Columns"] == [
        {
            "Name": "useremail",
            "Type": "string",
            "Comment": "Who moved",
            "Parameters": {"personal_data": "true"},
        },
        {
            "Name": "movedat",
            "Type": "bigint",
            "Comment": "When",
            "Parameters": {"personal_data": "false"},
        },
    ]


def test__register__landing_is_json(catalog: GlueCatalog) -> None:
    catalog.register(LANDING, URI, FIRST)

    found = catalog.find(LANDING)
    assert found is not None
    assert found["Parameters"]["classification"] == "json"
    assert "table_type" not in found["Parameters"]
    assert {name: found["StorageDescriptor"][name] for name in JSON_LINES} == JSON_LINES


def test__register__nothing_changed(catalog: GlueCatalog) -> None:
    updates = aws_answers.requests("glue.UpdateTable")
    catalog.register(TABLE, URI, FIRST)

    catalog.register(TABLE, URI, FIRST)

    assert updates == []


def test__register__only_the_figures_changed(catalog: GlueCatalog) -> None:
    updates = aws_answers.requests("glue.UpdateTable")
    catalog.register(TABLE, URI, FIRST)

    catalog.register(TABLE, URI, SECOND)

    [update] = updates
    assert (update["SkipArchive"], update["VersionId"]) == (True, "1")
    found = catalog.find(TABLE)
    assert found is not None
    assert found["Parameters"].items() >= SECOND.items()


@pytest.mark.parametrize(
    ("table", "uri"),
    [
        (WIDER, URI),
        (dataclasses.replace(TABLE, columns=TABLE.columns[:1]), URI),
        (dataclasses.replace(TABLE, description="Another meaning."), URI),
        (TABLE, "s3://elsewhere/phone/trusted"),
    ],
    ids=["column added", "column dropped", "description", "location"],
)
def test__register__table_evolved(catalog: GlueCatalog, glue: Any, table: Table, uri: str) -> None:
    updates = aws_answers.requests("glue.UpdateTable")
    catalog.register(TABLE, URI, FIRST)
    before = catalog.find(TABLE)

    catalog.register(table, uri, SECOND)

    [update] = updates
    assert update["SkipArchive"] is False
    after = catalog.find(table)
    assert after is not None and before is not None
    told = [each["Name"] for each in after["StorageDescriptor"]["Columns"]]
    assert told == [name.lower() for name in table.column_names]
    assert after["StorageDescriptor"]["Location"] == f"{uri}/"
    assert after["Description"] == table.description
    kept = glue.get_table_version(
        DatabaseName=catalog.database, TableName=TABLE.name, VersionId="1"
    )["TableVersion"]["Table"]
    assert kept["StorageDescriptor"] == before["StorageDescriptor"]


def test__register__keeps_what_others_noted(catalog: GlueCatalog, glue: Any) -> None:
    catalog.register(TABLE, URI, FIRST)
    _note(glue, catalog, {"owner_of_data": "research"})

    catalog.register(TABLE, URI, SECOND)

    found = catalog.find(TABLE)
    assert found is not None
    assert found["Parameters"]["owner_of_data"] == "research"
    assert found["Parameters"]["recordCount"] == "5"


@pytest.mark.parametrize("parameters", [None, {}, {"created_by": "someone"}])
def test__register__table_of_another_is_left_alone(
    catalog: GlueCatalog, glue: Any, parameters: dict[str, str] | None
) -> None:
    theirs: dict[str, Any] = {"Name": TABLE.name, "Description": "Theirs."}
    theirs |= {} if parameters is None else {"Parameters": parameters}
    glue.create_table(DatabaseName=catalog.database, TableInput=theirs)
    before = catalog.find(TABLE)

    with raises(Code.FOREIGN_TABLE) as raised:
        catalog.register(TABLE, URI, FIRST)

    assert catalog.find(TABLE) == before
    assert f"{catalog.database}.phone_trusted" in str(raised.value)


def test__register__deleted_table_is_made_again(catalog: GlueCatalog, glue: Any) -> None:
    catalog.register(TABLE, URI, FIRST)
    glue.delete_table(DatabaseName=catalog.database, Name=TABLE.name)
    assert catalog.find(TABLE) is None

    catalog.register(TABLE, URI, SECOND)

    found = catalog.find(TABLE)
    assert found is not None
    assert found["Parameters"]["version"] == "1"


def test__register__another_run_made_it_meanwhile(catalog: GlueCatalog, glue: Any) -> None:
    other = GlueCatalog(database=catalog.database)
    other.find(TABLE)  # its client comes to be before the hook
    aws_answers.first("glue.CreateTable", lambda: other.register(TABLE, URI, FIRST))

    catalog.register(WIDER, URI, SECOND)

    found = catalog.find(TABLE)
    assert found is not None
    assert len(found["StorageDescriptor"]["Columns"]) == 3
    assert found["VersionId"] == "2"


def test__register__another_run_updated_it_meanwhile(catalog: GlueCatalog) -> None:
    GlueCatalog(database=catalog.database).register(TABLE, URI, FIRST)
    looks = aws_answers.requests("glue.GetTable")
    aws_answers.refuse("glue.UpdateTable", "ConcurrentModificationException", times=1)

    catalog.register(TABLE, URI, SECOND)

    assert len(looks) == 2
    found = catalog.find(TABLE)
    assert found is not None
    assert found["Parameters"]["version"] == "1"


def test__register__gives_up_a_race_that_does_not_end(catalog: GlueCatalog) -> None:
    GlueCatalog(database=catalog.database).register(TABLE, URI, FIRST)
    updates = aws_answers.requests("glue.UpdateTable")
    aws_answers.refuse("glue.UpdateTable", "ConcurrentModificationException", "Concurrent.")

    with pytest.raises(LakehouseError, match="ConcurrentModificationException"):
        catalog.register(TABLE, URI, SECOND)

    assert len(updates) == ATTEMPTS


def _note(glue: Any, catalog: GlueCatalog, parameters: dict[str, str]) -> None:
    found = glue.get_table(DatabaseName=catalog.database, Name=TABLE.name)["Table"]
    kept = {
        name: found[name]
        for name in ("Name", "Description", "TableType", "PartitionKeys", "StorageDescriptor")
    }
    told = {**kept, "Parameters": {**found["Parameters"], **parameters}}
    glue.update_table(DatabaseName=catalog.database, TableInput=told)
