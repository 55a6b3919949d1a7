"""Failed runs are reported with the fix and without personal data."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import boto3
import dagster as dg
import pytest

from stedi_assets.errors import Code, LakehouseError
from stedi_assets.orchestration.notify import (
    SlackNotifier,
    SnsNotifier,
    failure_sensor,
    notifiers,
)
from stedi_assets.settings import Settings
from stedi_assets_tests.faults import raises

SECRET = "/services/T0/B0/secret"


@dataclass
class Slack:
    """A server that takes what a webhook is sent."""

    url: str = ""
    status: int = 200
    posts: list[dict] = field(default_factory=list)


@pytest.fixture
def slack() -> Iterator[Slack]:
    slack = Slack()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            slack.posts.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(slack.status)
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
        slack.url = f"http://127.0.0.1:{server.server_port}{SECRET}"
        yield slack
        server.shutdown()


Report = Callable[..., str]


@pytest.fixture
def report(instance: dg.DagsterInstance, capfd: pytest.CaptureFixture) -> Report:
    """Fails a run and gives what the sensor logs of it."""

    def fail(error: Exception, *reach) -> str:
        @dg.op
        def breaks() -> None:
            raise error

        @dg.job
        def nightly() -> None:
            breaks()

        run = nightly.execute_in_process(instance=instance, raise_on_error=False)
        context = dg.build_run_status_sensor_context(
            sensor_name="run_failures",
            dagster_event=run.get_run_failure_event(),
            dagster_instance=instance,
            dagster_run=run.dagster_run,
        ).for_run_failure()
        capfd.readouterr()
        failure_sensor(reach)(context)
        return capfd.readouterr().err

    return fail


def test__run_failures__reports_the_fix(report: Report, slack: Slack) -> None:
    logged = report(LakehouseError("The disk is full.", Code.DISK_FULL), SlackNotifier(slack.url))
    [post] = slack.posts
    assert post["text"].endswith("of nightly failed.\n- breaks: [DISK_FULL] The disk is full.")
    assert post["text"] in logged


def test__run_failures__hides_other_errors(report: Report) -> None:
    logged = report(ValueError("cannot cast ann@example.com"))
    assert "- breaks: " in logged
    assert "ann@" not in logged


def test__run_failures__publishes_to_sns(report: Report, aws: dict[str, str]) -> None:
    sns, sqs = (boto3.client(name, region_name="eu-west-1") for name in ("sns", "sqs"))
    topic = sns.create_topic(Name="failures")["TopicArn"]
    queue = sqs.create_queue(QueueName="failures")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])
    endpoint = arn["Attributes"]["QueueArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=endpoint)

    report(LakehouseError("The disk is full."), SnsNotifier(topic))

    [message] = sqs.receive_message(QueueUrl=queue)["Messages"]
    sent = json.loads(message["Body"])
    assert sent["Subject"].startswith("Run ")
    assert sent["Subject"].endswith(" of nightly failed.")
    assert "breaks: [SETTING] The disk is full." in sent["Message"]


def test__slack__refuses(slack: Slack) -> None:
    slack.status = 403
    with raises(Code.NOTIFICATION):
        SlackNotifier(slack.url).notify("Run 1 failed.", "Run 1 failed.")


@pytest.mark.parametrize("url", ["nonsense", "ftp://h/x"])
def test__slack__cannot_be_reached(url: str) -> None:
    with raises(Code.NOTIFICATION) as raised:
        SlackNotifier(url + SECRET).notify("Run 1 failed.", "Run 1 failed.")
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize("arn", ["arn:aws:sns:eu-west-1:123456789012:nowhere", "nonsense"])
def test__sns__no_such_topic(
    aws: dict[str, str], monkeypatch: pytest.MonkeyPatch, arn: str
) -> None:
    monkeypatch.delenv("AWS_REGION", raising=False)
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    with raises(Code.NOTIFICATION):
        SnsNotifier(arn).notify("Run 1 failed.", "Run 1 failed.")


def test__run_failures__one_that_cannot_be_reached_does_not_stop_the_others(
    report: Report, slack: Slack
) -> None:
    nobody = SlackNotifier("http://127.0.0.1:9")
    with raises(Code.NOTIFICATION):
        report(LakehouseError("The disk is full."), nobody, SlackNotifier(slack.url))
    assert len(slack.posts) == 1


def test__notifiers__as_the_settings_say() -> None:
    assert notifiers(Settings()) == []
    url = f"https://s{SECRET}"
    both = Settings(slack_webhook_url=url, sns_topic_arn="arn")
    assert notifiers(both) == [SlackNotifier(url), SnsNotifier("arn")]
    assert "secret" not in repr((both, notifiers(both)))


def test__notifiers__slack_without_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "slack_sdk", None)
    with pytest.raises(LakehouseError, match=r"Install stedi_assets\[slack\]"):
        notifiers(Settings(slack_webhook_url="https://s"))
