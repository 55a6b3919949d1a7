"""A contract says what the declaration says, and those that are committed are current."""

from __future__ import annotations

from pathlib import Path

import pytest

from stedi_assets.contract import committed, odcs
from stedi_assets.contract.breaking import RETIRED
from stedi_assets.tables import TABLES, Table, Zone
from stedi_assets.tables.checks import checks_of
from stedi_assets_tests.conftest import PROJECT

CONTRACTS = PROJECT / "contracts"


def test__contracts__committed_files_are_current(tmp_path: Path) -> None:
    odcs.write(tmp_path)
    written = {path.name: path.read_text() for path in tmp_path.iterdir()}
    retired = {
        f"{each.name}.yaml"
        for each in committed.in_folder(CONTRACTS)
        if each.status == RETIRED and each.name not in TABLES
    }
    found = {path.name: path.read_text() for path in CONTRACTS.iterdir()}

    assert {name: text for name, text in found.items() if name not in retired} == written, (
        "run `make generate`"
    )


@pytest.mark.parametrize("table", TABLES.values(), ids=list(TABLES))
def test__contract__has_the_columns_as_declared(table: Table) -> None:
    [schema] = odcs.contract_of(table).schema_ or []
    columns = schema.properties or []

    assert [(each.name, each.physicalType, each.required) for each in columns] == [
        (each.name, each.type, each.required) for each in table.columns
    ]
    assert {each.name for each in columns if each.classification == odcs.PERSONAL} == {
        each.name for each in table.columns if each.personal
    }
    keys = sorted((each.primaryKeyPosition, each.name) for each in columns if each.primaryKey)
    assert tuple(name for _, name in keys) == table.key
    assert {each.name: [r.to for r in each.relationships or []] for each in columns} == {
        name: [f"{table.references[name][0]}.yaml#schema/{'/properties/'.join(to)}"]
        if (to := table.references.get(name))
        else []
        for name in table.column_names
    }


@pytest.mark.parametrize("table", TABLES.values(), ids=list(TABLES))
def test__contract__has_the_checks_and_the_consent_rule(table: Table) -> None:
    contract = odcs.contract_of(table)
    [schema] = contract.schema_ or []
    quality = {each.name: each for each in schema.quality or []}
    [consent] = contract.customProperties or []

    if table.rule:
        assert list(quality) == ["volume", *(each.name for each in checks_of(table))]
        assert {name for name, each in quality.items() if each.severity == "warning"} == {
            each.name for each in checks_of(table) if each.warns
        }
    else:
        assert bool(quality) == (table.zone is Zone.LANDING)
    assert consent.value == ("required" if table.rule else "not judged")


def test__contract__has_places_and_freshness() -> None:
    contract = odcs.contract_of(TABLES["customer_trusted"])

    assert [each.type for each in contract.servers or []] == ["local", "s3", "glue", "athena"]
    assert {each.property: (each.value, each.unit) for each in contract.slaProperties or []} == {
        "frequency": (1, "d"),
        "freshness": (50, "h"),
    }
