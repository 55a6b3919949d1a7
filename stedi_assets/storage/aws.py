"""Clients of AWS services, by the settings."""

from __future__ import annotations

import os
from typing import Any

from stedi_assets.errors import LakehouseError

CONNECT_TIMEOUT_SECONDS = 5
READ_TIMEOUT_SECONDS = 30


def client(service: str) -> Any:
    """A client of a service, by the usual AWS_* settings.

    Raises:
        LakehouseError: If the endpoint's address holds a password.
    """
    import boto3
    from botocore.config import Config

    config = Config(connect_timeout=CONNECT_TIMEOUT_SECONDS, read_timeout=READ_TIMEOUT_SECONDS)
    made = boto3.client(service, region_name=os.environ.get("AWS_REGION"), config=config)
    require_no_password(made.meta.endpoint_url)
    return made


def require_no_password(endpoint: str) -> None:
    """Sees to it that errors of a client, which tell its endpoint's address, tell no password.

    Raises:
        LakehouseError: If the address has one.
    """
    if "@" in endpoint:
        raise LakehouseError(
            "The address of the AWS endpoint holds a user or a password. Take that out of "
            "AWS_ENDPOINT_URL or the profile; keys go into AWS_ACCESS_KEY_ID and "
            "AWS_SECRET_ACCESS_KEY."
        )
