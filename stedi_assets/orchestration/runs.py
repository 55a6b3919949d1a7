"""One run at a time on a machine, and runs whose process is gone are marked as failed."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import dagster as dg
from dagster._core.definitions.repository_definition import SINGLETON_REPOSITORY_NAME
from dagster._core.errors import raise_execution_interrupts
from dagster._core.events import DagsterEvent
from dagster._core.execution.context.system import PlanOrchestrationContext
from dagster._core.execution.plan.plan import ExecutionPlan
from dagster._core.execution.retries import RetryMode
from dagster._core.execution.step_dependency_config import StepDependencyConfig
from dagster._core.launcher.base import CheckRunHealthResult, WorkerStatus
from dagster._core.launcher.default_run_launcher import DefaultRunLauncher
from dagster._core.remote_origin import (
    RegisteredCodeLocationOrigin,
    RemoteJobOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.storage.event_log.schema import AssetCheckExecutionsTable
from dagster._core.storage.event_log.sql_event_log import SqlEventLogStorage
from dagster._core.storage.tags import REPOSITORY_LABEL_TAG
from typing_extensions import override

from stedi_assets.orchestration import headline, openlineage

IN_PROGRESS = (
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
)
GONE = (
    "The run's process ended before the run did: it was killed, or the machine ran out of memory "
    "or stopped. Every table is at its last good version; run again."
)
# As in workspace.yaml and pyproject.toml, by which Dagster's own commands find the project.
LOCATION = "stedi_assets"
WAITING = "Another run is in progress on this machine, and both write the same tables: waiting."


@contextlib.contextmanager
def turn(instance: dg.DagsterInstance, waiting: Callable[[], None]) -> Iterator[None]:
    """Waits until no other run of an instance is in progress on this machine, and excludes others.

    Dagster's queue does so for the runs that it starts, but not for `make materialize` or `dg
    launch`. `waiting` is called if there is another run.
    """
    folder = Path(instance.storage_directory())
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "turn.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waiting()
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def alive(instance: dg.DagsterInstance, run_id: str) -> IO[str]:
    """A locked file, which shows that the process of a run is alive until it is closed.

    The kernel releases the lock however the process ends, while a process id may be reused.
    """
    path = _process(instance, run_id)
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(f".{os.getpid()}")
    lock = new.open("a")
    fcntl.flock(lock, fcntl.LOCK_EX)
    new.rename(path)  # others see the file only once it is locked
    return lock


def is_gone(instance: dg.DagsterInstance, run_id: str) -> bool:
    """Whether the process of a run has ended.

    False too for a run that has not started, or that another machine executes.
    """
    try:
        with _process(instance, run_id).open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return True
    except (BlockingIOError, FileNotFoundError):
        return False


def fail_gone(instance: dg.DagsterInstance) -> None:
    """Marks as failed each run in progress whose process is gone."""
    for run in instance.get_runs(dg.RunsFilter(statuses=list(IN_PROGRESS))):
        if not is_gone(instance, run.run_id):
            continue
        now = instance.get_run_by_id(run.run_id)  # it may have finished since
        if now is not None and not now.is_finished:
            instance.report_run_failed(now, GONE)


def delete_planned_checks(instance: dg.DagsterInstance, run: dg.DagsterRun) -> None:
    """Lets the UI show each check's last evaluation until the run evaluates it.

    Dagster records all checks of a run as planned at its start, and shows those that the run never
    reaches as failed. A run of checks alone keeps the records, so that a check that raises an
    error is shown as failed.
    """
    storage = instance.event_log_storage
    if (run.asset_check_selection and not run.asset_selection) or not isinstance(
        storage, SqlEventLogStorage
    ):
        return
    planned = AssetCheckExecutionsTable.delete().where(
        AssetCheckExecutionsTable.c.run_id == run.run_id,
        AssetCheckExecutionsTable.c.execution_status == "PLANNED",
    )
    with storage.index_connection() as connection:
        connection.execute(planned)


def show_in_ui(instance: dg.DagsterInstance, run: dg.DagsterRun) -> None:
    """Lets Overview, Timeline and Jobs show a run.

    They show those of a code location, which a run that neither the UI nor the daemon started does
    not name.
    """
    if run.remote_job_origin is not None:
        return
    location = RegisteredCodeLocationOrigin(LOCATION)
    repository = RemoteRepositoryOrigin(location, SINGLETON_REPOSITORY_NAME)
    instance.add_run_tags(run.run_id, {REPOSITORY_LABEL_TAG: repository.get_label()})
    tagged = instance.get_run_by_id(run.run_id)
    assert tagged is not None
    origin = RemoteJobOrigin(repository, run.job_name)
    instance.run_storage.replace_job_origin(tagged, origin)


def _process(instance: dg.DagsterInstance, run_id: str) -> Path:
    """The file that the process of a run locks, beside the logs of its steps."""
    return Path(instance.storage_directory()) / run_id / "process.lock"


class InTurn(dg.Executor):
    """Hands a run to another executor once no other run is in progress."""

    def __init__(self, steps: dg.Executor) -> None:
        self.steps = steps

    @property
    @override
    def retries(self) -> RetryMode:
        return self.steps.retries

    @property
    @override
    def step_dependency_config(self) -> StepDependencyConfig:
        return self.steps.step_dependency_config

    @override
    def execute(
        self, plan_context: PlanOrchestrationContext, execution_plan: ExecutionPlan
    ) -> Iterator[DagsterEvent]:
        instance, run = plan_context.instance, plan_context.dagster_run
        # Open until the process ends, since Dagster records the run's end after its last step.
        _OPEN.append(alive(instance, run.run_id))
        delete_planned_checks(instance, run)
        show_in_ui(instance, run)

        def say(message: str) -> None:
            instance.report_engine_event(message, run)

        with contextlib.ExitStack() as until_its_end:
            with raise_execution_interrupts():  # so that it can be terminated
                until_its_end.enter_context(turn(instance, lambda: say(WAITING)))
            job = plan_context.job.get_definition()
            emit = until_its_end.enter_context(openlineage.emitting(job, run.run_id, say))
            for event in self.steps.execute(plan_context, execution_plan):
                emit(event)
                yield event
        headline.add(instance, run.run_id)


_OPEN: list[IO[str]] = []


@dg.executor(
    name="in_turn",
    config_schema=dg.multi_or_in_process_executor.config_schema.as_field(),
    requirements=dg.multi_or_in_process_executor.get_requirements,
)
def in_turn(context: dg.InitExecutorContext) -> dg.Executor:
    """Dagster's default executor, one run at a time."""
    create = dg.multi_or_in_process_executor.executor_creation_fn
    assert create is not None
    return InTurn(create(context))


class LocalRunLauncher(DefaultRunLauncher):
    """Dagster's default launcher; it also reports runs without a process to run monitoring."""

    @property
    @override
    def supports_check_run_worker_health(self) -> bool:
        return True

    @override
    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        if is_gone(self._instance, run.run_id):
            return CheckRunHealthResult(WorkerStatus.NOT_FOUND, GONE)
        return CheckRunHealthResult(WorkerStatus.RUNNING)
