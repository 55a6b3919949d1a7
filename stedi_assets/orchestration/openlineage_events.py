"""The events of a run as OpenLineage has them: of the run, of each asset, of each asset's checks.

It is imported only where they are wanted.
"""

from __future__ import annotations

import os
import time
import uuid
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import dagster as dg
from dagster import DagsterEventType
from dagster_openlineage import OpenLineageAdapter
from openlineage.client import OpenLineageClient
from openlineage.client.event_v2 import Run, RunEvent
from openlineage.client.facet_v2 import parent_run

from stedi_assets.orchestration.failures import shown_of

NAMESPACE = "stedi_assets"
# It would send the address of the git remote, which may hold a password.
WITHOUT_SOURCE: dict[str, Any] = {"facets": {"source_code_location": {"disabled": True}}}


class Emitter:
    """Sends events; what fails is raised, while the adapter's own emitter logs it and goes on.

    The adapter gives the runs of all assets the id of Dagster's run, of which receivers keep one
    job only: here each has an id of its own, and Dagster's run as its parent.

    Args:
        job: Dagster's job.
        run_id: Dagster's run.
        namespace: The namespace of both.
    """

    def __init__(self, job: str, run_id: str, namespace: str) -> None:
        self._client = OpenLineageClient(config=WITHOUT_SOURCE)
        if not self._client.config.transport:
            raise ValueError("no transport")  # it would print all events
        self._job = job
        self._run_id = run_id
        self._parent = parent_run.ParentRunFacet(
            run=parent_run.Run(run_id), job=parent_run.Job(namespace, job)
        )

    def emit(self, event: RunEvent) -> None:
        """Sends an event."""
        if event.job.name != self._job:
            own_id = uuid.uuid5(uuid.UUID(self._run_id), event.job.name)
            event.run = Run(str(own_id), {**(event.run.facets or {}), "parent": self._parent})
        self._client.emit(event)


class RunEvents:
    """Turns the events of a run into OpenLineage's, and sends them.

    Args:
        job: What the run executes.
        run_id: The run.
    """

    def __init__(self, job: dg.JobDefinition, run_id: str) -> None:
        namespace = os.environ.get("OPENLINEAGE_NAMESPACE") or NAMESPACE
        self._job, self._run_id = job, run_id
        self._made: set[dg.AssetKey] = set()
        self._checked: defaultdict[dg.AssetKey, list[dg.AssetCheckEvaluation]] = defaultdict(list)
        self._adapter = OpenLineageAdapter(
            namespace=namespace, emitter=Emitter(job.name, run_id, namespace)
        )
        self._adapter.start_pipeline(job.name, run_id, time.time())

    def take(self, at: float, event: dg.DagsterEvent) -> None:
        """Sends what follows from one of Dagster's events.

        Args:
            at: When it happened (epoch seconds, UTC).
            event: The event.
        """
        match event.event_type:
            case DagsterEventType.STEP_START:
                for key in self._assets(event):
                    self._adapter.asset_materialization_planned(key, self._run_id, at)
            case DagsterEventType.ASSET_MATERIALIZATION:
                self._materialized(at, event.step_materialization_data.materialization)
            case DagsterEventType.ASSET_CHECK_EVALUATION:
                check = event.asset_check_evaluation_data
                if check.asset_key not in self._checked:
                    self._adapter.asset_check_evaluation_planned(
                        check.asset_key, check.check_name, self._run_id, at, standalone=True
                    )
                self._checked[check.asset_key].append(check)
            case DagsterEventType.STEP_FAILURE:
                said = shown_of(event.step_failure_data)
                for key in self._assets(event):
                    if key not in self._made:
                        self._adapter.asset_failed_to_materialize(
                            key, self._run_id, at, error_message=said
                        )

    def end(self, at: float, *, failed: bool) -> None:
        """Sends the results of all checks, those of an asset together, and the end of the run.

        Args:
            at: When the run ended (epoch seconds, UTC).
            failed: Whether it failed.
        """
        for key, evaluations in self._checked.items():
            self._adapter.asset_check_evaluation(key, evaluations, self._run_id, at)
        ends = self._adapter.fail_pipeline if failed else self._adapter.complete_pipeline
        ends(self._job.name, self._run_id, at)

    def _materialized(self, at: float, made: dg.AssetMaterialization) -> None:
        asset = self._job.asset_layer.asset_graph.get(made.asset_key)
        shown = {**asset.metadata, **made.metadata}  # the declaration has the schema
        self._adapter.asset_materialization(
            made.asset_key,
            self._run_id,
            at,
            metadata={**shown, "uri": shown.get("dagster/uri")},
            upstream_asset_keys=sorted(asset.parent_keys),
        )
        self._made.add(made.asset_key)

    def _assets(self, event: dg.DagsterEvent) -> Iterable[dg.AssetKey]:
        """The assets that a step makes, none of a step of checks."""
        assert event.node_handle is not None
        assets = self._job.asset_layer.get_assets_def_for_node(event.node_handle)
        return sorted(assets.keys) if assets else []
