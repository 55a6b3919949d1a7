"""Clients of AWS services, and what their errors mean for the person who reads them."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from typing import Any

from stedi_assets.errors import LakehouseError
from stedi_assets.storage import faults
from stedi_assets.storage.address import without_userinfo

CONNECT_TIMEOUT_SECONDS = 5
READ_TIMEOUT_SECONDS = 30

# What services say where a bucket would say something else, in the order it is looked for.
MEANINGS = {
    "entitynotfound": "there is no such Glue database. Create it, or correct STEDI_GLUE_DATABASE",
    "workgroup.*(not found|does not exist)": (
        "there is no such Athena workgroup. Create it, or correct STEDI_ATHENA_WORKGROUP"
    ),
    "must specify a region": "there is no AWS region. Set AWS_REGION",
    "throttl|rate exceeded|too ?many ?requests": "it has too many requests. Wait a minute",
    "internalservice|internalserver|service ?unavailable|operationtimeout": (
        "it fails for the moment. Wait a minute"
    ),
    "could not connect|connect timeout|read timeout|connection was closed": (
        "it does not answer. Check the network, and AWS_ENDPOINT_URL if you set it"
    ),
}


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


@contextlib.contextmanager
def service_faults(what: str, then: str) -> Iterator[None]:
    """Says in one sentence why a service did not do as asked.

    Args:
        what: What could not be done.
        then: What to do once the cause is mended.

    Raises:
        LakehouseError: For every error of the service and of reaching it.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except (BotoCoreError, ClientError) as error:
        raise LakehouseError(f"{what}: {_meaning(error)}. {then}") from None


def _meaning(error: Exception) -> str:
    said = str(error).lower()
    means = next((means for signs, means in MEANINGS.items() if re.search(signs, said)), None)
    if means := means or faults.meaning(error):
        return means
    answer = getattr(error, "response", {}).get("Error")
    said = f"{answer['Code']}: {answer['Message']}" if answer else str(error)
    return without_userinfo(said.rstrip("."))
