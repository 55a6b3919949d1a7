"""The errors that a user can cause and mend."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from typing import Any

import dagster as dg

# A store that stays down is told of within half a minute.
RETRIES = 1
RETRY_SECONDS = 5
CHECK_FAILED = "a blocking check failed; it says why"
# What the embedded engine and a JVM Spark say, and what to do then.
OUT_OF_MEMORY = "failed to allocate additional|resources exhausted|outofmemoryerror"
MORE_MEMORY = (
    "the engine needs more memory than it may take. Give the machine or the container more, or set "
    "STEDI_SPARK_REMOTE to a server that has it, then run again; every table is at its last good "
    "version"
)


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
def transient_faults_retried() -> Iterator[None]:
    """Has Dagster try a step again after a fault that may pass by itself, and after no other.

    A retry policy would also try again after errors in the code.

    Raises:
        RetryRequested: For such a fault; when all retries have failed, the step fails with it.
    """
    try:
        yield
    except LakehouseError as error:
        if not error.allow_retries:
            raise
        raise dg.RetryRequested(max_retries=RETRIES, seconds_to_wait=RETRY_SECONDS) from error


def failure_told(failure: Any) -> str:
    """What may be told of a failed step: a mendable fault's own sentence, never a trace.

    Args:
        failure: The data of the step's failure event.
    """
    if failure.user_failure_data is not None:
        return str(failure.user_failure_data.description)
    if failure.error is not None and failure.error.cls_name == "DagsterAssetCheckFailedError":
        return CHECK_FAILED
    if _says(failure.error, OUT_OF_MEMORY):
        return MORE_MEMORY
    return "an unexpected error; its trace is with the run in the Dagster UI"


def _says(error: Any, signs: str) -> bool:
    """Whether an error, or one that it came of, says so."""
    while error is not None:
        if re.search(signs, error.message, re.IGNORECASE):
            return True
        error = error.cause
    return False
