"""A table's declaration as a data contract of the Open Data Contract Standard (ODCS) 3.1."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dagster._core.definitions.freshness import TimeWindowFreshnessPolicy
from open_data_contract_standard.model import OpenDataContractStandard as Contract

from stedi_assets.catalog.ddl import DATABASE, LAKEHOUSE
from stedi_assets.orchestration import schedules
from stedi_assets.orchestration.checks import landed, volume
from stedi_assets.orchestration.table_assets import FRESHNESS
from stedi_assets.tables import TABLES, Column, Table, Zone
from stedi_assets.tables.checks import CONSENT, checks_of
from stedi_assets.tables.columns import PERSONAL_DATA
from stedi_assets.tables.schema import Check

API_VERSION = "v3.1.0"
GENERATED = "# Generated from the declarations by `make generate`. See docs/CONTRACTS.md.\n"
PERSONAL, INTERNAL = "restricted", "internal"
USE = "Research and the training of models, within the consent of the people it is about."
LEAVES = (
    "The next run removes people who have withdrawn, and old versions are deleted: read the "
    "current version each time, and keep no copy."
)
NO_USE = "Operating the lakehouse. Not for research or training: its people may not have consented."
NAMES_NO_ONE = "It names no one: do not link its rows to people."


def contract_of(table: Table) -> Contract:
    """The contract of a table: its columns, keys, references, checks, terms, places and SLA."""
    return Contract.model_validate(
        {
            "apiVersion": API_VERSION,
            "kind": "DataContract",
            "id": f"urn:stedi:{table.name}",
            "name": table.name,
            "version": table.version,
            "status": "draft" if table.version.startswith("0.") else "active",
            "domain": "stedi",
            "dataProduct": "stedi_lakehouse",
            "tags": [table.zone.value, *([PERSONAL_DATA] if table.personal else [])],
            "description": _terms(table),
            "team": {"name": table.owner.removeprefix("team:")},
            "schema": [
                {
                    "id": table.name,
                    "name": table.name,
                    "physicalName": table.name,
                    "physicalType": "JSON lines" if table.zone is Zone.LANDING else "Delta table",
                    "logicalType": "object",
                    "description": table.description,
                    "properties": [_property(table, column) for column in table.columns],
                    "quality": [_quality(check) for check in _checks(table)] or None,
                }
            ],
            "servers": list(_servers(table)),
            "slaProperties": list(_service_levels()),
            "customProperties": [
                {"property": "consent", "value": "required" if table.rule else "not judged"}
            ],
        }
    )


def write(folder: Path) -> None:
    """Writes `<table>.yaml` for each table into a folder; those of other tables stay."""
    folder.mkdir(parents=True, exist_ok=True)
    for table in TABLES.values():
        text = GENERATED + contract_of(table).to_yaml()
        (folder / f"{table.name}.yaml").write_text(text, encoding="utf-8")


def _terms(table: Table) -> dict[str, Any]:
    if not table.rule:
        return {"purpose": table.description, "usage": NO_USE}
    limits = [CONSENT.description, LEAVES, *([NAMES_NO_ONE] if table.anonymous else [])]
    return {"purpose": table.description, "usage": USE, "limitations": " ".join(limits)}


def _property(table: Table, column: Column) -> dict[str, Any]:
    bounds = {"minimum": column.minimum, "maximum": column.maximum}
    is_key = column.name in table.key
    refers = table.references.get(column.name)
    return {
        "id": column.name,
        "name": column.name,
        "logicalType": column.type.logical,
        "logicalTypeOptions": {k: v for k, v in bounds.items() if v is not None} or None,
        "physicalType": column.type.value,
        "description": column.description,
        "required": column.required,
        "primaryKey": is_key or None,
        "primaryKeyPosition": table.key.index(column.name) + 1 if is_key else None,
        "unique": (table.key == (column.name,)) or None,
        "classification": PERSONAL if column.personal else INTERNAL,
        "tags": [PERSONAL_DATA] if column.personal else None,
        # What is in another file is named by ids alone.
        "relationships": [{"to": "{0}.yaml#schema/{0}/properties/{1}".format(*refers)}]
        if refers
        else None,
    }


def _checks(table: Table) -> tuple[Check, ...]:
    if table.zone is Zone.LANDING:
        return landed.CHECKS
    return (volume.VOLUME, *checks_of(table)) if table.rule else ()


def _quality(check: Check) -> dict[str, Any]:
    return {
        "name": check.name,
        "description": check.description,
        "type": "custom",
        "engine": "dagster",
        "implementation": check.name,
        "severity": "warning" if check.warns else "error",
        "businessImpact": "What follows waits until it passes." if check.blocking else None,
    }


def _servers(table: Table) -> Iterator[dict[str, Any]]:
    """Where it may be, with what the reader fills in as in the DDL."""
    landing = table.zone is Zone.LANDING
    kind = {"format": "json"} if landing else {"format": "delta"}
    lines = {"delimiter": "new_line"} if landing else {}
    place = {"location": f"s3://${{bucket}}/${{prefix}}/{table.location}/", **kind}
    yield {"server": "local", "type": "local", "path": f"{LAKEHOUSE}/{table.location}/", **kind}
    yield {"server": "s3", "type": "s3", **place, **lines}
    yield {
        "server": "glue",
        "type": "glue",
        "account": "${account}",
        "database": DATABASE,
        **place,
    }
    athena = {"schema": DATABASE, "catalog": "awsdatacatalog", "stagingDir": "s3://${results}/"}
    yield {"server": "athena", "type": "athena", **athena}


def _service_levels() -> Iterator[dict[str, Any]]:
    assert isinstance(FRESHNESS, TimeWindowFreshnessPolicy)
    warns, fails = FRESHNESS.warn_window, FRESHNESS.fail_window
    assert warns is not None
    schedule = {"scheduler": "cron", "schedule": schedules.daily.cron_schedule}
    yield {"property": "frequency", "value": 1, "unit": "d", "description": "UTC", **schedule}
    yield {
        "property": "freshness",
        "value": _hours(fails),
        "unit": "h",
        "description": f"Older fails; older than {_hours(warns)} h warns.",
    }


def _hours(window: Any) -> int:
    return int(window.to_timedelta().total_seconds()) // 3600
