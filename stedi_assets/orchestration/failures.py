"""Faults as Dagster's failures and retries, and what may be shown of a failed run."""

from __future__ import annotations

import contextlib
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
from dagster_shared.error import SerializableErrorInfo

import stedi_assets
from stedi_assets.errors import Code, LakehouseError
from stedi_assets.storage import faults

# A store that stays down is reported within half a minute.
RETRIES = 1
RETRY_SECONDS = 5
CHECK_FAILED = "a blocking check failed; it says why"
UNEXPECTED = "an unexpected error; its trace is with the run in the Dagster UI"
PACKAGE = Path(stedi_assets.__file__).parent
CODE = "code"  # of a failure's metadata


@contextlib.contextmanager
def faults_fail_step(*, retry: bool = False) -> Iterator[None]:
    """Fails a step by a fault's own sentence, with its code in the failure's metadata.

    Of an unexpected error the kind and the place alone are shown.

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
        fault = error if isinstance(error, LakehouseError) else _known(error) or _withheld(error)
        shown = {CODE: fault.code.name}
        failure = dg.Failure(str(fault), metadata=shown, allow_retries=fault.transient)
        if retry and fault.transient:
            raise dg.RetryRequested(RETRIES, RETRY_SECONDS) from failure
        raise failure.with_traceback(error.__traceback__) from None


def _known(error: Exception) -> LakehouseError | None:
    known = faults.fault(None, error)
    return None if known and known.code is Code.REFUSED else known  # a trace says more


def _withheld(error: Exception) -> LakehouseError:
    trace = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in trace if Path(frame.filename).is_relative_to(PACKAGE)]
    place = [f" at {Path(frame.filename).name}:{frame.lineno}" for frame in ours[-1:]]
    return LakehouseError(
        f"An unexpected {type(error).__name__}{''.join(place)}. What it says is withheld, since it "
        "may quote a person's data; the places that it passed are with the run in the Dagster UI. "
        "Materialise again what the step reads, then run again.",
        Code.UNEXPECTED,
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


def code_of(failure: Any) -> Code | None:
    """The code of the fault that a step failed with, if it did with one.

    Args:
        failure: The data of the step's failure event.
    """
    shown = failure.user_failure_data.metadata if failure.user_failure_data else {}
    return Code[str(shown[CODE].value)] if CODE in shown else None
