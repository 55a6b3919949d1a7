"""What is said where Glue refuses or cannot be reached, or the settings do not go together."""

from __future__ import annotations

from typing import Any

import pytest

from stedi_assets.catalog.glue import GlueCatalog
from stedi_assets.errors import LakehouseError
from stedi_assets_tests import aws_answers
from stedi_assets_tests.resources.conftest import FIRST, TABLE, URI


@pytest.mark.parametrize(
    ("operation", "code", "said", "meaning"),
    [
        (
            "GetTable",
            "AccessDeniedException",
            "User arn:aws:iam::1:user/ann is not authorized to perform glue:GetTable",
            "there is no permission for that. Grant it",
        ),
        (
            "CreateTable",
            "ThrottlingException",
            "Rate exceeded",
            "it has too many requests. Wait a minute",
        ),
        (
            "GetTable",
            "UnrecognizedClientException",
            "The security token included in the request is invalid.",
            "the AWS credentials are wrong. Correct AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, "
            "or AWS_PROFILE",
        ),
        (
            "GetTable",
            "ExpiredTokenException",
            "The security token included in the request is expired",
            "the AWS credentials have expired. Renew them",
        ),
        (
            "CreateTable",
            "InternalServiceException",
            "",
            "it fails for the moment. Wait a minute",
        ),
        (
            "CreateTable",
            "InvalidInputException",
            "No such type.",
            "InvalidInputException: No such type",
        ),
    ],
)
def test__register__glue_refuses(
    catalog: GlueCatalog, operation: str, code: str, said: str, meaning: str
) -> None:
    aws_answers.refuse(f"glue.{operation}", code, said)

    with pytest.raises(LakehouseError) as raised:
        catalog.register(TABLE, URI, FIRST)

    assert str(raised.value) == (
        f"{catalog.database}.phone_trusted cannot be registered in the Glue Data Catalog: "
        f"{meaning}. Then run the job register_in_catalog; phone_trusted itself is written."
    )


def test__register__no_such_database(aws: dict[str, str]) -> None:
    with pytest.raises(LakehouseError, match=r"no such Glue database\. Create it, or correct STE"):
        GlueCatalog(database="missing").register(TABLE, URI, FIRST)


@pytest.mark.parametrize(
    ("environment", "meaning"),
    [
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, "it does not answer. Check the network"),
        ({"AWS_REGION": None}, "there is no AWS region. Set AWS_REGION"),
        (
            {"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None},
            "there are no AWS credentials. Set AWS_ACCESS_KEY_ID",
        ),
    ],
    ids=["endpoint", "region", "credentials"],
)
def test__find__glue_cannot_be_reached(
    aws: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Any,
    environment: dict[str, str | None],
    meaning: str,
) -> None:
    nowhere = {
        "AWS_CONFIG_FILE": str(tmp_path / "config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "credentials"),
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_DEFAULT_REGION": None,
    }
    for name, value in {**nowhere, **environment}.items():
        monkeypatch.setenv(name, value) if value else monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("boto3.DEFAULT_SESSION", None)

    with pytest.raises(LakehouseError) as raised:
        GlueCatalog(database="stedi").find(TABLE)

    said = str(raised.value)
    assert said.startswith(
        f"stedi.phone_trusted cannot be looked up in the Glue Data Catalog: {meaning}"
    )
    assert said.endswith("Then run the check again; phone_trusted itself is written.")


@pytest.mark.parametrize(
    ("database", "lakehouse", "said"),
    [
        ("stedi", "file:///lakehouse", "Set STEDI_LAKEHOUSE_URI to s3://bucket/prefix, or STEDI_G"),
        ("Stedi", "s3://bucket", "STEDI_GLUE_DATABASE=Stedi cannot be used. Name a database in "),
        ('a"; drop', "s3://bucket", "Name a database in lower-case letters, digits and _ only."),
    ],
)
def test__require_usable__settings_that_do_not_go_together(
    database: str, lakehouse: str, said: str
) -> None:
    with pytest.raises(LakehouseError, match=said):
        GlueCatalog(database=database).require_usable(lakehouse)
