"""What is said where Glue refuses or cannot be reached, or the settings do not go together."""

from __future__ import annotations

from typing import Any

import pytest

from stedi_assets.catalog.glue import GlueCatalog
from stedi_assets.errors import Code, LakehouseError
from stedi_assets.storage import aws_settings
from stedi_assets_tests import aws_answers
from stedi_assets_tests.faults import raises
from stedi_assets_tests.resources.conftest import FIRST, TABLE, URI

FOUND = aws_settings.found


@pytest.mark.parametrize(
    ("operation", "error", "code"),
    [
        ("GetTable", "AccessDeniedException", Code.PERMISSION),
        ("CreateTable", "ThrottlingException", Code.OVERLOADED),
        ("GetTable", "UnrecognizedClientException", Code.WRONG_CREDENTIALS),
        ("GetTable", "ExpiredTokenException", Code.EXPIRED_CREDENTIALS),
        ("CreateTable", "InternalServiceException", Code.OVERLOADED),
        ("CreateTable", "InvalidInputException", Code.REFUSED),
    ],
)
def test__register__glue_refuses(
    catalog: GlueCatalog, operation: str, error: str, code: Code
) -> None:
    aws_answers.refuse(f"glue.{operation}", error, "No such type.")

    with raises(code) as raised:
        catalog.register(TABLE, URI, FIRST)

    assert f"{catalog.database}.phone_trusted cannot be registered" in str(raised.value)
    assert ("No such type" in str(raised.value)) is (code is Code.REFUSED)


def test__register__no_such_database(aws: dict[str, str]) -> None:
    with raises(Code.NO_DATABASE):
        GlueCatalog(database="missing").register(TABLE, URI, FIRST)


@pytest.mark.parametrize(
    ("environment", "code"),
    [
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, Code.NO_ANSWER),
        ({"AWS_REGION": None}, Code.NO_REGION),
        (
            {"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None},
            Code.NO_CREDENTIALS,
        ),
    ],
    ids=["endpoint", "region", "credentials"],
)
def test__find__glue_cannot_be_reached(
    aws: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Any,
    environment: dict[str, str | None],
    code: Code,
) -> None:
    nowhere = {
        "AWS_CONFIG_FILE": str(tmp_path / "config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "credentials"),
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_DEFAULT_REGION": None,
    }
    for name, value in {**nowhere, **environment}.items():
        monkeypatch.setenv(name, value) if value else monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(aws_settings, "found", FOUND.__wrapped__)

    with raises(code):
        GlueCatalog(database="stedi").find(TABLE)


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
