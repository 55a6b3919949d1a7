"""People are told of failed runs, of what they can mend, and of nobody's data."""

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

from stedi_assets.errors import LakehouseError
from stedi_assets.orchestration.notify import (
    SlackNotifier,
    SnsNotifier,
    failure_sensor,
    notifiers,
)
from stedi_assets.settings import Settings

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


@pytest.fixture
def aws(moto_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "AWS_ENDPOINT_URL": moto_endpoint,
        "AWS_ACCESS_KEY_ID": "any",
        "AWS_SECRET_ACCESS_KEY": "any",
    }.items():
        monkeypatch.setenv(name, value)


Told = Callable[..., str]


@pytest.fixture
def told(instance: dg.DagsterInstance, capfd: pytest.CaptureFixture) -> Told:
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


def test__run_failures__tells_the_mend(told: Told) -> None:
    said = told(LakehouseError("The disk is full. Make room."))
    assert "of nightly failed.\n- breaks: The disk is full. Make room." in said


def test__run_failures__tells_nothing_of_other_errors(told: Told) -> None:
    said = told(ValueError("cannot cast ann@example.com"))
    assert "- breaks: an unexpected error; its trace is with the run" in said
    assert "ann@" not in said


def test__run_failures__posts_to_slack(told: Told, slack: Slack) -> None:
    said = told(LakehouseError("The disk is full."), SlackNotifier(slack.url))
    [post] = slack.posts
    assert post["text"] in said
    assert "breaks: The disk is full." in post["text"]


def test__run_failures__publishes_to_sns(told: Told, aws: None) -> None:
    sns, sqs = (boto3.client(name, region_name="eu-west-1") for name in ("sns", "sqs"))
    topic = sns.create_topic(Name="failures")["TopicArn"]
    queue = sqs.create_queue(QueueName="failures")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])
    endpoint = arn["Attributes"]["QueueArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=endpoint)

    told(LakehouseError("The disk is full."), SnsNotifier(topic))

    [message] = sqs.receive_message(QueueUrl=queue)["Messages"]
    sent = json.loads(message["Body"])
    assert sent["Subject"].startswith("Run ")
    assert sent["Subject"].endswith(" of nightly failed.")
    assert "breaks: The disk is full." in sent["Message"]


def test__slack__refuses(slack: Slack) -> None:
    slack.status = 403
    with pytest.raises(LakehouseError, match="Slack answers 403: correct STEDI_SLACK_WEBHOOK_URL"):
        SlackNotifier(slack.url).notify("Run 1 failed.", "Run 1 failed.")


@pytest.mark.parametrize("url", ["http://127.0.0.1:9", "nonsense", "http://", "ftp://h/x"])
def test__slack__cannot_be_reached(url: str) -> None:
    with pytest.raises(LakehouseError, match="Slack cannot be reached") as raised:
        SlackNotifier(url + SECRET).notify("Run 1 failed.", "Run 1 failed.")
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize("arn", ["arn:aws:sns:eu-west-1:123456789012:nowhere", "nonsense"])
def test__sns__no_such_topic(aws: None, monkeypatch: pytest.MonkeyPatch, arn: str) -> None:
    monkeypatch.delenv("AWS_REGION", raising=False)
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    with pytest.raises(LakehouseError, match=f"SNS cannot publish to {arn} .*STEDI_SNS_TOPIC_ARN"):
        SnsNotifier(arn).notify("Run 1 failed.", "Run 1 failed.")


def test__run_failures__one_that_cannot_be_reached_leaves_the_others_told(
    told: Told, slack: Slack
) -> None:
    nobody = SlackNotifier("http://127.0.0.1:9")
    with pytest.raises(LakehouseError, match="Slack cannot be reached"):
        told(LakehouseError("The disk is full."), nobody, SlackNotifier(slack.url))
    assert len(slack.posts) == 1


def test__notifiers__as_the_settings_say() -> None:
    assert notifiers(Settings("lakehouse", "", "")) == []
    both = Settings("lakehouse", "", "", slack_webhook_url="https://s", sns_topic_arn="arn")
    assert notifiers(both) == [SlackNotifier("https://s"), SnsNotifier("arn")]


def test__notifiers__slack_without_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "slack_sdk", None)
    with pytest.raises(LakehouseError, match=r"Install stedi_assets\[slack\]"):
        notifiers(Settings("lakehouse", "", "", slack_webhook_url="https://s"))


def test__settings__do_not_show_the_webhook() -> None:
    settings = Settings("lakehouse", "", "", slack_webhook_url=f"https://s{SECRET}")
    assert "secret" not in repr((settings, notifiers(settings)))
