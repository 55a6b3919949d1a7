"""Telling people of failed runs: always in the log, and where the settings say so elsewhere."""

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import dagster as dg
from typing_extensions import override

from stedi_assets.errors import LakehouseError
from stedi_assets.orchestration.failures import shown_before_first_step, shown_of
from stedi_assets.settings import Settings


class Notifier(Protocol):
    """A way to reach people."""

    def notify(self, subject: str, message: str) -> None:
        """Sends a message.

        Args:
            subject: What happened, in a line.
            message: The same with all that is known of it.

        Raises:
            LakehouseError: If it could not be sent.
        """


@dataclass(frozen=True)
class SlackNotifier(Notifier):
    """Posts to the channel of an incoming webhook.

    Attributes:
        webhook_url: Whoever knows it can post, so it is not shown anywhere.
    """

    webhook_url: str = field(repr=False)

    @override
    def notify(self, subject: str, message: str) -> None:
        from slack_sdk.errors import SlackClientError
        from slack_sdk.webhook import WebhookClient

        try:
            answer = WebhookClient(self.webhook_url).send(text=message)
            refusal = f"Slack answers {answer.status_code}" if answer.status_code != 200 else ""
        except (OSError, ValueError, SlackClientError) as error:
            refusal = f"Slack cannot be reached ({type(error).__name__})"
        if refusal:
            raise LakehouseError(f"{subject} {refusal}: correct STEDI_SLACK_WEBHOOK_URL.")


@dataclass(frozen=True)
class SnsNotifier(Notifier):
    """Publishes to an SNS topic.

    Attributes:
        topic_arn: The topic, whose region is in its ARN.
    """

    topic_arn: str

    @override
    def notify(self, subject: str, message: str) -> None:
        import boto3
        from botocore.exceptions import BotoCoreError, ClientError

        region = (self.topic_arn.split(":") + [""] * 4)[3]
        try:
            client = boto3.client("sns", region_name=region or None)
            client.publish(TopicArn=self.topic_arn, Subject=subject[:100], Message=message)
        except (BotoCoreError, ClientError) as error:
            told = error.response["Error"] if isinstance(error, ClientError) else {}
            cause = told.get("Code", type(error).__name__)
            raise LakehouseError(
                f"{subject} SNS cannot publish to {self.topic_arn} ({cause}): correct "
                "STEDI_SNS_TOPIC_ARN, or grant sns:Publish on it."
            ) from None


def notifiers(settings: Settings) -> list[Notifier]:
    """The ways to reach people that the settings name.

    Raises:
        LakehouseError: If a setting needs a package that is not installed.
    """
    if settings.slack_webhook_url and importlib.util.find_spec("slack_sdk") is None:
        raise LakehouseError(
            "STEDI_SLACK_WEBHOOK_URL is set, but slack-sdk is not installed. Install "
            "stedi_assets[slack], or set it to nothing."
        )
    slack = [SlackNotifier(settings.slack_webhook_url)] if settings.slack_webhook_url else []
    sns = [SnsNotifier(settings.sns_topic_arn)] if settings.sns_topic_arn else []
    return [*slack, *sns]


def failure_message(
    run: dg.DagsterRun,
    failed_steps: Sequence[dg.DagsterEvent],
    failure: dg.DagsterEvent | None = None,
) -> str:
    """What may be told of a failed run outside the lakehouse.

    Traces of libraries stay with the run, because they quote values, which may be personal data.
    """
    told = [f"- {step.step_key}: {shown_of(step.step_failure_data)}" for step in failed_steps]
    if not told:
        error = failure.job_failure_data.error if failure else None
        told = [f"- no step ran: {shown_before_first_step(error)}" if error else "- no step ran"]
    return "\n".join([f"Run {run.run_id} of {run.job_name} failed.", *told])


def failure_sensor(reach: Sequence[Notifier]) -> dg.SensorDefinition:
    """The sensor that tells of each failed run of this project, whatever started it.

    Args:
        reach: Whom to tell besides the sensor's log.
    """

    @dg.run_failure_sensor(
        name="run_failures",
        description="Tells of each failed run: in its log, and where set to Slack and SNS.",
    )
    def run_failures(context: dg.RunFailureSensorContext) -> None:
        message = failure_message(
            context.dagster_run, context.get_step_failure_events(), context.failure_event
        )
        context.log.error(message)
        unsent = []
        for notifier in reach:
            try:
                notifier.notify(message.splitlines()[0], message)
            except LakehouseError as error:
                unsent.append(str(error))
        if unsent:
            raise LakehouseError("\n".join(unsent))

    return run_failures
