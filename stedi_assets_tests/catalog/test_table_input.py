"""The Glue table input, against Glue's own rules, which moto does not enforce."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import botocore.session
import pytest

from stedi_assets.catalog.table_input import RECORD_COUNT, VERSION, differences, table_input
from stedi_assets.tables import TABLES, Table

TABLE_INPUT = (
    botocore.session.get_session()
    .get_service_model("glue")
    .operation_model("CreateTable")
    .input_shape.members["TableInput"]
)
# A bucket's name and a key at their longest, as far as the engine can address them.
LONGEST_URI = f"s3://{'b' * 63}/{'p' * 900}"


@pytest.mark.parametrize("table", TABLES.values(), ids=lambda table: table.name)
def test__table_input__within_the_limits_of_glue(table: Table) -> None:
    wanted = table_input(
        table, f"{LONGEST_URI}/{table.location}", {RECORD_COUNT: "9" * 19, VERSION: "f" * 64}
    )

    texts = list(_texts(TABLE_INPUT, wanted))

    limited = [text for text in texts if "max" in text[0].metadata]
    assert len(limited) > 4 * len(table.columns)
    for shape, text in limited:
        assert len(text.encode()) <= shape.metadata["max"], (shape.name, text)
        assert "\n" not in text
    for name in [
        wanted["Name"],
        *(each["Name"] for each in wanted["StorageDescriptor"]["Columns"]),
    ]:
        assert re.fullmatch(r"[a-z0-9_]+", name)


def test__table_input__limits_are_seen() -> None:
    [(shape, text)] = _texts(TABLE_INPUT, {"Description": "a" * 2049})
    assert len(text) > shape.metadata["max"]


def _texts(shape: Any, value: Any) -> Iterator[tuple[Any, str]]:
    """Every text in a request, with the shape that limits it."""
    if shape.type_name == "structure":
        for name, each in value.items():
            yield from _texts(shape.members[name], each)
    elif shape.type_name == "list":
        for each in value:
            yield from _texts(shape.member, each)
    elif shape.type_name == "map":
        for name, each in value.items():
            yield shape.key, name
            yield shape.value, each
    elif shape.type_name == "string":
        yield shape, value


WANTED = {"Description": "a", "PartitionKeys": [], "Parameters": {"a": "1", "b": "2"}}


@pytest.mark.parametrize(
    ("found", "differing"),
    [
        (WANTED, []),
        ({**WANTED, "VersionId": "3", "Parameters": {"a": "1", "b": "2", "c": "3"}}, []),
        ({"Description": "a", "Parameters": {"a": "1", "b": "2"}}, []),
        ({**WANTED, "Parameters": {"b": "3"}}, ["a", "b"]),
        ({**WANTED, "Description": "b"}, ["Description"]),
        ({**WANTED, "PartitionKeys": [{"Name": "day"}]}, ["PartitionKeys"]),
        ({}, ["Description", "a", "b"]),
    ],
    ids=["equal", "more", "nothing for empty", "parameters", "text", "list", "nothing"],
)
def test__differences__are_named(found: dict, differing: list[str]) -> None:
    assert differences(WANTED, found) == differing
