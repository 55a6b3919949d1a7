"""The session, the lakehouse and the data that tests share."""

from __future__ import annotations

import io
import json
import os
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import boto3
import botocore.session
import dagster as dg
import hypothesis
import pytest
from pyspark.sql import DataFrame, SparkSession
from rich.console import Console

import stedi_assets.definitions
import stedi_assets.materialize
from stedi_assets.catalog.glue import GlueCatalog
from stedi_assets.catalog.registration import register
from stedi_assets.demo_s3 import BUCKET, S3Server
from stedi_assets.engine.spark import SparkResource
from stedi_assets.lakehouse.lakehouse import Lakehouse
from stedi_assets.settings import Settings
from stedi_assets.storage import aws_settings
from stedi_assets.storage.aws_settings import AwsSettings
from stedi_assets.tables import Table
from stedi_assets_tests import spark_server
from stedi_assets_tests.moto_server import moto_server
from stedi_assets_tests.rows import Frame

PROJECT = Path(__file__).resolve().parent.parent
# The descriptions of AWS's services, which take longest to read of all that a client needs.
AWS_API = botocore.session.get_session().get_component("data_loader")
REFERENCE_DATA = PROJECT.parent / "shared" / "data" / "stedi"

pytest.register_assert_rewrite("stedi_assets_tests.state_machine")

# The suite always tries the same cases; `--hypothesis-profile=thorough` tries others every time.
hypothesis.settings.register_profile(
    "suite",
    max_examples=25,
    stateful_step_count=8,
    deadline=None,
    database=None,
    derandomize=True,
)
hypothesis.settings.register_profile(
    "thorough", max_examples=1000, stateful_step_count=20, deadline=None
)
hypothesis.settings.load_profile("suite")


@pytest.fixture(scope="session")
def jvm_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of one JVM Spark for all tests: skipped without Java or Delta's jars."""
    with spark_server.serving(tmp_path_factory.mktemp("jvm")) as address:
        yield address


@pytest.fixture(scope="session")
def engine(request: pytest.FixtureRequest) -> str:
    """The address of the engine under test: the embedded one, or STEDI_TEST_ENGINE=jvm."""
    if os.environ.get("STEDI_TEST_ENGINE") == "jvm":
        return request.getfixturevalue("jvm_server")
    return ""


@pytest.fixture(scope="session")
def spark_resource(engine: str) -> Iterator[SparkResource]:
    """One session for all tests."""
    resource = SparkResource(remote=engine)
    yield resource
    resource.teardown_after_execution(dg.build_init_resource_context())


@pytest.fixture(scope="session")
def spark(spark_resource: SparkResource) -> SparkSession:
    """A Spark Connect session."""
    return spark_resource.spark_session


@pytest.fixture
def frame(spark: SparkSession) -> Frame:
    """Makes a frame of a DDL schema and rows."""

    def make(schema: str, rows: list[tuple]) -> DataFrame:
        return spark.createDataFrame(rows, schema)

    return make


@pytest.fixture
def lakehouse(tmp_path: Path, spark_resource: SparkResource) -> Lakehouse:
    """An empty lakehouse in a folder of its own."""
    return Lakehouse(str(tmp_path / "lakehouse"), spark_resource)


class Catalogued(Lakehouse):
    """A lakehouse with the catalog that its tables are registered in."""

    def __init__(self, uri: str, spark: SparkResource, catalog: GlueCatalog) -> None:
        super().__init__(uri, spark)
        self.catalog = catalog

    def register(self, table: Table) -> dict[str, str]:
        """Registers a table as it is now."""
        return register(self.catalog, self, table)


@dataclass
class Materialized:
    """What a run did and what `make materialize` would have printed."""

    result: dg.ExecuteInProcessResult
    printed: str

    @property
    def rows(self) -> dict[str, int]:
        """Table name to rows, of every table that was materialised."""
        events = self.result.get_asset_materialization_events()
        made = [event.step_materialization_data.materialization for event in events]
        return {
            each.asset_key.to_user_string(): int(str(each.metadata["dagster/row_count"].value))
            for each in made
        }

    def check(self, table: str, name: str) -> dg.AssetCheckEvaluation:
        """How one check ended."""
        [check] = [
            check
            for check in self.result.get_asset_check_evaluations()
            if (check.asset_key.to_user_string(), check.check_name) == (table, name)
        ]
        return check


Materialize = Callable[..., Materialized]


@pytest.fixture
def materialize(tmp_path: Path, engine: str) -> Materialize:
    """Runs the whole project on some data, as `make materialize` does."""

    def run(source_data: Path | str, remote: str | None = None, **configs: dict) -> Materialized:
        settings = Settings(
            lakehouse_uri=str(tmp_path / "lakehouse"),
            source_data=str(source_data),
            spark_remote=engine if remote is None else remote,
        )
        printed = io.StringIO()
        with dg.DagsterInstance.ephemeral() as instance:
            result = stedi_assets.materialize.materialize(
                stedi_assets.definitions.define(settings),
                instance,
                Console(file=printed, soft_wrap=True, width=200),
                {name: {"config": config} for name, config in configs.items()},
            )
        return Materialized(result, printed.getvalue())

    return run


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """Two customers, one with consent, and a reading each."""
    day = 1_655_000_000_000
    people: list[dict[str, object]] = [
        {"customerName": "Ada", "email": "ada@example.com", "phone": "5550100001"},
        {"customerName": "Bob", "email": "bob@example.com", "phone": "5550100002"},
    ]
    people[0] |= {"serialNumber": "a-1", "shareWithResearchAsOfDate": day}
    people[1] |= {"serialNumber": "b-1"}
    readings = [
        {"user": person["email"], "timestamp": day + 1, "x": 0.0, "y": 1.0, "z": -1.0}
        for person in people
    ]
    distances = [
        {
            "sensorReadingTime": day + 1,
            "serialNumber": person["serialNumber"],
            "distanceFromObject": 9,
        }
        for person in people
    ]
    for source, rows in (
        ("customer", people),
        ("accelerometer", readings),
        ("step_trainer", distances),
    ):
        folder = tmp_path / "source" / source / "landing"
        folder.mkdir(parents=True)
        (folder / f"{source}-1.json").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path / "source"


@pytest.fixture(scope="session")
def moto_endpoint() -> Iterator[str]:
    """The endpoint URL of one moto server for all tests, so name what you make there apart."""
    with moto_server() as endpoint:
        yield endpoint


@pytest.fixture
def aws(moto_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The variables by which everything in this process, and in one given them, finds moto."""
    variables = {
        "AWS_ENDPOINT_URL": moto_endpoint,
        "AWS_ENDPOINT": moto_endpoint,
        "AWS_ALLOW_HTTP": "true",
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_MAX_ATTEMPTS": "1",
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    # Its hooks, and what it found of settings, are this test's own.
    session = botocore.session.get_session()
    session.register_component("data_loader", AWS_API)
    own = AwsSettings(boto3.Session(region_name="us-east-1", botocore_session=session))
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", own.session)
    monkeypatch.setattr(aws_settings, "found", lambda: own)
    return variables


@pytest.fixture
def glue_database(aws: dict[str, str]) -> str:
    """The name of an empty Glue database that no other test uses."""
    name = f"stedi_{uuid.uuid4().hex}"
    aws_settings.found().client("glue").create_database(DatabaseInput={"Name": name})
    return name


@pytest.fixture
def catalogued(glue_database: str, spark_resource: SparkResource) -> Catalogued:
    """An empty lakehouse in a bucket of its own, with an empty Glue database."""
    bucket = glue_database.replace("_", "-")
    boto3.client("s3").create_bucket(Bucket=bucket)
    return Catalogued(
        f"s3://{bucket}/lakehouse", spark_resource, GlueCatalog(database=glue_database)
    )


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """One S3 server for all tests, so name what you make there apart."""
    server = S3Server.new(tmp_path_factory.mktemp("s3") / "demo")
    process = server.start()
    yield server
    process.kill()
    process.wait()


@pytest.fixture
def s3_lakehouse_uri(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a lakehouse in which nothing is yet; this process's settings lead to it."""
    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_ENDPOINT", s3_server.endpoint)
    monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
    aws_settings.found.cache_clear()
    yield f"s3://{BUCKET}/{uuid.uuid4().hex}"
    aws_settings.found.cache_clear()


@pytest.fixture(scope="session")
def reference_data() -> Path:
    """The real data set, which may not be redistributed: skipped where it is not at hand.

    Never in CI, where to skip would pass for the counts being right.
    """
    if not REFERENCE_DATA.is_dir():
        assert not os.environ.get("CI"), f"CI needs the reference data set at {REFERENCE_DATA}"
        pytest.skip("the reference data set is not beside the project")
    return REFERENCE_DATA
