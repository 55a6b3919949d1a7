"""The errors that a user can cause and mend."""

from __future__ import annotations

import contextlib
import re
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
from dagster_shared.error import SerializableErrorInfo

# A store that stays down is told of within half a minute.
RETRIES = 1
RETRY_SECONDS = 5
CHECK_FAILED = "a blocking check failed; it says why"
UNEXPECTED = "an unexpected error; its trace is with the run in the Dagster UI"
PACKAGE = Path(__file__).parent
# What the embedded engine and a JVM Spark say, and what to do then.
OUT_OF_MEMORY = "failed to allocate additional|resources exhausted|outofmemoryerror"
MORE_MEMORY = (
    "The engine needs more memory than it may take. Give the machine or the container more, or set "
    "STEDI_SPARK_REMOTE to a server that has it, then run again; every table is at its last good "
    "version."
)
# What gRPC says of a connection that is gone, and PySpark once it has tried long enough.
ENGINE_LOST = "statuscode.unavailable|retries_exceeded"
CONNECTION_LOST = (
    "The connection to the Spark engine was lost. If STEDI_SPARK_REMOTE is set, make sure that its "
    "server runs. Then run again; every table is at its last good version."
)
TOKEN_REFUSED = "statuscode.unauthenticated"
CORRECT_TOKEN = (
    "The Spark Connect server of STEDI_SPARK_REMOTE refuses its token, or wants one. Set it as the "
    "server says, sc://host:port/;token=…, then run again; every table is at its last good version."
)
MEANINGS = {
    OUT_OF_MEMORY: MORE_MEMORY,
    ENGINE_LOST: CONNECTION_LOST,
    TOKEN_REFUSED: CORRECT_TOKEN,
}


class LakehouseError(dg.Failure):
    """A fault outside the code: its message names the thing and the mend, without personal data.

    Args:
        message: What is wrong and how to mend it.
        transient: Whether it may pass by itself, so that the same again may succeed.
    """

    def __init__(self, message: str, *, transient: bool = False) -> None:
        super().__init__(description=message, allow_retries=transient)

    def __str__(self) -> str:
        return self.description or ""


@contextlib.contextmanager
def words_withheld() -> Iterator[None]:
    """Has an unexpected error tell its kind and the places it passed, but nothing that it says.

    What an engine or a library says may quote a row, which Dagster would keep with the run.

    Raises:
        LakehouseError: In its stead, with its trace.
    """
    try:
        yield
    except (dg.Failure, dg.RetryRequested, dg.DagsterError):
        raise
    except Exception as error:
        for said, meaning in MEANINGS.items():
            if re.search(said, str(error), re.IGNORECASE):
                raise LakehouseError(meaning) from None
        trace = traceback.extract_tb(error.__traceback__)
        ours = [frame for frame in trace if Path(frame.filename).is_relative_to(PACKAGE)]
        place = [f" at {Path(frame.filename).name}:{frame.lineno}" for frame in ours[-1:]]
        raise LakehouseError(
            f"An unexpected {type(error).__name__}{''.join(place)}. What it says is withheld, "
            "since it may quote a person's data; the places that it passed are with the run in "
            "the Dagster UI. Materialise again what the step reads, then run again."
        ).with_traceback(error.__traceback__) from None


@contextlib.contextmanager
def transient_faults_retried() -> Iterator[None]:
    """Has Dagster try a step again after a fault that may pass by itself, and after no other.

    A retry policy would also try again after errors in the code.

    Raises:
        RetryRequested: For such a fault; when all retries have failed, the step fails with it.
        LakehouseError: For every other error, as by `words_withheld`.
    """
    try:
        with words_withheld():
            yield
    except LakehouseError as error:
        if not error.allow_retries:
            raise
        raise dg.RetryRequested(max_retries=RETRIES, seconds_to_wait=RETRY_SECONDS) from error


@contextlib.contextmanager
def fault_ends_process() -> Iterator[None]:
    """Ends a command at a user's fault with its sentence alone, and exit status 1."""
    try:
        yield
    except LakehouseError as error:
        sys.exit(str(error))


def told_before_first_step(error: SerializableErrorInfo | None) -> str:
    """What to say of a run that failed before its first step, as `failure_told` of a step."""
    while error is not None:
        if error.cls_name == LakehouseError.__name__:
            return error.message.partition(": ")[2].strip()
        error = error.cause
    return UNEXPECTED


def failure_told(failure: Any) -> str:
    """What may be told of a failed step: a mendable fault's own sentence, never a trace.

    Args:
        failure: The data of the step's failure event.
    """
    if failure.user_failure_data is not None:
        return str(failure.user_failure_data.description)
    if failure.error is not None and failure.error.cls_name == "DagsterAssetCheckFailedError":
        return CHECK_FAILED
    return UNEXPECTED
