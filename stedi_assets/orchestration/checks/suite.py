"""Turns a function of frames into the definition of a table's checks."""

import functools
import inspect
from collections.abc import Callable, Iterator
from typing import Any

import dagster as dg
from dagster import AssetCheckResult

from stedi_assets import tables
from stedi_assets.orchestration.checks import consenting as consent
from stedi_assets.orchestration.checks import counts, quality
from stedi_assets.orchestration.failures import faults_fail_step
from stedi_assets.tables import Table

POLICY = "policy"
BLOCKING = {consent.CONSENT, counts.COUNTS, POLICY}
# What holds where a check passes, and what is wrong with the rows that it finds where it fails.
DESCRIPTIONS = {
    **consent.DESCRIPTIONS,
    **counts.DESCRIPTIONS,
    **quality.DESCRIPTIONS,
    POLICY: "The table was made under options that are at least as strict as the privacy policy.",
}
FAULTS = {**consent.FAULTS, **counts.FAULTS, **quality.FAULTS}


def suite(table: Table, *further: str) -> Callable[[Callable[..., Any]], dg.AssetChecksDefinition]:
    """Declares a function of frames as the checks of a table, of which a run may select some.

    Args:
        table: The table; its declaration says which structural checks it has.
        further: Names of the checks that only this table has.
    """
    names = [consent.CONSENT, counts.COUNTS, quality.SCHEMA, quality.VALUES]
    names += [quality.KEYS] if table.key else []
    names += [quality.REFERENCES] if table.references else []

    def decorate(rules: Callable[..., Any]) -> dg.AssetChecksDefinition:
        inputs = [name for name in inspect.signature(rules).parameters if name in tables.TABLES]

        def selected(
            context: dg.AssetCheckExecutionContext, **given: Any
        ) -> Iterator[AssetCheckResult]:
            # A single check is asked for by hand: its suite is evaluated, and the rest not told.
            wanted = {key.name for key in context.selected_asset_check_keys}
            with faults_fail_step():
                yield from (result for result in rules(**given) if result.check_name in wanted)

        # What Dagster injects by name and annotation.
        context = inspect.signature(selected).parameters["context"]
        taken = inspect.signature(rules)
        checks: Any = functools.update_wrapper(selected, rules)
        checks.__signature__ = taken.replace(parameters=[context, *taken.parameters.values()])
        return dg.multi_asset_check(
            name=f"{table.name}_checks",
            can_subset=True,
            specs=[
                dg.AssetCheckSpec(
                    name,
                    asset=table.name,
                    blocking=name in BLOCKING,
                    description=DESCRIPTIONS[name],
                    additional_deps=[other for other in inputs if other != table.name],
                )
                for name in (*names, *further)
            ],
        )(checks)

    return decorate
