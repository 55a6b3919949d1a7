"""Sends the OpenLineage events of a run, if the environment names a receiver by `OPENLINEAGE_*`.

A thread sends them, so that a run neither waits for the receiver nor fails with it.
"""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import threading
import time
from collections.abc import Callable, Iterator

import dagster as dg

from stedi_assets.errors import Code, LakehouseError

RECEIVER = ("OPENLINEAGE_URL", "OPENLINEAGE_CONFIG", "OPENLINEAGE__TRANSPORT")
# How long a run that has ended waits for what is not sent yet.
WAIT_SECONDS = 5
Follow = Callable[[dg.DagsterEvent], None]


def wanted() -> bool:
    """Whether the environment names a receiver, and does not disable it."""
    disabled = os.environ.get("OPENLINEAGE_DISABLED", "").strip().lower() == "true"
    return not disabled and any(
        text and name.startswith(RECEIVER) for name, text in os.environ.items()
    )


@contextlib.contextmanager
def emitting(job: dg.JobDefinition, run_id: str, warn: Callable[[str], None]) -> Iterator[Follow]:
    """Sends the events of a run until its end.

    Args:
        job: What the run executes.
        run_id: The run.
        warn: Is called once at the end, if not all could be sent.

    Yields:
        What takes each of Dagster's events of the run.
    """
    if not wanted():
        yield lambda _: None
        return
    sender = Sender(job, run_id)
    ended = False
    try:
        yield sender.put
        ended = True
    finally:
        if fault := sender.close(ended):
            warn(str(fault))


class Sender:
    """The thread that sends the events of a run, until one cannot be sent.

    Args:
        job: What the run executes.
        run_id: The run.
    """

    def __init__(self, job: dg.JobDefinition, run_id: str) -> None:
        self._events: queue.SimpleQueue[tuple[float, dg.DagsterEvent | None]] = queue.SimpleQueue()
        self._failed = False
        self._error: Exception | None = None
        # A process may end while the receiver keeps a daemon thread waiting.
        self._thread = threading.Thread(target=self._send, args=(job, run_id), daemon=True)
        self._thread.start()

    def put(self, event: dg.DagsterEvent) -> None:
        """Takes one of Dagster's events."""
        self._failed |= event.is_failure
        if self._thread.is_alive():
            self._events.put((time.time(), event))

    def close(self, ended: bool) -> LakehouseError | None:
        """Sends the end of the run, and waits a moment for what is not sent yet.

        Args:
            ended: Whether the run came to its end.

        Returns:
            Why not all could be sent, if so.
        """
        self._failed |= not ended
        self._events.put((time.time(), None))
        self._thread.join(WAIT_SECONDS)
        fix = Code.OPENLINEAGE.fix
        if isinstance(self._error, ModuleNotFoundError):
            cause, fix = f"no {self._error.name}", "Install stedi_assets[openlineage]"
        elif self._error is not None:
            # By its kind alone: what it says may quote a URL with a password.
            cause = type(self._error).__name__
        elif self._thread.is_alive():
            cause = f"no answer {WAIT_SECONDS} s after the run's end"
        else:
            return None
        return LakehouseError(
            f"OpenLineage events of the run could not be sent ({cause}); the run itself is not "
            f"affected. {fix}.",
            Code.OPENLINEAGE,
        )

    def _send(self, job: dg.JobDefinition, run_id: str) -> None:
        try:
            with _without_urllib3_warnings():
                from stedi_assets.orchestration.openlineage_events import RunEvents

                events = RunEvents(job, run_id)
                while True:
                    at, event = self._events.get()
                    if event is None:
                        break
                    events.take(at, event)
                events.end(at, failed=self._failed)
        except Exception as error:
            self._error = error


@contextlib.contextmanager
def _without_urllib3_warnings() -> Iterator[None]:
    """Keeps this thread's failed attempts out of the terminal, where each retry would be a line."""
    logger, ours = logging.getLogger("urllib3.connectionpool"), threading.get_ident()

    def is_of_others(record: logging.LogRecord) -> bool:
        return record.thread != ours

    logger.addFilter(is_of_others)
    try:
        yield
    finally:
        logger.removeFilter(is_of_others)
