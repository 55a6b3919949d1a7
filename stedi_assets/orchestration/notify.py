"""Notifications of failed runs: in the log, and by Slack and SNS if the settings name them."""

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass, field

import dagster as dg

from stedi_assets.errors import Code, LakehouseError
from stedi_assets.orchestration.failures import shown_before_first_step, shown_of
from stedi_assets.settings import Settings


@dataclass(frozen=True)
class SlackNotifier:
    """Posts to the channel of an incoming webhook.

    Attributes:
        webhook_url: A secret, since everyone who knows it can post.
    """

    webhook_url: str = field(repr=False)

    def notify(self, subject: str, message: str) -> None:
        """Sends a message; raises `LakehouseError` if Slack does not take it."""
        from slack_sdk.errors import SlackClientError
        from slack_sdk.webhook import WebhookClient

        try:
            answer = WebhookClient(self.webhook_url).send(text=message)
            refusal = f"Slack answers {answer.status_code}" if answer.status_code != 200 else ""
        except (OSError, ValueError, SlackClientError) as error:
            refusal = f"Slack cannot be reached ({type(error).__name__})"
        if refusal:
            raise LakehouseError(
                f"{subject} {refusal}: correct STEDI_SLACK_WEBHOOK_URL.", Code.NOTIFICATION
            )


@dataclass(frozen=True)
class SnsNotifier:
    """Publishes to an SNS topic.

    Attributes:
        topic_arn: The topic, in the region of its ARN.
    """

    topic_arn: str

    def notify(self, subject: str, message: str) -> None:
        """Sends a message; raises `LakehouseError` if SNS does not take it."""
        from botocore.exceptions import BotoCoreError, ClientError

        from stedi_assets.storage import aws_settings

        region = (self.topic_arn.split(":") + [""] * 4)[3]
        try:
            client = aws_settings.found().client("sns", region or None)
            client.publish(TopicArn=self.topic_arn, Subject=subject[:100], Message=message)
        except (BotoCoreError, ClientError) as error:
            answer = error.response["Error"] if isinstance(error, ClientError) else {}
            cause = answer.get("Code", type(error).__name__)
            raise LakehouseError(
                f"{subject} SNS cannot publish to {self.topic_arn} ({cause}): correct "
                "STEDI_SNS_TOPIC_ARN, or grant sns:Publish on it.",
                Code.NOTIFICATION,
            ) from None


Notifier = SlackNotifier | SnsNotifier


def notifiers(settings: Settings) -> list[Notifier]:
    """The channels that the settings name.

    Raises:
        LakehouseError: If a setting needs a package that is not installed.
    """
    webhook_url = settings.slack_webhook_url.get_secret_value()
    if webhook_url and importlib.util.find_spec("slack_sdk") is None:
        raise LakehouseError(
            "STEDI_SLACK_WEBHOOK_URL is set, but slack-sdk is not installed. Install "
            "stedi_assets[slack], or set it to nothing."
        )
    slack = [SlackNotifier(webhook_url)] if webhook_url else []
    sns = [SnsNotifier(settings.sns_topic_arn)] if settings.sns_topic_arn else []
    return [*slack, *sns]


def failure_message(
    run: dg.DagsterRun,
    failed_steps: Sequence[dg.DagsterEvent],
    failure: dg.DagsterEvent | None = None,
) -> str:
    """The message about a failed run, without stack traces, which may quote personal data."""
    reasons = [f"- {step.step_key}: {shown_of(step.step_failure_data)}" for step in failed_steps]
    if not reasons:
        error = failure.job_failure_data.error if failure else None
        reasons = [f"- no step ran: {shown_before_first_step(error)}" if error else "- no step ran"]
    return "\n".join([f"Run {run.run_id} of {run.job_name} failed.", *reasons])


def failure_sensor(channels: Sequence[Notifier]) -> dg.SensorDefinition:
    """The sensor that reports each failed run, whatever started it, in its log and by channels."""

    @dg.run_failure_sensor(
        name="run_failures",
        description="Reports each failed run: in its log, and if set up to Slack and SNS.",
    )
    def run_failures(context: dg.RunFailureSensorContext) -> None:
        message = failure_message(
            context.dagster_run, context.get_step_failure_events(), context.failure_event
        )
        context.log.error(message)
        unsent = []
        for notifier in channels:
            try:
                notifier.notify(message.splitlines()[0], message)
            except LakehouseError as error:
                unsent.append(error.args[0])
        if unsent:
            raise LakehouseError("\n".join(unsent), Code.NOTIFICATION)

    return run_failures
