"""What storage says when it fails, and what that means for the person who reads it."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator

from stedi_assets.errors import LakehouseError

# The code of an answer that is not whole, as `s3_answers` finds it.
INCOMPLETE = "IncompleteAnswer"
# What file systems, S3, boto3 and the engines say, in the order in which it is looked for.
MEANINGS = {
    "failed to commit transaction|delta_concurrent": (
        "another run wrote it at the same time. Wait for that run to end"
    ),
    "preconditionfailed|conditionalrequestconflict": (
        "another run or a device wrote a file by the same name at the same time. Wait for it to end"
    ),
    "notimplemented": (
        "the object store does not know conditional writes (If-None-Match and If-Match), without "
        "which writers overwrite each other. Use one that does"
    ),
    "no space left|errno 28": "the disk is full. Make room",
    "disk quota": "the disk quota is used up. Make room",
    "read-only file system": "the file system is read-only. Mount it for writing",
    "not a directory|file exists|path does not exist": (
        "a file stands where a folder belongs. Move it away"
    ),
    "name too long": "a file's name is too long. Shorten it",
    "nosuchbucket|bucket does not exist": "the bucket does not exist. Create it",
    "expiredtoken|token has expired|token included in the request is expired": (
        "the AWS credentials have expired. Renew them"
    ),
    "invalidaccesskeyid|signaturedoesnotmatch|invalidtoken|unrecognizedclient|invalidsignature": (
        "the AWS credentials are wrong. Correct AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or "
        "AWS_PROFILE"
    ),
    "unable to locate credentials|no providers in chain|not loaded from": (
        "there are no AWS credentials. Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or "
        "AWS_PROFILE"
    ),
    "access[ _]?denied|permission denied|forbidden": ("there is no permission for that. Grant it"),
    "connection (refused|reset|closed|was closed)|could not connect|error sending request"
    "|timeout on endpoint": (
        "the object store does not answer. Start it, or correct AWS_ENDPOINT_URL"
    ),
    # What the reader of Delta logs calls an internal error is damage, which waiting does not mend.
    "incompleteanswer|incompleteread|checksumerror|connection broken|invalid list response"
    "|list response body|no (commit|_delta_log) files found|missing commit file": (
        "what the object store answers is cut short, or is no answer of an object store. Wait for "
        "it, or correct AWS_ENDPOINT_URL"
    ),
    "slowdown|slow down|reduce your request rate|service ?unavailable"
    "|(?<!kernel error: )internal ?(server ?)?error": (
        "the object store fails or is overloaded. Wait for it"
    ),
}


DAMAGED = "parquet error"
# The beginnings of those meanings that may pass by themselves.
TRANSIENT = (
    "another run or a device wrote",
    "the object store does not answer",
    "what the object store answers is cut short",
    "the object store fails or is overloaded",
)


def meaning(error: Exception) -> str | None:
    """What an error means for storage and how to mend it, or None if it is no fault of storage."""
    said = str(error).lower()
    return next((means for signs, means in MEANINGS.items() if re.search(signs, said)), None)


def fault(uri: str, error: Exception) -> LakehouseError | None:
    """The fault of the storage behind an error, if it is one that a user can mend."""
    means = meaning(error)
    if means is None and DAMAGED in str(error).lower():
        return LakehouseError(
            f"{uri} has a data file that is gone or damaged. Restore it from a backup, or "
            "materialise the table again, which reads none of its old files."
        )
    if means is None:
        return None
    return LakehouseError(
        f"{uri} cannot be used: {means}, or set STEDI_LAKEHOUSE_URI to another place, then run "
        "again. The table stays at its last good version.",
        transient=means.startswith(TRANSIENT),
    )


@contextlib.contextmanager
def storage_faults(uri: str) -> Iterator[None]:
    """Says in one sentence why a place could not be read or written.

    Raises:
        LakehouseError: For the faults that a user can mend; others pass as they are.
    """
    from pyspark.errors import PySparkException

    try:
        yield
    except (PySparkException, OSError) as error:
        if meant := fault(uri, error):
            raise meant from None
        raise
