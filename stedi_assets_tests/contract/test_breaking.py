"""Which changes of a declaration break its readers, and which versions announce it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from open_data_contract_standard.model import OpenDataContractStandard as Contract

from stedi_assets.contract.breaking import RETIRED, breaking_changes
from stedi_assets.contract.odcs import contract_of
from stedi_assets.tables import Column, Table
from stedi_assets.tables.columns import ColumnType
from stedi_assets.tables.step_trainer import STEP_TRAINER_TRUSTED as TABLE

FIRST, SECOND, *REST = TABLE.columns


def first(**changed: Any) -> dict[str, Any]:
    return {"columns": (replace(FIRST, **changed), SECOND, *REST)}


NEW = Column("firmware", ColumnType.STRING, "Version of the firmware", required=False)
INT = replace(TABLE, columns=(replace(FIRST, type=ColumnType.INT), SECOND, *REST))
BREAKING = {
    "column removed": {"columns": (FIRST, SECOND), "references": {}},
    "column renamed": first(name="readAt") | {"time_column": None, "key": ()},
    "type changed": first(type=ColumnType.STRING),
    "type narrowed": first(type=ColumnType.INT),
    "value no longer required": first(required=False),
    "classification": first(personal=True),
    "key": {"key": (FIRST.name,)},
}
COMPATIBLE: dict[str, dict[str, Any]] = {
    "nothing": {},
    "column added": {"columns": (*TABLE.columns, NEW)},
    "columns in another order": {"columns": TABLE.columns[::-1]},
    "description": {"description": "Other words."},
    "bounds": first(minimum=0),
}


def compared(old: Table, new: Table) -> list[str]:
    return breaking_changes([contract_of(old)], {new.name: contract_of(new)})


@pytest.mark.parametrize("change", BREAKING)
def test__breaking_change__without_a_higher_major_version(change: str) -> None:
    new = replace(TABLE, **BREAKING[change])

    [found] = compared(TABLE, new)[:1]
    assert found.startswith(f"{TABLE.name}: ")
    assert compared(TABLE, replace(new, version="1.9.9")) == compared(TABLE, new)


@pytest.mark.parametrize("change", BREAKING)
def test__breaking_change__of_a_higher_major_version(change: str) -> None:
    assert compared(TABLE, replace(TABLE, **BREAKING[change], version="2.0.0")) == []


@pytest.mark.parametrize("change", COMPATIBLE)
def test__compatible_change(change: str) -> None:
    assert compared(TABLE, replace(TABLE, **COMPATIBLE[change])) == []


def test__wider_type__is_compatible() -> None:
    assert compared(INT, TABLE) == []


def test__value_that_becomes_required__breaks_writers() -> None:
    optional = replace(TABLE, **first(required=False))
    assert compared(optional, TABLE) == [f"{TABLE.name}: {FIRST.name} became required"]


def test__draft__may_change() -> None:
    draft = replace(TABLE, version="0.3.0")
    assert compared(draft, replace(TABLE, version="0.3.0", **first(required=False))) == []


def test__removed_table() -> None:
    old = contract_of(TABLE)
    retired = old.model_copy(update={"status": RETIRED})
    announced = retired.model_copy(update={"version": "2.0.0"})
    removed = [f"{TABLE.name}: the table was removed"]

    def now(contract: Contract) -> dict[str, Contract]:
        return {TABLE.name: contract}

    assert breaking_changes([old], {}) == removed
    assert breaking_changes([old], now(retired)) == removed
    assert breaking_changes([old], now(announced)) == []
    assert breaking_changes([announced], {}) == []


def test__each_contract_that_was_given__counts() -> None:
    wider = replace(TABLE, columns=(*TABLE.columns, NEW))
    given = [contract_of(TABLE), contract_of(wider), contract_of(wider)]

    assert breaking_changes(given, {TABLE.name: contract_of(TABLE)}) == [
        f"{TABLE.name}: column {NEW.name} was removed"
    ]
