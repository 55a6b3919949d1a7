"""What errors of the system, of services and of engines mean: the one table of it."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator

from stedi_assets.errors import Code

# The code of an answer that is not whole, as `s3_answers` finds it.
INCOMPLETE = "IncompleteAnswer"

# What errors are known by apart from their text: numbers of the operating system; error codes of
# S3, Glue and Athena, without `Exception` at their end, and of HTTP; classes of botocore, delta-rs
# and Python; result codes of SQLite; conditions of Spark and Delta; statuses of gRPC.
SIGNS: dict[Code, tuple[int | str, ...]] = {
    Code.DISK_FULL: (errno.ENOSPC, errno.EDQUOT, "SQLITE_FULL", "SQLITE_IOERR_SHMSIZE"),
    Code.READ_ONLY: (errno.EROFS, "SQLITE_READONLY"),
    Code.PERMISSION: (errno.EACCES, errno.EPERM, "AccessDenied", "403", "SQLITE_CANTOPEN"),
    Code.NOT_A_FOLDER: (errno.ENOTDIR, errno.EEXIST),
    Code.NAME_TOO_LONG: (errno.ENAMETOOLONG,),
    Code.NO_BUCKET: ("NoSuchBucket",),
    Code.NO_CREDENTIALS: ("NoCredentialsError", "PartialCredentialsError"),
    Code.WRONG_CREDENTIALS: (
        *("InvalidAccessKeyId", "InvalidClientTokenId", "InvalidSignature", "InvalidToken"),
        *("SignatureDoesNotMatch", "UnrecognizedClient"),
    ),
    Code.EXPIRED_CREDENTIALS: (
        *("ExpiredToken", "RequestExpired", "CredentialRetrievalError", "SSOError"),
    ),
    Code.NO_REGION: ("NoRegionError",),
    Code.NO_CONDITIONAL_WRITES: ("NotImplemented",),
    Code.NO_ANSWER: (
        *(errno.ECONNREFUSED, errno.ECONNRESET, "ConnectionError", "HTTPClientError"),
    ),
    Code.CUT_ANSWER: (
        *(INCOMPLETE, "ChecksumError", "FlexibleChecksumError", "IncompleteReadError"),
        "ResponseStreamingError",
    ),
    Code.OVERLOADED: (
        *("InternalError", "InternalServer", "InternalService", "OperationTimeout"),
        *("RequestLimitExceeded", "ServiceUnavailable", "SlowDown", "Throttling"),
        *("TooManyRequests", "500", "502", "503", "504"),
    ),
    Code.WRITE_CONFLICT: (
        *("PreconditionFailed", "ConditionalRequestConflict", "CommitFailedError"),
        *("DELTA_CONCURRENT_APPEND", "DELTA_CONCURRENT_DELETE_DELETE"),
        *("DELTA_CONCURRENT_DELETE_READ", "DELTA_CONCURRENT_TRANSACTION"),
        "DELTA_CONCURRENT_WRITE",
    ),
    Code.DATA_FILE_DAMAGED: ("FAILED_READ_FILE",),
    Code.NO_DATABASE: ("EntityNotFound",),
    Code.ENGINE_LOST: ("UNAVAILABLE", "RETRIES_EXCEEDED"),
    Code.ENGINE_TOKEN: ("UNAUTHENTICATED",),
    Code.ENGINE_JAR: ("DATA_SOURCE_NOT_FOUND",),
}
CODES = {sign: code for code, signs in SIGNS.items() for sign in signs}
# Where an engine gives text alone. What stands in brackets is one of the signs above.
SIGNS_IN_TEXT = (
    r"<Code>(\w+)</Code>",  # object_store, in Sail 0.7.2 and delta-rs 1.6.6
    r"status code\W.*?\b([45]\d\d) [A-Z]",  # the same, of an answer without a document
    r"\(os error (\d+)\)",  # Rust, in Sail 0.7.2 and delta-rs 1.6.6
)
TEXTS = {
    # object_store, in Sail 0.7.2 and delta-rs 1.6.6.
    "error sending request|connection closed before message completed": Code.NO_ANSWER,
    "response body error|list response body|invalid list response": Code.CUT_ANSWER,
    "received non-partial response|range length must match buffer": Code.CUT_ANSWER,
    # Sail 0.7.2, of a log that delta-rs has just read.
    "no (commit|_delta_log) files found|missing commit file": Code.CUT_ANSWER,
    "invalid json in log record|cannot load table state": Code.CUT_ANSWER,
    # Sail 0.7.2.
    "failed to commit transaction": Code.WRITE_CONFLICT,
    "no credentials found in chain|failed to load imds session token": Code.NO_CREDENTIALS,
    "parquet error": Code.DATA_FILE_DAMAGED,
    # Arrow 26.0, by the codec.
    r"corrupt \w+ compressed data|\w+ decompress\w* failed": Code.DATA_FILE_DAMAGED,
    "failed to allocate additional|resources exhausted": Code.OUT_OF_MEMORY,
    # JVM Spark 4.2.1, which passes on what Java 17 says, and that what the C library says.
    "outofmemoryerror": Code.OUT_OF_MEMORY,
    "no filesystem for scheme|s3afilesystem not found": Code.ENGINE_JAR,
    "noauthwithawsexception": Code.ENGINE_CREDENTIALS,
    **{
        re.escape(os.strerror(sign).lower()): code
        for sign, code in CODES.items()
        if isinstance(sign, int)
    },
    # Athena by botocore 1.43, whose code is InvalidRequestException.
    "workgroup.*(not found|does not exist)": Code.NO_WORKGROUP,
}
# Whose text is looked at: that of an error in the code may quote anything.
ENGINES = {"pyspark", "grpc", "_internal", "deltalake", "pyarrow", "botocore"}


def code_of(error: BaseException) -> Code | None:
    """What an error means, or None if it is no fault that a user can fix."""
    if code := next((CODES[sign] for sign in _signs(error) if sign in CODES), None):
        # JVM Spark says of each file that it could not read only that, and why in its text.
        return (code is Code.DATA_FILE_DAMAGED and _in_text(str(error))) or code
    numbered = isinstance(error, OSError) and error.errno is not None
    engine = type(error).__module__.partition(".")[0]
    if numbered:
        return Code.REFUSED
    by_text = _in_text(str(error)) if engine in ENGINES or isinstance(error, OSError) else None
    return by_text or (Code.REFUSED if engine == "botocore" else None)


def _signs(error: BaseException) -> Iterator[int | str]:
    """What an error is known by, apart from its text."""
    if isinstance(answer := getattr(error, "response", None), dict):
        yield answer["Error"]["Code"].removesuffix("Exception")
    if isinstance(error, OSError) and error.errno:
        yield error.errno
    yield sqlite_name(error)
    yield "_".join(sqlite_name(error).split("_")[:2])
    for get in ("getCondition", "getGrpcStatusCode"):  # of PySpark
        known = getattr(error, get, lambda: None)()
        yield str(getattr(known, "name", known)).partition(".")[0]
    yield from (kind.__name__ for kind in type(error).__mro__)


def sqlite_name(error: BaseException) -> str:
    """SQLite's name for an error, which SQLAlchemy keeps in its own; empty for others."""
    return getattr(getattr(error, "orig", error), "sqlite_errorname", "")


def _in_text(said: str) -> Code | None:
    signs = [sign for each in SIGNS_IN_TEXT for sign in re.findall(each, said, re.DOTALL)]
    for sign in signs:
        if code := CODES.get(sign) or (CODES.get(int(sign)) if sign.isdecimal() else None):
            return code
    found = (code for text, code in TEXTS.items() if re.search(text, said, re.IGNORECASE))
    return next(found, None)
