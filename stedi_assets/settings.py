"""The settings, read from the environment in this one place."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from stedi_assets.errors import LakehouseError
from stedi_assets.policy import NO_OPTION, Options, setting_of

PROJECT = Path(__file__).resolve().parent.parent
ON, OFF = ("1", "true", "yes", "on"), ("", "0", "false", "no", "off")


@dataclass(frozen=True)
class Settings:
    """What the environment says, with defaults that work on a fresh machine.

    Attributes:
        lakehouse_uri: STEDI_LAKEHOUSE_URI: a folder or `s3://bucket/prefix`.
        source_data: STEDI_SOURCE_DATA: the folder that landing assets upload from; empty where
            files arrive in landing by themselves.
        spark_remote: STEDI_SPARK_REMOTE: empty for the embedded engine, `sc://host:port` for any
            Spark Connect server, `local[*]` for a local JVM Spark.
        glue_database: STEDI_GLUE_DATABASE: the database of the Glue Data Catalog to register
            tables in; empty for none.
        athena_workgroup: STEDI_ATHENA_WORKGROUP: the Athena workgroup to count registered tables'
            rows in; empty for none.
        slack_webhook_url: STEDI_SLACK_WEBHOOK_URL: where to tell of failed runs; empty: nowhere.
        sns_topic_arn: STEDI_SNS_TOPIC_ARN: where to tell of failed runs; empty: nowhere.
        pseudonym_key: STEDI_PSEUDONYM_KEY: the secret of pseudonymise_devices and of what is
            recorded of erasures.
        webserver_hosts: STEDI_WEBSERVER_HOSTS: with commas between them, the names, each with its
            port unless it is 80 or 443, under which browsers reach the Dagster UI besides loopback.
        policy: STEDI_AFTER_CONSENT_ONLY, STEDI_MATCH_DEVICE, STEDI_PSEUDONYMISE_DEVICES: the
            options of machine_learning_curated that every run obeys.
    """

    lakehouse_uri: str = field(repr=False)
    source_data: str
    spark_remote: str = field(default="", repr=False)
    glue_database: str = ""
    athena_workgroup: str = ""
    slack_webhook_url: str = field(default="", repr=False)
    sns_topic_arn: str = ""
    pseudonym_key: str = field(default="", repr=False)
    webserver_hosts: str = ""
    policy: Options = NO_OPTION

    @classmethod
    def from_environment(cls) -> Settings:
        """Reads the STEDI_* variables.

        Raises:
            LakehouseError: If one that is on or off is neither.
        """
        return cls(
            lakehouse_uri=os.environ.get("STEDI_LAKEHOUSE_URI") or str(PROJECT / "lakehouse"),
            source_data=os.environ.get("STEDI_SOURCE_DATA", str(PROJECT / "data")),
            spark_remote=os.environ.get("STEDI_SPARK_REMOTE", ""),
            glue_database=os.environ.get("STEDI_GLUE_DATABASE", ""),
            athena_workgroup=os.environ.get("STEDI_ATHENA_WORKGROUP", ""),
            slack_webhook_url=os.environ.get("STEDI_SLACK_WEBHOOK_URL", ""),
            sns_topic_arn=os.environ.get("STEDI_SNS_TOPIC_ARN", ""),
            pseudonym_key=os.environ.get("STEDI_PSEUDONYM_KEY", ""),
            webserver_hosts=os.environ.get("STEDI_WEBSERVER_HOSTS", ""),
            policy=Options(**{name: _is_on(setting_of(name)) for name in NO_OPTION.as_dict()}),
        )


def _is_on(variable: str) -> bool:
    value = os.environ.get(variable, "").strip().lower()
    if value not in ON + OFF:
        raise LakehouseError(
            f"{variable} is neither on nor off. Set it to true or false, or to nothing for false."
        )
    return value in ON
