"""Materialises the whole lakehouse in one run and reports on it: `stedi materialize`."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import uuid
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import dagster as dg
from dagster import AssetCheckEvaluation, AssetCheckSeverity, DagsterEvent, DagsterEventType
from dagster._core.execution.plan.objects import ErrorSource
from dagster._core.storage.compute_log_manager import CapturedLogContext
from rich.console import Console
from rich.table import Table
from rich.text import Text

from stedi_assets.orchestration import headline, jobs, openlineage, runs
from stedi_assets.orchestration.failures import (
    CHECK_FAILED,
    code_of,
    shown_before_first_step,
    shown_of,
)
from stedi_assets.orchestration.metadata import MODE, REASON
from stedi_assets.tables import DELTA_TABLES, LANDING_TABLES, TABLES

QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@dataclass
class Outcome:
    """What became of one asset."""

    rows: int | None = None
    mode: str = ""
    seconds: float | None = None
    checks: list[AssetCheckEvaluation] = field(default_factory=list)

    @property
    def passed(self) -> int:
        """How many checks passed."""
        return sum(check.passed for check in self.checks)

    @property
    def warned(self) -> int:
        """How many checks only warn."""
        return sum(_warns(check) for check in self.checks)

    @property
    def failed(self) -> int:
        """How many checks failed."""
        return len(self.checks) - self.passed - self.warned


class Report:
    """Follows a run's events: a line for each as it comes, a table at the end."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.outcomes: defaultdict[str, Outcome] = defaultdict(Outcome)
        self.failed_steps: list[str] = []
        self.cancelled = False
        self._said: set[object] = set()

    def follow(self, entry: dg.EventLogEntry) -> None:
        """Takes note of one event and shows it if it is progress."""
        event = entry.dagster_event
        if event is None:
            return
        match event.event_type:
            case DagsterEventType.ASSET_MATERIALIZATION:
                self._materialized(event)
            case DagsterEventType.ASSET_CHECK_EVALUATION:
                self._checked(event.asset_check_evaluation_data)
            case DagsterEventType.STEP_SUCCESS:
                seconds = event.step_success_data.duration_ms / 1000
                self.outcomes[str(event.step_key)].seconds = seconds
            case DagsterEventType.STEP_UP_FOR_RETRY:
                self.console.print(
                    f"{event.step_key}: failed for a reason that may pass; trying again"
                )
            case DagsterEventType.STEP_FAILURE:
                self._failed(event)
            case DagsterEventType.RUN_FAILURE if not self.failed_steps:
                said = shown_before_first_step(event.job_failure_data.error)
                self._say("failed", "red", f"before the first step: {said}")

    def warn(self, said: str) -> None:
        """Shows a warning of the run as a whole."""
        self._say("warning", "yellow", said)

    def table(self, assets: list[str]) -> Table:
        """The assets in order, each with its rows, what of it was made, and its time and checks."""
        table = Table("asset", box=None, header_style="bold")
        for heading in ("rows", "made", "time", "passed", "warned", "failed"):
            table.add_column(heading, justify="right")
        for name in assets:
            outcome = self.outcomes[name]
            table.add_row(
                name,
                "not run" if outcome.rows is None else f"{outcome.rows:,}",
                outcome.mode,
                "" if outcome.seconds is None else f"{outcome.seconds:.2f} s",
                *(str(count or "") for count in (outcome.passed, outcome.warned, outcome.failed)),
            )
        return table

    def _materialized(self, event: DagsterEvent) -> None:
        materialization = event.step_materialization_data.materialization
        name = materialization.asset_key.to_user_string()
        rows = int(str(materialization.metadata["dagster/row_count"].value))
        self.outcomes[name].rows = rows
        shown = f"{name}: {rows:,} rows"
        if mode := materialization.metadata.get(MODE):
            self.outcomes[name].mode = str(mode.value)
            shown += f" ({mode.value}: {materialization.metadata[REASON].value})"
        self.console.print(shown)

    def _checked(self, check: AssetCheckEvaluation) -> None:
        name = check.asset_key.to_user_string()
        self.outcomes[name].checks.append(check)
        if not check.passed:
            verdict = ("warning", "yellow") if _warns(check) else ("failed", "red")
            self._say(*verdict, f"{name}, {check.check_name}: {check.description}")

    def _failed(self, event: DagsterEvent) -> None:
        self.failed_steps.append(str(event.step_key))
        if event.step_failure_data.error_source is ErrorSource.INTERRUPT:
            self.cancelled = True
            return
        said, code = shown_of(event.step_failure_data), code_of(event.step_failure_data)
        once = code if code and code.of_all_steps else said
        if said != CHECK_FAILED and once not in self._said:  # the check has reported already
            self._say("failed", "red", f"{event.step_key}: {said}")
        self._said.add(once)

    def _say(self, verdict: str, style: str, said: str) -> None:
        # As text: what a path has in brackets would be read as markup.
        self.console.print(Text.assemble((verdict, style), f" {said}"))


def next_steps(lakehouse_uri: str, *, success: bool) -> Text:
    """Where the tables are, and by which commands to go on."""
    place = lakehouse_uri.removeprefix("file://")
    call = "make" if "MAKELEVEL" in os.environ else "stedi"
    if not success:
        return Text(
            f"Tables that were not made stay as they were, in {place}.\n"
            f"For the events of the run, with the same settings: {call} dev"
        )
    return Text(
        f"The tables are in {place}.\n"
        f"Next, with the same settings: {call} sql (query them), {call} dev (the Dagster UI), "
        f"{call} report"
    )


def _warns(check: AssetCheckEvaluation) -> bool:
    return not check.passed and check.severity is AssetCheckSeverity.WARN


@contextlib.contextmanager
def _interrupts_raised() -> Iterator[None]:
    """Raises `KeyboardInterrupt` at the end for a Ctrl-C, which libraries make other errors of."""
    pressed = list[int]()
    before = signal.getsignal(signal.SIGINT)

    def note(number: int, _: object) -> None:
        pressed.append(number)
        logging.disable()  # by which libraries would print the traces of what it interrupts
        raise KeyboardInterrupt

    signal.signal(signal.SIGINT, note)
    try:
        yield
    except BaseException:
        if not pressed:
            raise
    finally:
        signal.signal(signal.SIGINT, before)
        logging.disable(logging.NOTSET)
    if pressed:
        raise KeyboardInterrupt


def _keep_from_log_processes(number: signal.Signals, instance: dg.DagsterInstance) -> None:
    """Has the processes that copy a run's output never get a signal, of which they print a trace.

    A terminal sends Ctrl-C to all processes of a command; these end with their parent.
    """
    logs = instance.compute_log_manager
    capture = logs.capture_logs

    @contextlib.contextmanager
    def captured(log_key: Sequence[str]) -> Iterator[CapturedLogContext]:
        with contextlib.ExitStack() as until_the_end:
            before = signal.pthread_sigmask(signal.SIG_BLOCK, {number})  # which processes inherit
            try:
                context = until_the_end.enter_context(capture(log_key))
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, before)
            yield context

    vars(logs)["capture_logs"] = captured


def materialize(
    defs: dg.Definitions,
    instance: dg.DagsterInstance,
    console: Console,
    ops: Mapping[str, Any] | None = None,
    *,
    rebuild: bool = False,
) -> dg.ExecuteInProcessResult:
    """Runs the job `materialize_lakehouse` in this process and reports on it.

    Args:
        defs: The project.
        instance: Keeps the run's history.
        console: Where to report.
        ops: Run configuration of single assets, as `{"asset": {"config": {…}}}`.
        rebuild: Whether to read every file and to make every table anew.

    Raises:
        KeyboardInterrupt: If Ctrl-C cancelled the run.
    """
    if rebuild:
        assets = (*LANDING_TABLES, *DELTA_TABLES)
        ops = {table.name: {"config": {"rebuild": True}} for table in assets} | dict(ops or {})
    report = Report(console)
    run_id = str(uuid.uuid4())
    instance.add_event_listener(run_id, report.follow)

    def begin(entry: dg.EventLogEntry) -> None:
        if entry.dagster_event and entry.dagster_event.event_type is DagsterEventType.RUN_START:
            run = instance.get_run_by_id(run_id)
            assert run is not None
            runs.delete_planned_checks(instance, run)
            runs.show_in_ui(instance, run)

    instance.add_event_listener(run_id, begin)
    job = defs.resolve_job_def(jobs.materialize_lakehouse.name)
    _keep_from_log_processes(signal.SIGINT, instance)
    with (
        _interrupts_raised(),
        runs.turn(instance, lambda: console.print(runs.WAITING)),
        runs.alive(instance, run_id),
        openlineage.emitting(job, run_id, report.warn) as emit,
    ):
        instance.add_event_listener(
            run_id, lambda entry: entry.dagster_event and emit(entry.dagster_event)
        )
        runs.fail_gone(instance)
        result = job.execute_in_process(
            run_id=run_id,
            instance=instance,
            run_config={**QUIET, "ops": ops or {}},
            raise_on_error=False,
        )
        headline.add(instance, run_id)
    if report.cancelled:
        raise KeyboardInterrupt
    console.print()
    console.print(report.table(list(TABLES)))
    return result
