"""What goes wrong on S3: a store that fails, or settings that are wrong."""

from __future__ import annotations

import json
import uuid
from pathlib import Path

import pytest

from stedi_assets.demo_s3 import BUCKET, S3Server
from stedi_assets.tables import DELTA_TABLES, LANDING_TABLES
from stedi_assets_tests.s3_proxy import Fault, Request, S3Proxy, s3_proxy
from stedi_assets_tests.storage.conftest import GOOD_ROWS, Start, content, failures, row_counts

pytestmark = pytest.mark.slow


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
            assert "[NO_ANSWER]" in failed
            assert f"{uri}/accelerometer/trusted" in failed
            processes[0].wait()
            proxy.fault = lambda request: None
            processes.append(server.start())
            assert content(uri, DELTA_TABLES[0], server).num_rows == 2
            assert run(**there).exit_status == 0
            assert row_counts(uri, server) == GOOD_ROWS
    finally:
        processes[-1].kill()


def test__s3__some_requests_fail(run: Start, proxy: S3Proxy, uri: str, s3_server: S3Server) -> None:
    """A store that now and then fails or asks for patience is asked again.

    Its endpoint is that of S3 alone, which boto3 prefers to that of all services.
    """
    answers = [Fault(503, "SlowDown"), Fault(500, "InternalError")]

    def fault(request: Request) -> Fault | None:
        number = len(proxy.requests)
        return answers[number % 2] if number % 11 == 0 else None

    proxy.fault = fault
    done = run(AWS_ENDPOINT_URL="http://127.0.0.1:9", AWS_ENDPOINT_URL_S3=proxy.endpoint)
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
    ("fault", "code"),
    [
        pytest.param(Fault(503, "SlowDown"), "OVERLOADED", id="throttled"),
        pytest.param(Fault(403, "AccessDenied"), "PERMISSION", id="denied"),
    ],
)
def test__s3__stays_at_fault_in_the_middle(
    fault: Fault, code: str, run: Start, proxy: S3Proxy, settled: str, s3_server: S3Server
) -> None:
    def refuse(request: Request) -> Fault | None:
        return fault if request.method == "PUT" and "/customer/trusted/" in request.path else None

    proxy.fault = refuse
    failed = run("--rebuild", AWS_ENDPOINT_URL=proxy.endpoint, STEDI_LAKEHOUSE_URI=settled)
    assert failed.exit_status == 1
    [line] = failures(failed)
    assert line.startswith(f"failed customer_trusted: [{code}] The lakehouse ")
    assert f"{settled}/customer/trusted" in line
    assert row_counts(settled, s3_server) == GOOD_ROWS


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        pytest.param({"AWS_SECRET_ACCESS_KEY": "wrong"}, "WRONG_CREDENTIALS", id="secret"),
        pytest.param(
            {"STEDI_LAKEHOUSE_URI": "s3://no-such-bucket/lakehouse", "STEDI_SOURCE_DATA": ""},
            "NO_BUCKET",
            id="bucket",
        ),
    ],
)
def test__s3__wrong_setting(changed: dict[str, str], code: str, run: Start) -> None:
    failed = run(**changed)
    assert failed.exit_status == 1
    [line] = failures(failed)  # once, though each step meets it
    assert f"[{code}]" in line


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        pytest.param(
            {"AWS_PROFILE": "nobody"}, "profile (nobody) could not be found", id="profile"
        ),
        pytest.param({"AWS_ENDPOINT_URL": "nowhere"}, "AWS settings cannot be used", id="scheme"),
    ],
)
def test__s3__setting_that_leads_nowhere_is_reported_once(
    changed: dict[str, str], said: str, run: Start
) -> None:
    failed = run(**changed)
    assert failed.exit_status == 1
    [line] = failures(failed)
    assert said in line


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
    assert all("[PERMISSION] The lakehouse" in line for line in lines), lines
