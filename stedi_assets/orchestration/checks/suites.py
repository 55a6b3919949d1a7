"""One suite of checks a table, whose rules look at its rows together."""

from collections.abc import Iterator, Mapping, Sequence

from dagster import AssetCheckResult, AssetCheckSeverity, ResourceParam
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from stedi_assets import tables
from stedi_assets.catalog.glue import GlueCatalog
from stedi_assets.catalog.registration import register
from stedi_assets.lakehouse import maintenance as upkeep
from stedi_assets.lakehouse.lakehouse import Lakehouse
from stedi_assets.orchestration import metadata as describe
from stedi_assets.orchestration.checks import (
    consenting as consent,
)
from stedi_assets.orchestration.checks import (
    counts,
    lookalikes,
    quality,
)
from stedi_assets.orchestration.checks.suite import BLOCKING, FAULTS, POLICY, suite
from stedi_assets.orchestration.clock import Clock
from stedi_assets.pseudonyms import Pseudonyms
from stedi_assets.tables import Table
from stedi_assets.tables.policy import Options, settings_of

WARNINGS = {consent.SHARED_DEVICES, *counts.COUNTED_ALONG}


@suite(tables.CUSTOMER_TRUSTED, counts.IMPOSSIBLE_CONSENT, counts.NEAR_DUPLICATES)
def customer_trusted_checks(
    lakehouse: ResourceParam[Lakehouse],
    clock: Clock,
    customer_trusted: DataFrame,
    customer_landing: DataFrame,
) -> Iterator[AssetCheckResult]:
    """Consent by e-mail; as many rows as people who consent have devices."""
    people = consent.consenting(customer_landing).select("email")
    made = lakehouse.state(tables.CUSTOMER_TRUSTED)
    as_of = made.commit.get("as_of") if made else None
    recount = counts.customer_trusted(customer_landing, as_of or clock.now)
    alike = F.lit(lookalikes.count(customer_landing))
    yield from _evaluate(
        tables.CUSTOMER_TRUSTED,
        customer_trusted,
        recount.withColumn(counts.NEAR_DUPLICATES, alike),
        among={consent.CONSENT: [(["email"], people)]},
    )


@suite(tables.ACCELEROMETER_TRUSTED)
def accelerometer_trusted_checks(
    lakehouse: ResourceParam[Lakehouse],
    accelerometer_trusted: DataFrame,
    accelerometer_landing: DataFrame,
    customer_trusted: DataFrame,
    customer_landing: DataFrame,
) -> Iterator[AssetCheckResult]:
    """Consent by the user's e-mail; as many rows as trusted customers' readings landed."""
    people = consent.consenting(customer_landing).select("email")
    yield from _evaluate(
        tables.ACCELEROMETER_TRUSTED,
        accelerometer_trusted,
        counts.accelerometer_trusted(accelerometer_landing, customer_trusted),
        among={
            consent.CONSENT: [(["user"], people)],
            quality.REFERENCES: [(["user"], customer_trusted.select("email"))],
        },
    )


@suite(tables.CUSTOMER_CURATED)
def customer_curated_checks(
    lakehouse: ResourceParam[Lakehouse],
    customer_curated: DataFrame,
    customer_trusted: DataFrame,
    accelerometer_trusted: DataFrame,
    customer_landing: DataFrame,
) -> Iterator[AssetCheckResult]:
    """Consent by e-mail; as many rows as trusted customers have readings."""
    people = consent.consenting(customer_landing).select("email")
    yield from _evaluate(
        tables.CUSTOMER_CURATED,
        customer_curated,
        counts.customer_curated(customer_trusted, accelerometer_trusted),
        among={
            consent.CONSENT: [(["email"], people)],
            quality.REFERENCES: [(["email"], accelerometer_trusted.select("user"))],
        },
    )


@suite(tables.STEP_TRAINER_TRUSTED, consent.SHARED_DEVICES)
def step_trainer_trusted_checks(
    lakehouse: ResourceParam[Lakehouse],
    step_trainer_trusted: DataFrame,
    step_trainer_landing: DataFrame,
    customer_curated: DataFrame,
    customer_landing: DataFrame,
) -> Iterator[AssetCheckResult]:
    """Consent by the device's serial number; as many rows as curated devices' readings landed."""
    serial = ["serialNumber"]
    devices = consent.consenting(customer_landing).select(*serial)
    others = consent.not_consenting(customer_landing).select(*serial)
    yield from _evaluate(
        tables.STEP_TRAINER_TRUSTED,
        step_trainer_trusted,
        counts.step_trainer_trusted(step_trainer_landing, customer_curated),
        among={
            consent.CONSENT: [(serial, devices)],
            quality.REFERENCES: [(serial, customer_curated.select(*serial))],
        },
        not_among={consent.SHARED_DEVICES: [(serial, others)]},
    )


@suite(
    tables.MACHINE_LEARNING_CURATED,
    quality.NO_PERSONAL_DATA,
    counts.TWO_PEOPLE,
    counts.BEFORE_CONSENT,
    POLICY,
)
def machine_learning_curated_checks(
    lakehouse: ResourceParam[Lakehouse],
    pseudonyms: ResourceParam[Pseudonyms],
    policy: ResourceParam[Options],
    catalog: ResourceParam[GlueCatalog | None],
    machine_learning_curated: DataFrame,
    step_trainer_trusted: DataFrame,
    accelerometer_trusted: DataFrame,
    customer_curated: DataFrame,
    accelerometer_landing: DataFrame,
    customer_landing: DataFrame,
) -> Iterator[AssetCheckResult]:
    """Consent by device and by reading; as many rows as there are pairs of a millisecond.

    Once all that blocks has passed, versions that were made under weaker options are deleted.
    """
    table = tables.MACHINE_LEARNING_CURATED
    made = lakehouse.state(table)
    options = Options.of(made.commit.get("config", {}) if made else {})
    serial = ["serialNumber"]
    devices = consent.consenting(customer_landing).select(*serial)
    stepped = step_trainer_trusted.select(*serial)
    if options.pseudonymise_devices:
        devices, stepped = (pseudonyms.of(each, *serial) for each in (devices, stepped))
    phones = consent.readings_with_consent(accelerometer_landing, customer_landing)
    passed = not policy.beyond(options)
    for result in _evaluate(
        table,
        machine_learning_curated,
        counts.machine_learning_curated(
            step_trainer_trusted, accelerometer_trusted, customer_curated, options
        ),
        among={
            consent.CONSENT: [(serial, devices), (phones.columns, phones)],
            quality.REFERENCES: [
                (serial, stepped),
                (["timestamp"], accelerometer_trusted.select("timestamp")),
            ],
        },
        not_among={quality.NO_PERSONAL_DATA: quality.personal_values(table, customer_landing)},
    ):
        passed &= result.passed or result.check_name not in BLOCKING
        yield result
    forgotten = upkeep.Forgotten()
    if passed:
        forgotten = lakehouse.delete_weaker_versions(table)
        register(catalog, lakehouse, table)
    yield _as_strict(table, options, policy, forgotten)


def _as_strict(
    table: Table, options: Options, policy: Options, forgotten: upkeep.Forgotten
) -> AssetCheckResult:
    """Whether a table was made under options that are as strict as the policy."""
    lacking = policy.beyond(options)
    return AssetCheckResult(
        check_name=POLICY,
        passed=not lacking,
        description=(
            f"{table.name} was made without {', '.join(lacking)}, which the privacy policy "
            f"requires ({settings_of(lacking)}). Materialise it again."
            if lacking
            else None
        ),
        metadata={
            describe.POLICY: str(policy),
            describe.OPTIONS: str(options),
            "weaker_versions_deleted": forgotten.versions,
            "weaker_files_deleted": forgotten.files,
        },
    )


def _evaluate(
    table: Table,
    frame: DataFrame,
    expected: DataFrame,
    *,
    among: Mapping[str, Sequence[quality.Values]],
    not_among: Mapping[str, Sequence[quality.Values]] | None = None,
) -> Iterator[AssetCheckResult]:
    """Counts the rows that break each rule, and judges the counts.

    Each rule is a query of its own: as one they would hold all that they look up at one time.

    Args:
        table: The table.
        frame: Its rows.
        expected: One row: the recount, what was counted along with it, and further figures.
        among: Checks that a row passes if it is among all of these values.
        not_among: Checks that a row passes if it is among none of these values.
    """
    faults = quality.schema_faults(table, frame)
    key = table.key if set(table.key) <= set(frame.columns) else ()
    implausible = {quality.VALUES: quality.implausible(table, frame)}
    [found_in_it] = quality.count(frame, key, implausible).collect()
    [recounted] = expected.collect()
    figures = found_in_it.asDict() | recounted.asDict()
    rows = figures["rows"]

    expected_rows = figures["expected"]
    judged = {"rows", "keys", "expected", quality.VALUES, *counts.COUNTED_ALONG}
    further = {name: figure for name, figure in figures.items() if name not in judged}
    yield AssetCheckResult(
        check_name=counts.COUNTS,
        passed=rows == expected_rows,
        description=f"{rows:,} rows, but expected {expected_rows:,}"
        if rows != expected_rows
        else None,
        metadata={"rows": rows, "expected": expected_rows, **further},
    )
    yield AssetCheckResult(
        check_name=quality.SCHEMA,
        passed=not faults,
        description="; ".join(faults) or None,
        metadata={"faults": faults},
    )
    found = {quality.VALUES: figures[quality.VALUES]}
    for name, known in among.items():
        [[found[name]]] = quality.at_fault(frame, among=known).collect()
    for name, known in (not_among or {}).items():
        [[found[name]]] = quality.at_fault(frame, not_among=known).collect()
    found |= {quality.KEYS: rows - figures.get("keys", 0)} if table.key else {}
    found |= {name: figures[name] for name in counts.COUNTED_ALONG if name in figures}
    if quality.NO_PERSONAL_DATA in found and quality.personal_columns(frame):
        found[quality.NO_PERSONAL_DATA] = rows
    for name, count in found.items():
        everyone = name in (counts.IMPOSSIBLE_CONSENT, counts.NEAR_DUPLICATES)
        of = f"of {figures['people']:,} people" if everyone else f"of {rows:,} rows"
        yield AssetCheckResult(
            check_name=name,
            passed=count == 0,
            description=f"{count:,} {of} {FAULTS[name]}" if count else None,
            severity=AssetCheckSeverity.WARN if name in WARNINGS else AssetCheckSeverity.ERROR,
            metadata={"rows": rows, "rows_at_fault": count},
        )
