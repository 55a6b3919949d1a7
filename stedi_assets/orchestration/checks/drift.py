"""Whether the last published version of the training set is distributed as the one before it."""

import dagster as dg
from dagster import AssetCheckEvaluation, AssetCheckResult, AssetCheckSeverity, ResourceParam

from stedi_assets.lakehouse.lakehouse import Lakehouse
from stedi_assets.orchestration.failures import faults_fail_step
from stedi_assets.tables.machine_learning import TRAINING_SET
from stedi_assets.training import manifest as manifests
from stedi_assets.training.manifest import Manifest

DRIFT = "drift"


@dg.asset_check(
    name=DRIFT,
    asset=TRAINING_SET.name,
    description=(
        "No column of the last published version is distributed otherwise than in the version "
        "published before it. The job publish_training_set evaluates it too."
    ),
)
def drift(lakehouse: ResourceParam[Lakehouse]) -> AssetCheckResult:
    """The check, by the manifests alone."""
    with faults_fail_step():
        found = manifests.published(lakehouse.uri_of(TRAINING_SET))
    remaining = [each for each in found if each.erased_at is None]
    return result(remaining[-1]) if remaining else AssetCheckResult(passed=True)


def result(published: Manifest) -> AssetCheckResult:
    """What the check finds of a published version."""
    against = published.drift
    if against is None:
        return AssetCheckResult(passed=True, metadata={"published_version": published.version})
    said = (
        f"Version {published.version} differs from version {against.against} in "
        f"{', '.join(against.columns)}: the population stability index is {against.bound} or more. "
        "Find out why in what has landed between them before a model trains on it."
    )
    return AssetCheckResult(
        passed=not against.columns,
        severity=AssetCheckSeverity.WARN,
        description=said if against.columns else None,
        metadata={
            "published_version": published.version,
            "compared_with_version": against.against,
            **{f"psi_{name}": psi for name, psi in against.psi.items()},
        },
    )


def evaluation(published: Manifest) -> AssetCheckEvaluation:
    """The same, as the step that publishes a version reports it."""
    found = result(published)
    return AssetCheckEvaluation(
        asset_key=dg.AssetKey(TRAINING_SET.name),
        check_name=DRIFT,
        passed=found.passed,
        severity=found.severity,
        description=found.description,
        metadata=found.metadata,
    )
