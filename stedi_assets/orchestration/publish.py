"""The publishing of the training set as a job."""

from collections.abc import Iterator

import dagster as dg

from stedi_assets.lakehouse.lakehouse import Lakehouse
from stedi_assets.orchestration.checks import drift
from stedi_assets.orchestration.clock import Clock
from stedi_assets.orchestration.failures import faults_fail_step
from stedi_assets.policy import Options
from stedi_assets.pseudonyms import Pseudonyms
from stedi_assets.tables.machine_learning import TRAINING_SET
from stedi_assets.training.manifest import folder_of
from stedi_assets.training.publish import JOB, publish


@dg.op(out={}, description="Publishes the current version of training_set.")
def publish_version(
    context: dg.OpExecutionContext,
    lakehouse: dg.ResourceParam[Lakehouse],
    pseudonyms: dg.ResourceParam[Pseudonyms],
    policy: dg.ResourceParam[Options],  # which refuses to start without the key that it needs
    clock: Clock,
) -> Iterator[dg.AssetCheckEvaluation | dg.AssetObservation]:
    """Publishes, and shows what differs from the version before."""
    with faults_fail_step(retry=True):
        found, new = publish(lakehouse, pseudonyms, policy, clock.now)
        uri = lakehouse.uri_of(TRAINING_SET)
    if not new:
        context.log.info(f"Version {found.version} has the same rows, so nothing was published.")
        return
    context.log.info(f"Version {found.version} is published, with {found.rows:,} rows.")
    figures = {f"{part}_{name}": n for part, c in found.counts.items() for name, n in c}
    evaluated = drift.evaluation(found)
    if not evaluated.passed:
        context.log.warning(evaluated.description)
    yield evaluated
    yield dg.AssetObservation(
        TRAINING_SET.name,
        metadata={
            "published_version": found.version,
            "published_at": folder_of(uri, found.version),
            "digest": found.digest,
            **figures,
        },
    )


@dg.job(
    name=JOB,
    tags={"scope": "lakehouse"},
    description=(
        "Publishes the current version of training_set: it stays and can be cited until a person "
        "in it withdraws, with a manifest of what it holds and of how it differs from the version "
        "before. Rows that are published already are not published again."
    ),
)
def publish_training_set() -> None:
    """One op: what is published is one version."""
    publish_version()
