"""No key, token or password of the settings is printed, kept by Dagster or in an error."""

from __future__ import annotations

import traceback
from collections.abc import Callable

import pytest
from dagster._core.remote_representation.external_data import RepositorySnap
from dagster._serdes import serialize_value

import stedi_assets.definitions
from stedi_assets import storage
from stedi_assets.demo_s3 import S3Server
from stedi_assets.engine import spark
from stedi_assets.errors import LakehouseError
from stedi_assets.lakehouse import delta
from stedi_assets.settings import Settings
from stedi_assets.storage import address, aws_settings, s3
from stedi_assets_tests import listening

SECRET = "wJalrXUtnFEMI/K7MDENG"

SETTINGS = Settings(
    lakehouse_uri=f"s3://AKIAEXAMPLE:{SECRET}@bucket/lakehouse",
    source_data="",
    spark_remote=f"sc://127.0.0.1:9/;token={SECRET}",
    slack_webhook_url=f"https://hooks.example.com/{SECRET}",
)


def error_text(function: Callable, *given: object) -> str:
    """What an error says, trace and all."""
    with pytest.raises(LakehouseError) as error:
        function(*given)
    return str(error.value) + "".join(traceback.format_exception(error.value))


def test__settings__repr() -> None:
    assert SECRET not in repr(SETTINGS)
    assert SECRET not in str(vars(stedi_assets.definitions.define(SETTINGS)))


def test__definitions__what_dagster_shows_and_keeps_with_each_run() -> None:
    defs = stedi_assets.definitions.define(SETTINGS)
    shown = serialize_value(RepositorySnap.from_def(defs.get_repository_def()))
    job = defs.resolve_job_def("materialize_lakehouse")
    kept = serialize_value(job.get_job_snapshot())
    assert "io_manager" in shown
    assert "io_manager" in kept
    assert SECRET not in shown + kept


@pytest.mark.parametrize(
    "uri", [SETTINGS.lakehouse_uri, f"https://user:{SECRET}@host/lake", f"gs://{SECRET}@bucket"]
)
def test__lakehouse_uri__with_keys(uri: str) -> None:
    said = error_text(address.as_uri, uri)
    assert "STEDI_LAKEHOUSE_URI=" in said
    assert SECRET not in said


@pytest.mark.parametrize(
    "remote",
    [
        SETTINGS.spark_remote.get_secret_value(),
        f"sc://user:{SECRET}@127.0.0.1:9",
        f"sc://127.0.0.1:port/;token={SECRET}",
        f"sc://127.0.0.1:9/;{SECRET}",
        f"https://127.0.0.1:9/;token={SECRET}",
    ],
)
def test__spark_remote__with_token(remote: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spark, "CONNECT_TIMEOUT_SECONDS", 0.1)
    said = error_text(spark._require_answer, remote)
    assert "STEDI_SPARK_REMOTE" in said
    assert SECRET not in said


@pytest.fixture
def endpoint_with_password(monkeypatch: pytest.MonkeyPatch) -> None:
    """An object store's address as nobody should write it, and keys."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://user:{SECRET}@127.0.0.1:9")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setattr(aws_settings, "found", aws_settings.found.__wrapped__)


@pytest.mark.usefixtures("endpoint_with_password")
@pytest.mark.parametrize(
    ("client", "of"),
    [
        (storage.open_folder, "s3://bucket/lakehouse"),
        (lambda service: aws_settings.found().client(service), "glue"),
    ],
)
def test__aws_endpoint__with_password(client: Callable, of: str) -> None:
    said = error_text(client, of)
    assert "AWS_ENDPOINT_URL" in said
    assert SECRET not in said


def test__aws_keys__are_in_no_error_of_a_store(monkeypatch: pytest.MonkeyPatch) -> None:
    """It stays down; boto3 and delta-rs each have an error of their own."""
    for name, value in {
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE",
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(aws_settings, "found", aws_settings.found.__wrapped__)
    monkeypatch.setattr(aws_settings, "S3_ATTEMPTS", 1)
    once = {**s3.S3Folder("s3://bucket/lakehouse").delta_options(), "max_retries": "0"}
    assert once["AWS_SECRET_ACCESS_KEY"] == SECRET
    monkeypatch.setattr(s3.S3Folder, "delta_options", lambda folder: once)
    folder = storage.open_folder("s3://bucket/lakehouse")
    with pytest.raises(LakehouseError) as error:
        folder.files()
    assert SECRET not in "".join(traceback.format_exception(error.value))
    assert SECRET not in error_text(delta.state, "s3://bucket/lakehouse/customer/trusted")


def test__demo__server_is_on_loopback_and_shows_no_key(s3_server: S3Server) -> None:
    found = {part: listening.addresses(port) for part, port in s3_server.ports.items()}
    assert {address for each in found.values() for address in each} == {listening.LOOPBACK}
    assert s3_server.secret_key not in repr(s3_server)
