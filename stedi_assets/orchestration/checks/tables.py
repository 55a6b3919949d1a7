"""The checks of a table that a rule makes, all that its declaration implies and its own."""

from collections.abc import Iterator

import dagster as dg
from dagster import AssetCheckResult, AssetCheckSeverity, ResourceParam

from stedi_assets.catalog.glue import GlueCatalog
from stedi_assets.catalog.registration import register
from stedi_assets.lakehouse import maintenance
from stedi_assets.lakehouse.counted import Counted
from stedi_assets.lakehouse.delta import TableState
from stedi_assets.lakehouse.lakehouse import Lakehouse
from stedi_assets.lakehouse.verified import compared, verified
from stedi_assets.orchestration import metadata
from stedi_assets.orchestration.clock import Clock
from stedi_assets.orchestration.failures import faults_fail_step
from stedi_assets.policy import NO_OPTION, Options, settings_of
from stedi_assets.pseudonyms import Pseudonyms
from stedi_assets.storage.faults import storage_faults
from stedi_assets.tables import DELTA_TABLES, Table, checks
from stedi_assets.tables.schema import Check
from stedi_assets.training import published


def table_checks(table: Table) -> dg.AssetChecksDefinition:
    """The checks of a table as Dagster runs them; a run may select some."""

    @dg.multi_asset_check(
        name=f"{table.name}_checks",
        can_subset=True,
        specs=[
            dg.AssetCheckSpec(
                check.name,
                asset=table.name,
                blocking=check.blocking,
                description=check.rule,
                additional_deps=compared(table),
            )
            for check in checks.checks_of(table)
        ],
    )
    def evaluate_checks(
        context: dg.AssetCheckExecutionContext,
        lakehouse: ResourceParam[Lakehouse],
        catalog: ResourceParam[GlueCatalog | None],
        clock: Clock,
        pseudonyms: ResourceParam[Pseudonyms],
        policy: ResourceParam[Options],
    ) -> Iterator[AssetCheckResult]:
        # A single check is asked for by hand: all are evaluated, and the others not shown.
        wanted = {key.name for key in context.selected_asset_check_keys}
        with faults_fail_step():
            for result in evaluate_in(lakehouse, table, clock.now, pseudonyms, policy):
                if result.check_name in wanted:
                    yield result
            if table.has_options:
                # Where old versions were deleted the current one has another number now.
                register(catalog, lakehouse, table)

    return evaluate_checks


def evaluate_in(
    lakehouse: Lakehouse, table: Table, now: int, pseudonyms: Pseudonyms, policy: Options
) -> Iterator[AssetCheckResult]:
    """Evaluates the checks of a table of the lakehouse.

    Once all that block have passed, versions that were made under weaker options are deleted.

    Args:
        lakehouse: Where the tables are.
        table: The table.
        now: The time by which to judge consent (epoch milliseconds, UTC).
        pseudonyms: Makes the pseudonyms.
        policy: What the settings say.
    """
    made = lakehouse.state(table)
    options = made.commit.config if made else NO_OPTION
    passed = not policy.beyond(options)
    blocking = {check.name for check in checks.checks_of(table) if check.blocking}
    with storage_faults(lakehouse.uri_of(table)):
        counted = verified(lakehouse, table, now, pseudonyms)
    yield _provenance(table, made)
    for result in results(table, counted):
        passed &= result.passed or result.check_name not in blocking
        yield result
    if table.has_options:
        deleted = maintenance.Deleted()
        if passed:
            spared = published.erase_weaker(lakehouse, table, options, now)
            deleted = lakehouse.delete_weaker_versions(table, spared)
        yield _as_strict(table, options, policy, deleted)


def results(table: Table, counted: Counted) -> Iterator[AssetCheckResult]:
    """The results of a table's checks by what they count."""
    for check in checks.checks_of(table):
        if check == checks.COUNTS:
            yield _counts(table, counted)
        elif check == checks.SCHEMA:
            wrong = list(counted.schema_faults)
            yield AssetCheckResult(
                check_name=check.name,
                passed=not wrong,
                description="; ".join(wrong) or None,
                metadata={"faults": wrong},
            )
        elif check not in (checks.POLICY, checks.PROVENANCE):
            yield _at_fault(check, counted)


def _at_fault(check: Check, counted: Counted) -> AssetCheckResult:
    count, of = counted.at_fault(check), counted.totals[check.of]
    said = f"{count:,} of {of:,} {check.of} {check.fault}" if count else ""
    figures: dict[str, float] = {"rows": counted.totals["rows"], "rows_at_fault": count}
    passed = count == 0
    if check.bound is not None:
        share, change = counted.share(check), counted.change(check)
        passed = change <= check.bound
        figures |= {"percent": round(100 * share, 1), "points_changed": round(100 * change, 1)}
        if not passed:
            before = counted.shares_before[check.name]
            said += (
                f" Their share has changed from {before:.1%} to {share:.1%}: find out why in what "
                "has landed since. The next change is compared with this one."
            )
    return AssetCheckResult(
        check_name=check.name,
        passed=passed,
        description=said.strip() or None,
        severity=AssetCheckSeverity.WARN if check.warns else AssetCheckSeverity.ERROR,
        metadata=figures,
    )


def _provenance(table: Table, made: TableState | None) -> AssetCheckResult:
    foreign = made is not None and made.foreign
    return AssetCheckResult(
        check_name=checks.PROVENANCE.name,
        passed=not foreign,
        description=(
            f"Something other than a run has written {table.name} since it was made. Find out who "
            "may, then materialise it: the next run makes all of it anew."
            if foreign
            else None
        ),
    )


def _counts(table: Table, counted: Counted) -> AssetCheckResult:
    rows, expected = counted.totals["rows"], counted.totals["expected"]
    shown = {check.name for check in checks.checks_of(table)} | {"rows", "expected", "keys"}
    further = {name: n for name, n in counted.totals.items() if name not in shown}
    return AssetCheckResult(
        check_name=checks.COUNTS.name,
        passed=rows == expected,
        description=None if rows == expected else f"{rows:,} rows, but expected {expected:,}",
        metadata={"rows": rows, "expected": expected, **further, **counted.people},
    )


def _as_strict(
    table: Table, options: Options, policy: Options, deleted: maintenance.Deleted
) -> AssetCheckResult:
    """Whether a table was made under options that are as strict as the policy."""
    lacking = policy.beyond(options)
    return AssetCheckResult(
        check_name=checks.POLICY.name,
        passed=not lacking,
        description=(
            f"{table.name} was made without {', '.join(lacking)}, which the privacy policy "
            f"requires ({settings_of(lacking)}). Materialise it again."
            if lacking
            else None
        ),
        metadata={
            metadata.POLICY: str(policy),
            metadata.OPTIONS: str(options),
            "weaker_versions_deleted": deleted.versions,
            "weaker_files_deleted": deleted.files,
        },
    )


CHECKS = [table_checks(table) for table in DELTA_TABLES]
