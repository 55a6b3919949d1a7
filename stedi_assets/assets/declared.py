"""Turns a table's declaration into the definition of an asset."""

from __future__ import annotations

import hashlib
import inspect
import warnings
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import dagster as dg

from stedi_assets import consent
from stedi_assets.lakehouse import describe
from stedi_assets.tables import TABLES, Table, Zone

OWNERS = {Zone.LANDING: "team:ingest", Zone.QUARANTINE: "team:ingest"}
DATA_TEAM = "team:data-engineering"
# The daily schedule makes every table: a table warns when a run of it is missing, and fails when
# two are.
FRESHNESS = dg.FreshnessPolicy.time_window(
    fail_window=timedelta(hours=50), warn_window=timedelta(hours=26)
)
# What a failed blocking check keeps from being made in a run must not be made after it either.
FLOWS_ON = dg.AutomationCondition.eager() & dg.AutomationCondition.all_deps_blocking_checks_passed()


def owner(table: Table) -> str:
    """The team that answers for a table."""
    return OWNERS.get(table.zone, DATA_TEAM)


def definition(
    table: Table, *, kinds: set[str], lineage: dg.TableColumnLineage, rule: str = ""
) -> dict[str, Any]:
    """What Dagster is told of a table's asset, apart from how it is computed.

    Args:
        table: The declaration.
        kinds: The technologies to show in the UI.
        lineage: For each column what it is taken from.
        rule: How rows come to be in it.
    """
    zone = Zone.LANDING if table.zone is Zone.QUARANTINE else table.zone
    return {
        "group_name": zone.value,
        "kinds": kinds,
        "owners": [owner(table)],
        "tags": {
            describe.PERSONAL_DATA: "true" if table.personal else "false",
            "source": table.source,
        },
        "description": f"{table.description}\n\n{rule}".strip(),
        "metadata": describe.definition(table, lineage),
        "freshness_policy": FRESHNESS,
    }


def table_asset(table: Table) -> Callable[[Callable[..., Any]], dg.AssetsDefinition]:
    """Declares a function of frames as the asset of a table.

    The code version is a digest of the rule's source, of who consents and of the columns, so that
    Dagster shows the table as stale when any of them changes.
    """

    def decorate(rule: Callable[..., Any]) -> dg.AssetsDefinition:
        source = inspect.getsource(rule) + inspect.getsource(consent) + repr(table.columns)
        parents = [TABLES[name] for name in inspect.signature(rule).parameters if name in TABLES]
        asset: dg.AssetsDefinition = dg.asset(
            name=table.name,
            code_version=hashlib.sha256(source.encode()).hexdigest()[:12],
            automation_condition=FLOWS_ON,
            **definition(
                table,
                kinds={"spark", "deltalake"},
                lineage=describe.lineage(table, parents),
                rule=inspect.getdoc(rule) or "",
            ),
        )(rule)
        return asset

    return decorate


def with_code_references(assets: Sequence[Any]) -> list[Any]:
    """The assets, each with the file and line of its own function."""
    with warnings.catch_warnings():
        # The references are beta in Dagster: without them its pages lack a link, no more.
        warnings.simplefilter("ignore", dg.BetaWarning)
        return list(dg.with_source_code_references(assets))
