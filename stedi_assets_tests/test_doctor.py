"""`stedi doctor`: each thing that a run needs, its state, and no secret."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import boto3
import pytest

from stedi_assets.doctor import EXAMINATIONS, notifier
from stedi_assets.doctor.finding import State
from stedi_assets.errors import Code
from stedi_assets.settings import Settings
from stedi_assets.storage import open_folder
from stedi_assets.tables import DELTA_TABLES
from stedi_assets_tests.conftest import Catalogued, Materialize
from stedi_assets_tests.faults import raises

SECRET = "a-secret-that-is-never-printed"


def states(printed: str) -> dict[str, str]:
    """The state of each thing."""
    return {name: state for state, name in re.findall(r"^([A-Z]+) +([a-z ]+):", printed, re.M)}


def doctor(**settings: str) -> tuple[int, dict[str, str], str]:
    """The command's exit status, the states that it prints, and all that it prints."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("STEDI_", "AWS_"))}
    run = subprocess.run(
        [sys.executable, "-m", "stedi_assets.cli", "doctor"],
        env={**kept, **settings},
        capture_output=True,
        text=True,
        check=False,
    )
    return run.returncode, states(run.stdout), run.stdout + run.stderr


def test__doctor__nothing_at_fault(small: Path, tmp_path: Path) -> None:
    status, found, printed = doctor(
        STEDI_LAKEHOUSE_URI=str(tmp_path / "lakehouse"),
        STEDI_SOURCE_DATA=str(small),
        DAGSTER_HOME=str(tmp_path / "home"),
    )

    assert status == 0, printed
    assert found == {
        **dict.fromkeys(("settings", "lakehouse", "source", "engine", "disk", "history"), "OK"),
        **dict.fromkeys(("credentials", "catalog", "policy", "pseudonym key", "notifier"), "OFF"),
    }
    assert not (tmp_path / "lakehouse").exists()
    assert not (tmp_path / "home").exists()


def test__doctor__says_each_fault_and_no_secret(tmp_path: Path) -> None:
    status, found, printed = doctor(
        STEDI_LAKEHOUSE_URI="s3://bucket/prefix",
        STEDI_LAKEHOUSE_URL="a name that is none",
        STEDI_SOURCE_DATA=str(tmp_path / "nowhere"),
        STEDI_SPARK_REMOTE=f"sc://localhost:1/;token={SECRET}",
        STEDI_GLUE_DATABASE="stedi",
        STEDI_PSEUDONYM_KEY=SECRET[:8],
        STEDI_SLACK_WEBHOOK_URL=f"https://127.0.0.1:9/{SECRET}",
        AWS_ENDPOINT_URL="http://127.0.0.1:9",
        AWS_REGION="us-east-1",
        AWS_ACCESS_KEY_ID="known",
        AWS_SECRET_ACCESS_KEY=SECRET,
        AWS_MAX_ATTEMPTS="1",
        DAGSTER_HOME=str(tmp_path / "home"),
    )

    assert status == 1
    assert found == {
        "settings": "WARNING",
        **dict.fromkeys(("credentials", "disk", "history", "notifier"), "OK"),
        **dict.fromkeys(("lakehouse", "source", "engine", "catalog", "pseudonym key"), "FAULT"),
        "policy": "OFF",
    }
    assert {Code[code] for code in re.findall(r"\[([A-Z_]+)\]", printed)} == {
        *(Code.NO_ANSWER, Code.SETTING, Code.ENGINE_UNREACHABLE),
    }
    assert SECRET[:8] not in printed


def test__doctor__wrong_setting_ends_it(tmp_path: Path) -> None:
    status, found, _ = doctor(STEDI_MATCH_DEVICE="maybe")

    assert (status, found) == (1, {"settings": "FAULT"})


def test__lakehouse__bucket_that_can_be_written_keeps_nothing(s3_lakehouse_uri: str) -> None:
    settings = Settings(lakehouse_uri=s3_lakehouse_uri)

    assert EXAMINATIONS["credentials"](settings).state is State.OK
    assert EXAMINATIONS["lakehouse"](settings).state is State.OK
    assert open_folder(f"{s3_lakehouse_uri}/{DELTA_TABLES[0].location}").files() == []


def test__lakehouse__bucket_that_does_not_exist(s3_lakehouse_uri: str) -> None:
    with raises(Code.NO_BUCKET):
        EXAMINATIONS["lakehouse"](Settings(lakehouse_uri="s3://no-such-bucket"))


def test__lakehouse__folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with raises(Code.NOT_A_FOLDER):
        EXAMINATIONS["lakehouse"](Settings(lakehouse_uri=str(tmp_path / "file" / "lakehouse")))


def test__catalog__as_it_is(catalogued: Catalogued) -> None:
    there = Settings(lakehouse_uri=catalogued.uri, glue_database=catalogued.catalog.database)
    absent = there.model_copy(update={"glue_database": "no_such_database"})
    no_workgroup = there.model_copy(update={"athena_workgroup": "no-such-workgroup"})

    assert EXAMINATIONS["catalog"](there).state is State.OK
    with raises(Code.NO_DATABASE):
        EXAMINATIONS["catalog"](absent)
    with raises(Code.NO_WORKGROUP):
        EXAMINATIONS["catalog"](no_workgroup)


def test__engine_and_policy__of_a_lakehouse(
    materialize: Materialize, small: Path, tmp_path: Path
) -> None:
    materialize(small)
    made = Settings(lakehouse_uri=str(tmp_path / "lakehouse"), source_data=str(small))
    stricter = made.model_copy(update={"match_device": True})

    for name in ("lakehouse", "engine"):
        assert EXAMINATIONS[name](made).state is State.OK
    assert EXAMINATIONS["policy"](made).state is State.OFF
    assert EXAMINATIONS["policy"](stricter).state is State.WARNING


@pytest.mark.usefixtures("aws")
def test__notifier__sends_a_message_on_request() -> None:
    sns, sqs = (boto3.client(name, region_name="eu-west-1") for name in ("sns", "sqs"))
    topic = sns.create_topic(Name="doctor")["TopicArn"]
    queue = sqs.create_queue(QueueName="doctor")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn["Attributes"]["QueueArn"])
    settings = Settings(sns_topic_arn=topic)

    assert notifier(settings, False).state is State.OK
    assert "Messages" not in sqs.receive_message(QueueUrl=queue)
    assert notifier(settings, True).state is State.OK
    assert len(sqs.receive_message(QueueUrl=queue)["Messages"]) == 1
    with raises(Code.NOTIFICATION):
        notifier(Settings(sns_topic_arn=f"{topic}-no-more"), True)
