"""What is said at each fault: the one place that pins sentences; and what errors mean."""

from __future__ import annotations

import errno
import gzip
import json
import os
import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from socket import socket

import dagster as dg
import pyarrow as pa
import pytest
from botocore import exceptions as botocore
from deltalake import DeltaTable, write_deltalake
from deltalake.exceptions import CommitFailedError
from pyspark.errors.exceptions.connect import (
    AnalysisException,
    SparkConnectGrpcException,
    SparkException,
    UnknownException,
)

from docs import errors as page
from stedi_assets import cli, loopback
from stedi_assets.console import duck
from stedi_assets.contract.odcs import contract_of
from stedi_assets.engine.spark import SparkResource
from stedi_assets.errors import Code, LakehouseError
from stedi_assets.lakehouse import delta
from stedi_assets.lakehouse.lakehouse import Lakehouse
from stedi_assets.landing import quarantine
from stedi_assets.landing import upload as arrival
from stedi_assets.landing.files import LandingFiles
from stedi_assets.orchestration import openlineage
from stedi_assets.orchestration.failures import faults_fail_step
from stedi_assets.orchestration.notify import SlackNotifier
from stedi_assets.pseudonyms import Pseudonyms
from stedi_assets.storage import faults, signs
from stedi_assets.storage.faults import service_faults, table_fault
from stedi_assets.storage.folder import StoredFile
from stedi_assets.storage.local import LocalFolder
from stedi_assets.tables.customer import CUSTOMER_LANDING, CUSTOMER_TRUSTED

LAKEHOUSE = "s3://bucket/lakehouse"
URI = f"{LAKEHOUSE}/customer/trusted"
AT = f"The lakehouse cannot be used at {URI}: "
KEPT = "then run again. Every table is at its last good version."
ZERO = "00000000-0000-0000-0000-000000000000"
MOVE = "or set STEDI_LAKEHOUSE_URI to another place, "


def aws(code: str, message: str = "") -> Exception:
    return botocore.ClientError({"Error": {"Code": code, "Message": message}}, "PutObject")


def sail(said: str) -> Exception:
    return SparkException(said)


# By errors as they come, of one kind each; test_code_of has the other kinds.
OF_STORAGE: dict[Code, tuple[Exception, str]] = {
    Code.DISK_FULL: (
        OSError(errno.ENOSPC, "", "/nowhere"),
        f"{AT}the disk is full, or its quota used up. Make room, {MOVE}{KEPT}",
    ),
    Code.READ_ONLY: (
        OSError(errno.EROFS, ""),
        f"{AT}the file system is read-only. Mount it for writing, {MOVE}{KEPT}",
    ),
    Code.PERMISSION: (
        aws("AccessDenied"),
        f"{AT}there is no permission for that. Grant it, {MOVE}{KEPT}",
    ),
    Code.NOT_A_FOLDER: (
        OSError(errno.ENOTDIR, ""),
        f"{AT}a file stands where a folder belongs. Move it away, {MOVE}{KEPT}",
    ),
    Code.NAME_TOO_LONG: (
        OSError(errno.ENAMETOOLONG, ""),
        f"{AT}a file's name is too long. Shorten it, {KEPT}",
    ),
    Code.NO_BUCKET: (
        aws("NoSuchBucket"),
        f"{AT}the bucket does not exist. Create it, {MOVE}{KEPT}",
    ),
    Code.NO_CREDENTIALS: (
        botocore.NoCredentialsError(),
        f"{AT}there are no AWS credentials. Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or "
        f"AWS_PROFILE, {KEPT}",
    ),
    Code.WRONG_CREDENTIALS: (
        aws("SignatureDoesNotMatch"),
        f"{AT}the AWS credentials are wrong. Correct AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, "
        f"or AWS_PROFILE, {KEPT}",
    ),
    Code.EXPIRED_CREDENTIALS: (
        aws("ExpiredToken"),
        f"{AT}the AWS credentials have expired. Renew them, {KEPT}",
    ),
    Code.NO_REGION: (
        botocore.NoRegionError(),
        f"{AT}there is no AWS region. Set AWS_REGION, {KEPT}",
    ),
    Code.NO_CONDITIONAL_WRITES: (
        aws("NotImplemented"),
        f"{AT}the object store does not know conditional writes (If-None-Match and If-Match), "
        f"without which writers overwrite each other. Use one that does, {KEPT}",
    ),
    Code.NO_ANSWER: (
        botocore.EndpointConnectionError(endpoint_url="http://127.0.0.1:9"),
        f"{AT}the service does not answer. Start it, or correct AWS_ENDPOINT_URL or the network, "
        f"{KEPT}",
    ),
    Code.CUT_ANSWER: (
        aws(signs.INCOMPLETE),
        f"{AT}its answer is cut short, or is not that of an object store. Wait for it, or correct "
        f"AWS_ENDPOINT_URL, {KEPT}",
    ),
    Code.OVERLOADED: (
        aws("SlowDown"),
        f"{AT}the service fails for the moment, or has too many requests. Wait a minute, {KEPT}",
    ),
    Code.REFUSED: (
        aws("MethodNotAllowed", "of ann@example.com.json"),
        f"{AT}the system or the service refuses it (MethodNotAllowed). Correct what it names, "
        f"{KEPT}",
    ),
    Code.WRITE_CONFLICT: (
        CommitFailedError(""),
        f"{AT}another run or a device wrote it at the same time. Wait for that to end, {KEPT}",
    ),
    Code.DATA_FILE_DAMAGED: (
        sail("Parquet error: Invalid Parquet file. Corrupt footer"),
        f"{AT}a data file is gone or damaged. Restore it from a backup, or make the table anew "
        "with `rebuild: true`, then run again.",
    ),
    Code.ENGINE_LOST: (
        SparkConnectGrpcException("RETRIES_EXCEEDED", errorClass="RETRIES_EXCEEDED"),
        "The connection to the Spark engine was lost. If STEDI_SPARK_REMOTE is set, make sure that "
        f"its server runs, {KEPT}",
    ),
    Code.ENGINE_TOKEN: (
        type("Refusal", (Exception,), {"getGrpcStatusCode": lambda self: "UNAUTHENTICATED"})(),
        "The Spark Connect server of STEDI_SPARK_REMOTE refuses its token, or wants one. Set it as "
        f"the server says, sc://host:port/;token=…, {KEPT}",
    ),
    Code.ENGINE_JAR: (
        UnknownException('No FileSystem for scheme "s3"'),
        "The Spark server lacks a jar, of Delta or of S3. Start it with delta-spark and hadoop-aws "
        "of its release, as `stedi spark-server` does where STEDI_LAKEHOUSE_URI is on S3, "
        f"{KEPT}",
    ),
    Code.ENGINE_CREDENTIALS: (
        UnknownException(
            "org.apache.hadoop.fs.s3a.auth.NoAuthWithAWSException: No AWS Credentials"
        ),
        "The Spark server, or one of its workers, has no key of the object store. Set "
        "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY where the server starts, which gives them to "
        f"its workers, {KEPT}",
    ),
    Code.OUT_OF_MEMORY: (
        sail("Resources exhausted: "),
        "The engine needs more memory than it may take. Give the machine or the container more, or "
        f"set STEDI_SPARK_REMOTE to a server that has it, {KEPT}",
    ),
}


@pytest.mark.parametrize("code", OF_STORAGE, ids=lambda code: code.name)
def test__fault(code: Code) -> None:
    error, said = OF_STORAGE[code]
    fault = faults.fault(URI, error)
    assert fault is not None
    assert str(fault) == f"[{code.name}] {said}"
    assert fault.transient is code.transient


class Changing(LocalFolder):
    """A folder in which each file is another one a moment later."""

    def file(self, name: str) -> StoredFile | None:
        return None


def _taken_port() -> None:
    with closing(socket()) as taken:
        taken.bind((loopback.HOST, 0))
        taken.listen()
        loopback.require_free(taken.getsockname()[1], "dev", "PORT")


def _landing_name(folder: Path) -> None:
    (folder / "a*.json").write_text("")
    LocalFolder(f"file://{folder}").json_lines()


def _landing_file(folder: Path) -> None:
    (folder / "a.json.gz").write_bytes(gzip.compress(b"{}\n" * 99)[:-9])
    landing = LocalFolder(f"file://{folder}")
    [file] = landing.files()
    list(quarantine.lines(landing, "a1b2c3", file))


def _file_changed(folder: Path) -> None:
    (folder / "a.json").write_text("{}\n")
    arrival.ingest(Changing(f"file://{folder}"), LocalFolder(f"file://{folder}/landing"))


def _other_release(folder: Path) -> None:
    write_deltalake(folder, pa.table({"n": [1]}))
    features = {"readerFeatures": ["deletionVectors"], "writerFeatures": ["deletionVectors"]}
    protocol = {"minReaderVersion": 3, "minWriterVersion": 7, **features}
    (folder / "_delta_log" / f"{1:020}.json").write_text(json.dumps({"protocol": protocol}))
    delta.dataset(f"file://{folder}", DeltaTable(folder))


def _service(code: str, message: str = "") -> None:
    with service_faults("Athena cannot run a query", "Then run the check again."):
        raise aws(code, message)


def _broken_contract(folder: Path) -> None:
    former = contract_of(replace(CUSTOMER_TRUSTED, key=("email",)))
    (folder / "former.yaml").write_text(former.to_yaml())
    cli.stedi(["contract", "diff", f"--against={folder}"], standalone_mode=False)


def _no_receiver(_: Path) -> None:
    sender = openlineage.Sender(dg.JobDefinition(graph_def=dg.GraphDefinition("job")), ZERO)
    fault = sender.close(ended=True)
    assert fault is not None
    raise fault


def _unexpected(_: Path) -> None:
    with faults_fail_step():
        raise ZeroDivisionError("ann@example.com")


# How each other code is provoked, given an empty folder, and what is said then of that folder.
ELSEWHERE: dict[Code, tuple[Callable[[Path], object], str]] = {
    Code.SETTING: (
        lambda _: Pseudonyms("short").require_key(),
        "Pseudonyms need a secret of 32 to 64 characters in STEDI_PSEUDONYM_KEY. Make one with "
        "`openssl rand -hex 32`, and keep it: with another key the same value has another "
        "pseudonym.",
    ),
    Code.PORT: (
        lambda _: _taken_port(),
        "Port … is in use: another `dev` may be running. Stop what listens there, or choose another"
        " port: `stedi dev --port …`, `make dev PORT=…`.",
    ),
    Code.NOTIFICATION: (
        lambda _: SlackNotifier("nonsense").notify("Run 1 failed.", ""),
        "Run 1 failed. Slack cannot be reached (ValueError): correct STEDI_SLACK_WEBHOOK_URL.",
    ),
    Code.LANDING_EMPTY: (
        lambda folder: LandingFiles(CUSTOMER_LANDING, f"file://{folder}").files,
        "The landing folder file://… has no *.json or *.json.gz file. Let files arrive there, or "
        "set STEDI_SOURCE_DATA to a folder that has customer/landing/*.json.",
    ),
    Code.LANDING_NAME: (
        _landing_name,
        "In file://…, file 1 of 1 by name (0 bytes) cannot be read by its name. Rename it without "
        "control characters and any of % * : ? [ \\ ] { }.",
    ),
    Code.LANDING_FILE: (
        _landing_file,
        "The landing file a1b2c3 of file://… is damaged or cut short. Put a whole copy in its "
        "place, under the same name.",
    ),
    Code.FILE_CHANGED: (
        _file_changed,
        "A file of file://… changed while it was copied, so it has not landed. Run again when "
        "it is complete; settle_seconds leaves recently modified files to the next run.",
    ),
    Code.NOT_MATERIALISED: (
        lambda folder: Lakehouse(str(folder), SparkResource()).arrow(CUSTOMER_TRUSTED),
        "customer_trusted is not in the lakehouse yet: there is no Delta table at "
        "file://…/customer/trusted. Materialise it first.",
    ),
    Code.OTHER_RELEASE: (
        _other_release,
        "file://… cannot be read without Spark: The table has set these reader features: "
        "{'deletionVectors'} but these are not yet supported by the deltalake reader. Read it as a "
        "pyspark.sql.DataFrame, or materialise it again, which writes it without.",
    ),
    Code.LOG_DAMAGED: (
        lambda folder: _raise(table_fault(f"file://{folder}", Code.LOG_DAMAGED)),
        "The lakehouse cannot be used at file://…: a Delta log lacks a file, or holds one that "
        "cannot be read. Restore it from a backup, or move the table's folder away and materialise "
        "again, then run again.",
    ),
    Code.CONTRACT: (
        _broken_contract,
        "Those who rely on these tables would break: undo each change, or raise MAJOR in the "
        "version of the table's declaration and run make generate. Of a table that is gone keep "
        "the contract, with the status retired and its next major version.",
    ),
    Code.OPENLINEAGE: (
        _no_receiver,
        "OpenLineage events of the run could not be sent (ValueError); the run itself is not "
        "affected. Start what receives them, or correct the OPENLINEAGE_ variables.",
    ),
    Code.NO_DATABASE: (
        lambda _: _service("EntityNotFoundException"),
        "Athena cannot run a query: there is no such Glue database. Create it, or correct "
        "STEDI_GLUE_DATABASE. Then run the check again.",
    ),
    Code.NO_WORKGROUP: (
        lambda _: _service("InvalidRequestException", "WorkGroup nightly is not found."),
        "Athena cannot run a query: there is no such Athena workgroup. Create it, or correct "
        "STEDI_ATHENA_WORKGROUP. Then run the check again.",
    ),
    Code.QUERY: (
        lambda _: duck.statements("DROP TABLE customer_trusted"),
        "DROP is not a query, and the lakehouse is open for reading only. Use SELECT, DESCRIBE or "
        "SUMMARIZE.",
    ),
    Code.ENGINE_UNREACHABLE: (
        lambda _: SparkResource(remote="sc://127.0.0.1:9").spark_session,
        "No Spark Connect server answers at STEDI_SPARK_REMOTE=sc://127.0.0.1:9. Start it or "
        "correct the address, or leave the setting empty for the embedded engine.",
    ),
    Code.UNEXPECTED: (
        _unexpected,
        "An unexpected ZeroDivisionError at failures.py:…. What it says is withheld, since it may "
        "quote a person's data; the places that it passed are with the run in the Dagster UI. "
        "Materialise again what the step reads, then run again.",
    ),
}
# Provoked where there is what that takes: moto, an erasure, a JVM, an engine that is late, a UI.
BY_OTHER_TESTS = {
    Code.HISTORY,
    Code.NOT_INSTALLED,
    Code.NOT_PUBLISHED,
    Code.SPLIT_EMPTY,
    Code.VERSION_GONE,
    Code.TABLE_DIFFERS,
    Code.FOREIGN_TABLE,
    Code.PEOPLE_LEFT,
    Code.ENGINE_SETUP,
    Code.ENGINE_BUSY,
}


def _raise(error: LakehouseError) -> None:
    raise error


@pytest.mark.parametrize("code", ELSEWHERE, ids=lambda code: code.name)
def test__message(code: Code, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stedi_assets.engine.spark.CONNECT_TIMEOUT_SECONDS", 0.1)
    provoke, said = ELSEWHERE[code]
    with pytest.raises((LakehouseError, dg.Failure)) as raised:
        provoke(tmp_path)
    found = str(getattr(raised.value, "description", raised.value))
    found = re.sub(r"\d{4,}|(?<=py:)\d+", "…", found.replace(str(tmp_path), "…"))
    assert found == f"[{code.name}] {said}"


def test__codes__each_has_its_message() -> None:
    assert {*OF_STORAGE, *ELSEWHERE, *BY_OTHER_TESTS} == {*Code}


def test__codes__are_listed_in_the_docs() -> None:
    assert page.PAGE.read_text(encoding="utf-8") == page.page(), "run python -m docs.errors"


PUT = "Generic S3 error: Error performing PUT http://h/b in 1ms - "
NOT_2XX = "Server returned non-2xx status code"


@pytest.mark.parametrize(
    ("said", "code"),
    [
        # Sail 0.7.2, each as a test against a real store or disk has met it.
        (
            f"{PUT}{NOT_2XX}: 503 Service Unavailable: <Error><Code>SlowDown</Code>",
            "OVERLOADED",
        ),
        (
            f"{PUT}{NOT_2XX}: 400 Bad Request: <Error><Code>ExpiredToken</Code>",
            "EXPIRED_CREDENTIALS",
        ),
        (f"{PUT}{NOT_2XX}: 403 Forbidden: ", "PERMISSION"),
        (f"{PUT}{NOT_2XX}: 502 Bad Gateway: <html>", "OVERLOADED"),
        (f"{PUT}HTTP error: error sending request", "NO_ANSWER"),
        ("connection closed before message completed", "NO_ANSWER"),
        ("Generic S3 error: HTTP error: request or response body error", "CUT_ANSWER"),
        ("Generic S3 error: Error getting list response body: HTTP error", "CUT_ANSWER"),
        ("Generic S3 error: Got invalid list response: unexpected `Event::Eof`", "CUT_ANSWER"),
        ("Generic S3 error: Received non-partial response when range requested", "CUT_ANSWER"),
        (
            "task 1 panicked with message: Range length must match buffer length",
            "CUT_ANSWER",
        ),
        ("Invalid table location: No commit files found in _delta_log", "CUT_ANSWER"),
        ("no _delta_log files found to build log scan", "CUT_ANSWER"),
        ("Missing commit file: expected final version 1, replay reached -1", "CUT_ANSWER"),
        ("Invalid JSON in log record, version=0, Error at line 1, column 1", "CUT_ANSWER"),
        ("Cannot load table state without protocol", "CUT_ANSWER"),
        ("Failed to commit transaction: 0", "WRITE_CONFLICT"),
        ("no credentials found in chain. Attempted:\n  Environment: …", "NO_CREDENTIALS"),
        ("failed to load IMDS session token: request forbidden", "NO_CREDENTIALS"),
        ("Failed to allocate additional 1041.7 KB for ParquetSink", "OUT_OF_MEMORY"),
        ("Unable to copy data to file: No space left on device (os error 28)", "DISK_FULL"),
        ("Unable to open file /l/part#1: Read-only file system (os error 30)", "READ_ONLY"),
        ("Unable to walk dir: Not a directory (os error 20)", "NOT_A_FOLDER"),
        # JVM Spark 4.2.1 on Java 17.
        ("java.lang.OutOfMemoryError: Java heap space", "OUT_OF_MEMORY"),
        ("java.io.IOException: No space left on device", "DISK_FULL"),
        ("java.io.FileNotFoundException: /lake/part-0 (Permission denied)", "PERMISSION"),
    ],
)
def test__code_of__text_of_an_engine(said: str, code: str) -> None:
    assert signs.code_of(AnalysisException(said)) is Code[code]
    assert signs.code_of(ValueError(said)) is None  # an error in the code may quote anything


def test__code_of__delta_rs() -> None:
    """It writes its causes one below the other, in colour."""
    arrow = "\n   \x1b[31m↳\x1b[0m "
    said = f"Kernel error -> Generic S3 error{arrow}{NOT_2XX}{arrow}503 Service Unavailable{arrow}"
    assert signs.code_of(OSError(said)) is Code.OVERLOADED


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (aws("403"), Code.PERMISSION),
        (aws("AccessDeniedException"), Code.PERMISSION),
        (aws("ThrottlingException"), Code.OVERLOADED),
        (botocore.ReadTimeoutError(endpoint_url=""), Code.NO_ANSWER),
        (botocore.ConnectionClosedError(endpoint_url=""), Code.NO_ANSWER),
        (botocore.IncompleteReadError(actual_bytes=0, expected_bytes=1), Code.CUT_ANSWER),
        (botocore.ResponseStreamingError(error=""), Code.CUT_ANSWER),
        (botocore.SSOTokenLoadError(error_msg=""), Code.EXPIRED_CREDENTIALS),
        (PermissionError(errno.EPERM, ""), Code.PERMISSION),
        (ConnectionRefusedError(errno.ECONNREFUSED, ""), Code.NO_ANSWER),
        (FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), "disk quota"), Code.REFUSED),
        (SparkException("", errorClass="DELTA_CONCURRENT_APPEND.ROW_LEVEL"), Code.WRITE_CONFLICT),
        (ZeroDivisionError("no space left on device"), None),
    ],
)
def test__code_of(error: Exception, code: Code | None) -> None:
    assert signs.code_of(error) is code


def test__side__is_where_the_error_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sides = {name: tmp_path / name for name in ("lakehouse", "source", "tmp", "home")}
    monkeypatch.setattr("tempfile.tempdir", str(sides["tmp"]))
    monkeypatch.setenv("DAGSTER_HOME", str(sides["home"]))

    def said_of(*error: object) -> str:
        uris = [f"file://{sides[name]}" for name in ("lakehouse", "source")]
        fault = faults.fault(uris[0], OSError(*error), uris[1])
        return str(fault).partition("] ")[2].partition(" cannot")[0]

    source, landing = str(sides["source"] / "a.json"), str(sides["lakehouse"] / "a.json")
    assert said_of(errno.EACCES, "", source) == "The source"
    assert said_of(errno.EACCES, "", landing) == "The lakehouse"
    assert said_of(errno.EACCES, "", source, None, landing) == "The source"
    assert said_of(errno.ENOSPC, "", source, None, landing) == "The lakehouse"
    assert said_of(errno.ENOSPC, "", str(sides["tmp"] / "x")) == "The folder for temporary files"
    assert said_of(errno.ENOSPC, "", str(sides["home"] / "x")) == "Dagster's history"
    assert said_of(errno.EACCES, "") == "The lakehouse"


def test__side__sqlite_is_the_history(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGSTER_HOME", "/home/ann/history")
    error = sqlite3.OperationalError("database or disk is full")
    error.sqlite_errorname = "SQLITE_FULL"
    assert str(faults.fault(URI, error)).startswith(
        "[DISK_FULL] Dagster's history cannot be used at /home/ann/history: "
    )
