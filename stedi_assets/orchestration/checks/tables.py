"""The checks of a table that a rule makes, all that its declaration implies and its own."""

from collections.abc import Callable, Iterator, Sequence

import dagster as dg
from dagster import AssetCheckResult, AssetCheckSeverity, ResourceParam
from pyspark.sql import DataFrame

from stedi_assets.catalog.glue import GlueCatalog
from stedi_assets.catalog.registration import register
from stedi_assets.lakehouse import maintenance
from stedi_assets.lakehouse.commit import UNKNOWN
from stedi_assets.lakehouse.lakehouse import Lakehouse
from stedi_assets.orchestration import metadata
from stedi_assets.orchestration.clock import Clock
from stedi_assets.orchestration.failures import faults_fail_step
from stedi_assets.policy import NO_OPTION, Options, settings_of
from stedi_assets.pseudonyms import Pseudonyms
from stedi_assets.tables import DELTA_TABLES, TABLES, Table, checks, recount, subjects
from stedi_assets.tables.customer import CUSTOMER_LANDING
from stedi_assets.tables.schema import Check, Through, applied
from stedi_assets.tables.subjects import Values

Read = Callable[[str], DataFrame]


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
                description=check.description,
                additional_deps=_compared_with(table),
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
    commit = made.commit if made else UNKNOWN
    options, as_of = commit.config, commit.as_of or now
    passed = not policy.beyond(options)
    blocking = {check.name for check in checks.checks_of(table) if check.blocking}

    def read(name: str) -> DataFrame:
        return lakehouse.read(TABLES[name])

    for result in evaluate(table, read, as_of, now, options, pseudonyms):
        passed &= result.passed or result.check_name not in blocking
        yield result
    if table.has_options:
        deleted = maintenance.Deleted()
        if passed:
            deleted = lakehouse.delete_weaker_versions(table)
        yield _as_strict(table, options, policy, deleted)


def evaluate(
    table: Table,
    read: Read,
    as_of: int,
    now: int,
    options: Options = NO_OPTION,
    pseudonyms: Pseudonyms | None = None,
) -> Iterator[AssetCheckResult]:
    """Evaluates the checks of a table, but for that of the policy.

    Each lookup is a query of its own: as one they would hold all that they look up at one time.

    Args:
        table: The table.
        read: Gives a table's rows by its name.
        as_of: The time by which consent was judged when the table was made (epoch milliseconds).
        now: The time by which it is judged now: who agreed then agrees later too, unless a newer
            record says otherwise.
        options: Those that the table was made with.
        pseudonyms: Makes the pseudonyms.
    """
    frame, landed = read(table.name), read(CUSTOMER_LANDING.name)
    counted = _recounted(table, read, as_of, options)
    key = table.key if set(table.key) <= set(frame.columns) else ()
    implausible = {checks.VALUES.name: checks.implausible(table, frame)}
    [found] = checks.count(frame, key, implausible).collect()
    rows, figures = found["rows"], found.asDict()
    yield _counts(table, rows, counted)
    wrong = checks.schema_faults(table, frame)
    yield AssetCheckResult(
        check_name=checks.SCHEMA.name,
        passed=not wrong,
        description="; ".join(wrong) or None,
        metadata={"faults": wrong},
    )

    def at_fault(check: Check) -> int:
        if check == checks.CONSENT:
            return _missing(frame, _consenting(table, read, now, options, pseudonyms))
        if check == checks.REFERENCES:
            return _missing(frame, _referred_to(table, read, options, pseudonyms))
        if check == checks.NO_PERSONAL_DATA:
            if _personal_columns(frame):
                return int(rows)
            values = checks.personal_values(table, CUSTOMER_LANDING, landed)
            return int(checks.at_fault(frame, not_among=values).collect()[0][0])
        if check == checks.KEYS:
            return int(rows - figures.get("keys", 0))
        if check.count is not None:
            return int(applied(check.count, read, now, options))
        return int((figures | counted)[check.name])

    for check in checks.checks_of(table):
        if check not in (checks.COUNTS, checks.SCHEMA, checks.POLICY):
            count = at_fault(check)
            of = rows if check.of == "rows" else counted[check.of]
            yield AssetCheckResult(
                check_name=check.name,
                passed=count == 0,
                description=f"{count:,} of {of:,} {check.of} {check.fault}" if count else None,
                severity=AssetCheckSeverity.WARN if check.warns else AssetCheckSeverity.ERROR,
                metadata={"rows": rows, "rows_at_fault": count},
            )


def _compared_with(table: Table) -> list[str]:
    """The names of the other tables that the checks of a table read."""
    names = [
        *table.parents,
        CUSTOMER_LANDING.name,
        *(target for target, _ in table.references.values()),
        *(subject.table for subject in table.subjects if isinstance(subject, Through)),
    ]
    return list(dict.fromkeys(names))


def _recounted(table: Table, read: Read, as_of: int, options: Options) -> dict[str, int]:
    if table.recount is not None:
        counted = applied(table.recount, read, as_of, options)
    else:
        taken = [*table.parents, *(target for target, _ in table.references.values())]
        counted = recount.kept_rows(table, {name: read(name) for name in taken})
    found: dict[str, int] = counted.collect()[0].asDict()
    return found


def _counts(table: Table, rows: int, counted: dict[str, int]) -> AssetCheckResult:
    expected = counted["expected"]
    own = {check.name for check in table.checks}
    further = {name: figure for name, figure in counted.items() if name not in own | {"expected"}}
    return AssetCheckResult(
        check_name=checks.COUNTS.name,
        passed=rows == expected,
        description=None if rows == expected else f"{rows:,} rows, but expected {expected:,}",
        metadata={"rows": rows, "expected": expected, **further},
    )


def _consenting(
    table: Table, read: Read, now: int, options: Options, pseudonyms: Pseudonyms | None
) -> list[Values]:
    """The values that a row's subjects have if all of them agree."""
    landed = read(CUSTOMER_LANDING.name)
    people = recount.people(landed, now).where("agrees").select("email")
    devices = recount.devices(landed, now).join(people, "email", "left_semi")
    known = subjects.known(table, people, devices, TABLES.__getitem__, read)
    return [_shown(table, values, options, pseudonyms) for values in known]


def _referred_to(
    table: Table, read: Read, options: Options, pseudonyms: Pseudonyms | None
) -> list[Values]:
    known = [
        ((column,), read(target).select(name).toDF(column))
        for column, (target, name) in table.references.items()
    ]
    return [_shown(table, values, options, pseudonyms) for values in known]


def _shown(table: Table, values: Values, options: Options, pseudonyms: Pseudonyms | None) -> Values:
    """Known values as the table shows them: by pseudonym, where the options hide them."""
    columns, known = values
    if options.pseudonymise_devices and set(columns) <= set(table.pseudonymised):
        assert pseudonyms is not None  # or the table could not have been made
        return columns, pseudonyms.of(known.toDF(*columns), columns[0])
    return values


def _missing(frame: DataFrame, known: Sequence[Values]) -> int:
    return int(checks.at_fault(frame, among=known).collect()[0][0])


def _personal_columns(frame: DataFrame) -> list[str]:
    """The columns that some table declares as personal data."""
    personal = {c.name for table in TABLES.values() for c in table.columns if c.personal}
    return [name for name in frame.columns if name in personal]


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
