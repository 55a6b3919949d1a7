"""Faults as Dagster's failures and retries, and what may be shown of a failed run."""

from __future__ import annotations

import contextlib
import re
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
from dagster_shared.error import SerializableErrorInfo

import stedi_assets
from stedi_assets.errors import LakehouseError

# A store that stays down is reported within half a minute.
RETRIES = 1
RETRY_SECONDS = 5
CHECK_FAILED = "a blocking check failed; it says why"
UNEXPECTED = "an unexpected error; its trace is with the run in the Dagster UI"
PACKAGE = Path(stedi_assets.__file__).parent
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


@contextlib.contextmanager
def faults_fail_step(*, retry: bool = False) -> Iterator[None]:
    """Fails a step by a fault's own sentence; an unexpected error shows its kind and place alone.

    What an engine or a library says may quote a row, which Dagster would keep with the run.

    Args:
        retry: Whether Dagster tries the step again after a fault that may pass by itself. A retry
            policy would also try again after errors in the code.

    Raises:
        dg.Failure: For every error, with its trace.
        dg.RetryRequested: For a fault that may pass by itself, if `retry`.
    """
    try:
        yield
    except (dg.Failure, dg.RetryRequested, dg.DagsterError):
        raise
    except Exception as error:
        fault = error if isinstance(error, LakehouseError) else _withheld(error)
        failure = dg.Failure(str(fault), allow_retries=fault.transient)
        if retry and fault.transient:
            raise dg.RetryRequested(RETRIES, RETRY_SECONDS) from failure
        raise failure.with_traceback(error.__traceback__) from None


def _withheld(error: Exception) -> LakehouseError:
    for said, meaning in MEANINGS.items():
        if re.search(said, str(error), re.IGNORECASE):
            return LakehouseError(meaning)
    trace = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in trace if Path(frame.filename).is_relative_to(PACKAGE)]
    place = [f" at {Path(frame.filename).name}:{frame.lineno}" for frame in ours[-1:]]
    return LakehouseError(
        f"An unexpected {type(error).__name__}{''.join(place)}. What it says is withheld, since it "
        "may quote a person's data; the places that it passed are with the run in the Dagster UI. "
        "Materialise again what the step reads, then run again."
    )


def shown_before_first_step(error: SerializableErrorInfo | None) -> str:
    """What to say of a run that failed before its first step, as `shown_of` of a step."""
    while error is not None:
        if error.cls_name == LakehouseError.__name__:
            return error.message.partition(": ")[2].strip()
        error = error.cause
    return UNEXPECTED


def shown_of(failure: Any) -> str:
    """What may be shown of a failed step: a fault's own sentence, never a trace.

    Args:
        failure: The data of the step's failure event.
    """
    if failure.user_failure_data is not None:
        return str(failure.user_failure_data.description)
    if failure.error is not None and failure.error.cls_name == "DagsterAssetCheckFailedError":
        return CHECK_FAILED
    return shown_before_first_step(failure.error)
