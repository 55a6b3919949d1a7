"""Turns a table's declaration into a `TableInput` of the Glue Data Catalog."""

from __future__ import annotations

from typing import Any

from stedi_assets.tables import Column, Table, Zone
from stedi_assets.tables.columns import PERSONAL_DATA

# By this parameter the project knows the catalog's tables that it made itself.
CREATED_BY = "created_by"
PROJECT = "stedi_assets"

# The rows, by the name that Glue's crawlers give them, and what the table was made of.
RECORD_COUNT = "recordCount"
VERSION = "version"
CHANGES_WITH_EVERY_WRITE = {RECORD_COUNT, VERSION}

JSON_LINES = {
    "InputFormat": "org.apache.hadoop.mapred.TextInputFormat",
    "OutputFormat": "org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat",
    "SerdeInfo": {
        "SerializationLibrary": "org.openx.data.jsonserde.JsonSerDe",
        "Parameters": {"ignore.malformed.json": "true"},
    },
}

# As the Glue crawler registers a native Delta table: readers take schema and files from its log.
DELTA = {
    "InputFormat": "org.apache.hadoop.mapred.SequenceFileInputFormat",
    "OutputFormat": "org.apache.hadoop.hive.ql.io.HiveSequenceFileOutputFormat",
    "SerdeInfo": {
        "SerializationLibrary": "org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe",
        "Parameters": {"serialization.format": "1"},
    },
}


def table_input(table: Table, uri: str, parameters: dict[str, str]) -> dict[str, Any]:
    """A table as Glue's `CreateTable` and `UpdateTable` take it.

    Args:
        table: The declaration.
        uri: Where the table is.
        parameters: Further parameters of the catalog's table.

    Returns:
        A `TableInput` that Athena engine version 3 reads: a landing folder as JSON lines, every
        other table as Delta.
    """
    landing = table.zone is Zone.LANDING
    kind = {"classification": "json"} if landing else {"table_type": "DELTA"}
    return {
        "Name": table.name,
        "Description": table.description,
        "TableType": "EXTERNAL_TABLE",
        "PartitionKeys": [],
        "Parameters": {
            "EXTERNAL": "TRUE",
            CREATED_BY: PROJECT,
            PERSONAL_DATA: str(table.personal).lower(),
            **kind,
            **parameters,
        },
        "StorageDescriptor": {
            "Columns": [_column(column) for column in table.columns],
            "Location": f"{uri}/",
            **(JSON_LINES if landing else DELTA),
        },
    }


def differences(wanted: Any, found: Any, name: str = "") -> list[str]:
    """The names of what the catalog has otherwise than wanted.

    Args:
        wanted: A `TableInput`, or a part of it.
        found: The same as Glue returns it; what it has beyond `wanted` does not count.
        name: The name of that part.
    """
    if isinstance(wanted, dict):
        known = found or {}
        return [
            differing
            for key, value in wanted.items()
            for differing in differences(value, known.get(key), key)
        ]
    return [] if wanted == found or not (wanted or found) else [name]


def _column(column: Column) -> dict[str, Any]:
    return {
        # Athena's own DDL stores lower case; it matches a file's names in any case.
        "Name": column.name.lower(),
        "Type": column.type,
        "Comment": column.description,
        "Parameters": {PERSONAL_DATA: str(column.personal).lower()},
    }
