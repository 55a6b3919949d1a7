"""The whole project on a real S3 server, by settings alone, and what goes wrong there."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable

from stedi_assets.demo import BUCKET, S3Server
from stedi_assets.lakehouse import storage
from stedi_assets.tables import DELTA_TABLES, LANDING_TABLES, STEP_TRAINER_TRUSTED, Table
from stedi_assets_tests.checks.conftest import GOOD, land
from stedi_assets_tests.conftest import PROJECT, Materialize
from stedi_assets_tests.runs import HANGING_SECONDS, Run
from stedi_assets_tests.s3_proxy import Fault, Request, S3Proxy, s3_proxy

REFERENCE_ROWS = {
    "customer_trusted": 482,
    "accelerometer_trusted": 40_981,
    "customer_curated": 482,
    "step_trainer_trusted": 14_460,
    "machine_learning_curated": 43_681,
}
Start = Callable[..., Run]


@pytest.fixture
def uri() -> str:
    """The address of a lakehouse in which nothing is yet."""
    return f"s3://{BUCKET}/{uuid.uuid4().hex}"


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A source with a few people, two of whom agreed to research."""
    folder = tmp_path_factory.mktemp("small")
    for table in LANDING_TABLES:
        land(folder, table, GOOD[table.name])
    return folder


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Dagster instance for one run at a time, as the Makefile makes it."""
    home = tmp_path_factory.mktemp("dagster")
    shutil.copy(PROJECT / "instance" / "dagster.yaml", home)
    return home


@pytest.fixture
def settings(s3_server: S3Server, small: Path, uri: str, home: Path) -> dict[str, str]:
    """What leads a process to the server, and to nothing else of this machine."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return {
        **kept,
        **s3_server.environment,
        "DAGSTER_HOME": str(home),
        "STEDI_LAKEHOUSE_URI": uri,
        "STEDI_SOURCE_DATA": str(small),
    }


@pytest.fixture
def start(settings: dict[str, str]) -> Start:
    """Begins `make materialize`; settings given replace others, None unsets one."""

    def begin(**changed: str | None) -> Run:
        return Run({n: value for n, value in (settings | changed).items() if value is not None})

    return begin


@pytest.fixture
def run(start: Start) -> Start:
    """Runs `make materialize` to its end."""
    return lambda **changed: start(**changed).end()


@pytest.fixture
def proxy(s3_server: S3Server) -> Iterator[S3Proxy]:
    """A proxy before the server."""
    with s3_proxy(s3_server.endpoint) as proxy:
        yield proxy


def table_at(uri: str, table: Table, server: S3Server) -> DeltaTable:
    options = {**server.environment, "AWS_ALLOW_HTTP": "true"} if uri.startswith("s3:") else None
    return DeltaTable(f"{uri}/{table.location}", storage_options=options)


def content(uri: str, table: Table, server: S3Server) -> pa.Table:
    rows = table_at(uri, table, server).to_pyarrow_table()
    return rows.sort_by([(name, "ascending") for name in table.column_names])


def row_counts(uri: str, server: S3Server) -> dict[str, int]:
    return {table.name: table_at(uri, table, server).count() for table in DELTA_TABLES}


GOOD_ROWS = {table.name: len(GOOD[table.name]) for table in DELTA_TABLES}


def failures(run: Run) -> list[str]:
    return [line for line in run.printed.splitlines() if line.startswith("failed")]


def test__s3__reference_data_as_on_a_disk(
    run: Start,
    materialize: Materialize,
    proxy: S3Proxy,
    uri: str,
    s3_server: S3Server,
    reference_data: Path,
    tmp_path: Path,
) -> None:
    on_s3 = run(
        AWS_ENDPOINT_URL=proxy.endpoint,
        AWS_SERVER_SIDE_ENCRYPTION="AES256",
        STEDI_SOURCE_DATA=str(reference_data),
    )
    assert on_s3.exit_status == 0, on_s3.printed
    assert row_counts(uri, s3_server) == REFERENCE_ROWS
    assert len(proxy.requests) < 300
    # Landing, data files and logs alike: boto3, the engine and delta-rs read one setting.
    written = [request for request in proxy.requests if request.method == "PUT"]
    assert len(written) > len(LANDING_TABLES) + 2 * len(DELTA_TABLES)
    encrypted = [each.headers.get("x-amz-server-side-encryption") for each in written]
    assert set(encrypted) == {"AES256"}

    assert materialize(reference_data).result.success
    disk = f"file://{tmp_path}/lakehouse"
    for table in DELTA_TABLES:
        assert content(uri, table, s3_server).equals(content(disk, table, s3_server)), table.name
    for table in LANDING_TABLES:
        landed = {file.name for file in storage.open_folder(f"{disk}/{table.location}").files()}
        prefix = f"{uri.removeprefix(f's3://{BUCKET}/')}/{table.location}/"
        listed = s3_server.client().list_objects_v2(Bucket=BUCKET, Prefix=prefix)["Contents"]
        assert {entry["Key"].removeprefix(prefix) for entry in listed} == landed
        for name in landed:
            stored = s3_server.client().get_object(Bucket=BUCKET, Key=prefix + name)["Body"].read()
            assert stored == (reference_data / table.location / name).read_bytes()


def test__s3__an_untidy_source_is_fetched_once(
    run: Start, proxy: S3Proxy, small: Path, tmp_path: Path
) -> None:
    source = shutil.copytree(small, tmp_path / "source")
    for file in source.rglob("*.json"):
        file.write_text(f"\n{file.read_text()}")
    untidy = run(AWS_ENDPOINT_URL=proxy.endpoint, STEDI_SOURCE_DATA=str(source))
    assert untidy.exit_status == 0, untidy.printed
    fetched = Counter(
        request.path
        for request in proxy.requests
        if request.method == "GET" and "/landing/" in request.path and "?" not in request.path
    )
    assert set(fetched.values()) == {1}


def test__s3__profile_gives_credentials_region_and_endpoint(
    run: Start, s3_server: S3Server, uri: str, tmp_path: Path
) -> None:
    config = tmp_path / "config"
    settings = {
        "region": s3_server.environment["AWS_REGION"],
        "endpoint_url": s3_server.endpoint,
        "aws_access_key_id": s3_server.access_key,
        "aws_secret_access_key": s3_server.secret_key,
    }
    lines = [f"{name} = {value}" for name, value in settings.items()]
    config.write_text("\n".join(["[profile lake]", *lines, ""]))
    unset = dict.fromkeys(s3_server.environment)
    done = run(**unset, AWS_PROFILE="lake", AWS_CONFIG_FILE=str(config))
    assert done.exit_status == 0, done.printed
    assert row_counts(uri, s3_server) == GOOD_ROWS


def test__s3__store_killed_in_the_middle_then_started_again(
    run: Start, uri: str, small: Path, tmp_path: Path
) -> None:
    server = S3Server.new(tmp_path / "server")
    processes = [server.start()]

    def kill(request: Request) -> None:
        if request.method == "PUT" and "/accelerometer/trusted/" in request.path:
            processes[-1].kill()

    try:
        with s3_proxy(server.endpoint) as proxy:
            proxy.fault = kill
            there = {**server.environment, "AWS_ENDPOINT_URL": proxy.endpoint}
            [failed] = failures(run(**there))
            assert f"{uri}/accelerometer/trusted cannot be used: the object store" in failed
            processes[0].wait()
            proxy.fault = lambda request: None
            processes.append(server.start())
            assert content(uri, DELTA_TABLES[0], server).num_rows == 2
            assert run(**there).exit_status == 0
            assert row_counts(uri, server) == GOOD_ROWS
    finally:
        processes[-1].kill()


def test__s3__some_requests_fail(run: Start, proxy: S3Proxy, uri: str, s3_server: S3Server) -> None:
    """A store that now and then fails or asks for patience is asked again."""
    answers = [Fault(503, "SlowDown"), Fault(500, "InternalError")]

    def fault(request: Request) -> Fault | None:
        number = len(proxy.requests)
        return answers[number % 2] if number % 11 == 0 else None

    proxy.fault = fault
    done = run(AWS_ENDPOINT_URL=proxy.endpoint)
    assert done.exit_status == 0, done.printed
    assert len(proxy.requests) > 11
    assert row_counts(uri, s3_server) == GOOD_ROWS


@pytest.fixture(scope="module")
def settled_uri() -> str:
    """The address of a lakehouse that tests share, since they leave its tables as they are."""
    return f"s3://{BUCKET}/settled-{uuid.uuid4().hex}"


@pytest.fixture
def settled(settled_uri: str, run: Start, s3_server: S3Server) -> str:
    """A lakehouse in which every table was made before."""
    landing = settled_uri.removeprefix(f"s3://{BUCKET}/")
    listed = s3_server.client().list_objects_v2(Bucket=BUCKET, Prefix=landing, MaxKeys=1)
    if not listed["KeyCount"]:
        assert run(STEDI_LAKEHOUSE_URI=settled_uri).exit_status == 0
    return settled_uri


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        pytest.param(Fault(503, "SlowDown"), "fails or is overloaded. Wait", id="throttled"),
        pytest.param(Fault(400, "ExpiredToken"), "have expired. Renew", id="expired"),
        pytest.param(Fault(403, "AccessDenied"), "no permission for that. Grant", id="denied"),
    ],
)
def test__s3__stays_at_fault_in_the_middle(
    fault: Fault, said: str, run: Start, proxy: S3Proxy, settled: str, s3_server: S3Server
) -> None:
    def refuse(request: Request) -> Fault | None:
        return fault if request.method == "PUT" and "/customer/trusted/" in request.path else None

    proxy.fault = refuse
    failed = run(AWS_ENDPOINT_URL=proxy.endpoint, STEDI_LAKEHOUSE_URI=settled)
    assert failed.exit_status == 1
    [line] = failures(failed)
    assert f"failed customer_trusted: {settled}/customer/trusted cannot be used: " in line
    assert said in line
    assert row_counts(settled, s3_server) == GOOD_ROWS


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        pytest.param({"AWS_SECRET_ACCESS_KEY": "wrong"}, "AWS credentials are wrong", id="secret"),
        pytest.param(
            {"AWS_PROFILE": "nobody"}, "profile (nobody) could not be found", id="profile"
        ),
        pytest.param(
            {"STEDI_LAKEHOUSE_URI": "s3://no-such-bucket/lakehouse", "STEDI_SOURCE_DATA": ""},
            "the bucket does not exist. Create it",
            id="bucket",
        ),
        pytest.param(
            {"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, "store does not answer", id="endpoint"
        ),
    ],
)
def test__s3__wrong_setting(changed: dict[str, str], said: str, run: Start) -> None:
    failed = run(**changed)
    assert failed.exit_status == 1
    lines = failures(failed)
    assert len(lines) == len(LANDING_TABLES)
    assert all(said in line for line in lines), failed.printed


def test__s3__bucket_that_may_only_be_read(run: Start, s3_server: S3Server) -> None:
    iam = s3_server.client("iam")
    allowed = {"Effect": "Allow", "Action": ["s3:Get*", "s3:List*"], "Resource": "arn:aws:s3:::*"}
    iam.create_user(UserName="reader")
    iam.put_user_policy(
        UserName="reader",
        PolicyName="read",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [allowed]}),
    )
    key = iam.create_access_key(UserName="reader")["AccessKey"]
    failed = run(AWS_ACCESS_KEY_ID=key["AccessKeyId"], AWS_SECRET_ACCESS_KEY=key["SecretAccessKey"])
    lines = failures(failed)
    assert len(lines) == len(LANDING_TABLES)
    assert all("there is no permission for that. Grant it" in line for line in lines), lines


def test__s3__two_runs_at_once(
    start: Start, run: Start, uri: str, s3_server: S3Server, tmp_path: Path
) -> None:
    """Each ends well or says that the other was first; the tables are whole either way."""
    homes = [tmp_path / "one", tmp_path / "two"]
    for home in homes:
        home.mkdir()
    runs = [start(DAGSTER_HOME=str(home)) for home in homes]
    for each in runs:
        each.end()
        told = failures(each)
        # The other was first, or its rows were read before they were replaced.
        assert each.exit_status == 0 or any("same time" in x or ", counts: " in x for x in told)
    if any(each.exit_status for each in runs):
        assert run().exit_status == 0
    assert row_counts(uri, s3_server) == GOOD_ROWS


WRITER = f"""
import sys
from stedi_assets.lakehouse.io_manager import LakehouseIOManager
from stedi_assets.resources.spark import SparkResource
from stedi_assets.tables import {STEP_TRAINER_TRUSTED.name.upper()} as table

lakehouse = LakehouseIOManager(uri=sys.argv[1], spark=SparkResource())
number = int(sys.argv[2])
rows = [(1655564376361 + each, "device", number) for each in range(100 + number)]
frame = lakehouse.spark_session.createDataFrame(rows, table.ddl)
before = lakehouse.state(table)
print("ready", flush=True)
sys.stdin.readline()
written = lakehouse.write(table, frame, {{"run": number}})
print(written.rows)
"""


def test__write__several_at_once_never_mix(
    settings: dict[str, str], uri: str, s3_server: S3Server
) -> None:
    """Also where none of them found a table, so that each would make it."""
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, uri, str(number)],
            env=settings,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in (1, 2, 3)
    ]
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
    printed = [writer.communicate("\n", timeout=HANGING_SECONDS) for writer in writers]
    won = [
        number
        for number, (out, error) in enumerate(printed, 1)
        if out == f"{100 + number}\n" or "another run wrote it at the same time" not in error
    ]
    assert won
    stored = content(uri, STEP_TRAINER_TRUSTED, s3_server)
    [number] = set(stored["distanceFromObject"].to_pylist())
    assert stored.num_rows == 100 + number
    assert number in won
