"""The checks of a landing folder, made while it is read for the first time."""

from collections.abc import Callable

import dagster as dg
from dagster import AssetCheckResult, AssetCheckSeverity
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from stedi_assets.landing import reader
from stedi_assets.landing.profile import LandingProfile
from stedi_assets.orchestration.failures import faults_fail_step
from stedi_assets.tables import Table
from stedi_assets.tables.schema import Check

ALL_ACCOUNTED_FOR = Check(
    "objects_accounted_for",
    "Records and quarantined text add up to all that landed.",
    blocking=True,
)
MALFORMED_SHARE = Check(
    "malformed_share",
    "No more of what landed is malformed than max_malformed_share allows; a warning if any is.",
    blocking=True,
)
UNALTERED = Check(
    "landed_files_unaltered",
    "No landed file was overwritten in place, which leaves no earlier version of it; a warning in "
    "the run that finds one.",
)
IMPLAUSIBLE_SHARE = Check(
    "implausible_share",
    "No more records have a value out of its column's range, such as a time in seconds, than "
    "max_implausible_share allows; a warning if any has.",
    blocking=True,
)
CHECKS = (ALL_ACCOUNTED_FOR, MALFORMED_SHARE, UNALTERED, IMPLAUSIBLE_SHARE)


def specs(table: Table) -> list[dg.AssetCheckSpec]:
    """The checks of a landing table."""
    return [
        dg.AssetCheckSpec(
            check.name, asset=table.name, blocking=check.blocking, description=check.description
        )
        for check in CHECKS
    ]


def accounted_for(profile: LandingProfile, quarantined: int) -> AssetCheckResult:
    """Whether nothing was lost between the files and the tables.

    Args:
        profile: What was found in the files.
        quarantined: The rows of the quarantine table, by its own log.
    """
    passed = profile.records + quarantined == profile.objects
    return AssetCheckResult(
        check_name=ALL_ACCOUNTED_FOR.name,
        passed=passed,
        description=(
            None
            if passed
            else f"{profile.records:,} records and {quarantined:,} rows of quarantine are not the "
            f"{profile.objects:,} objects that landed. Materialise the asset again."
        ),
        metadata={
            "objects": profile.objects,
            "records": profile.records,
            "quarantined": quarantined,
        },
    )


def unaltered(overwritten: int) -> AssetCheckResult:
    """Whether landing has changed only by what was added to it.

    Args:
        overwritten: How many files have other content than when they were last looked at.
    """
    return AssetCheckResult(
        check_name=UNALTERED.name,
        passed=not overwritten,
        severity=AssetCheckSeverity.WARN,
        description=(
            f"{overwritten:,} files were overwritten in landing since the last run, so that what "
            "they said before is gone, a withdrawal too. Let files land under new names, or put "
            "them into a source folder, whose versions are all kept."
            if overwritten
            else None
        ),
        metadata={"files_overwritten": overwritten},
    )


def malformed_share(
    table: Table,
    profile: LandingProfile,
    allowed: float,
    quarantined: Callable[[], DataFrame],
) -> AssetCheckResult:
    """Whether the share of malformed objects is within the threshold.

    Args:
        table: The landing table.
        profile: What was found in its files.
        allowed: The share of objects up to which the check only warns.
        quarantined: The quarantine table, looked at only if it has rows.
    """
    reasons, over_lines = _looked_at(quarantined()) if profile.malformed else ({}, False)
    share = profile.malformed / profile.objects if profile.objects else 0.0
    passed = share <= allowed
    fix = f"Correct or remove them in {table.location}; {table.source}_quarantine lists them."
    if over_lines:
        fix = (
            "Some objects are spread over several lines, as in a pretty-printed JSON array: land "
            "files with one object a line, which `jq -c '.[]'` makes of an array and `jq -c .` of "
            "objects."
        )
    elif reader.every_field_missing(table) in reasons:
        fix = (
            "Some have no field that a record must have: if they are another source's, move that "
            f"file out of {table.location}."
        )
    return AssetCheckResult(
        check_name=MALFORMED_SHARE.name,
        passed=passed and not profile.malformed,
        severity=AssetCheckSeverity.WARN if passed else AssetCheckSeverity.ERROR,
        description=(
            f"{profile.malformed:,} of {profile.objects:,} objects in {table.location} cannot be "
            f"read ({share:.1%}, {100 * allowed:g} % allowed). {fix}"
            if profile.malformed
            else None
        ),
        metadata={
            "malformed": profile.malformed,
            "objects": profile.objects,
            "share": share,
            "allowed_share": allowed,
            "commonest_reasons": reasons,
        },
    )


def implausible_share(table: Table, profile: LandingProfile, allowed: float) -> AssetCheckResult:
    """Whether the share of implausible values is within the threshold.

    Args:
        table: The landing table.
        profile: What was found in its files.
        allowed: The share of records up to which the check only warns.
    """
    share = profile.implausible / profile.records if profile.records else 0.0
    passed = share <= allowed
    columns = ", ".join(f"{name} {rows:,}" for name, rows in profile.implausible_values.items())
    return AssetCheckResult(
        check_name=IMPLAUSIBLE_SHARE.name,
        passed=passed and not profile.implausible,
        severity=AssetCheckSeverity.WARN if passed else AssetCheckSeverity.ERROR,
        description=(
            f"{profile.implausible:,} of {profile.records:,} records in {table.location} have a "
            f"value out of its range ({share:.1%}, {100 * allowed:g} % allowed): {columns}. Times "
            "are epoch milliseconds, distances at least 1. Correct the files at their source, or "
            f"allow more by max_implausible_share in the run configuration of {table.name}."
            if profile.implausible
            else None
        ),
        metadata={
            "implausible": profile.implausible,
            "records": profile.records,
            "share": share,
            "allowed_share": allowed,
            "by_column": dict(profile.implausible_values),
        },
    )


def _looked_at(quarantined: DataFrame) -> tuple[dict[str, int], bool]:
    """The commonest reasons with their rows, and whether a line opens an object and has no more."""
    counted = quarantined.groupBy("reason").count().orderBy(F.desc("count")).limit(5)
    opening = quarantined.where(F.btrim("line") == "{").limit(1)
    with faults_fail_step():
        return {row.reason: row["count"] for row in counted.collect()}, not opening.isEmpty()
