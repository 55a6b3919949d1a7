"""The AWS settings, found once by boto3 and handed to each library in its own words."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError

from stedi_assets.errors import LakehouseError
from stedi_assets.storage.address import without_userinfo
from stedi_assets.storage.s3_answers import require_whole

if TYPE_CHECKING:
    from pyarrow.fs import S3FileSystem

DEFAULT_REGION = "us-east-1"
SERVICE_TIMEOUTS = {"connect_timeout": 5, "read_timeout": 30}
# The waits of S3's requests add up to three seconds at most, so that a store that stays down is
# reported soon; delta-rs would try for three minutes.
S3_ATTEMPTS = 3
DELTA_PATIENCE = {"max_retries": "6", "retry_timeout": "20s"}


@dataclass(frozen=True)
class AwsSettings:
    """Where AWS is and who we are there.

    delta-rs and the engine read neither the endpoint nor the region of a profile, so they get
    what boto3 found.

    Attributes:
        session: boto3's, which renews credentials that expire.
        encryption: The type of the server-side encryption, from AWS_SERVER_SIDE_ENCRYPTION; empty
            for the bucket's own.
        kms_key: The id of its key, from AWS_SSE_KMS_KEY_ID; empty for the default key.
    """

    session: boto3.Session = field(repr=False)
    encryption: str = ""
    kms_key: str = ""

    def client(self, service: str, region: str | None = None) -> Any:
        """A boto3 client of a service.

        Args:
            service: The service, as `glue`.
            region: Its region; None for that of the settings.

        Raises:
            BotoCoreError: If there is no region.
            LakehouseError: If the endpoint's address holds a password.
        """
        client = self.session.client(service, region, config=Config(**SERVICE_TIMEOUTS))
        _require_no_password(client.meta.endpoint_url)
        return client

    @functools.cached_property
    def s3(self) -> Any:
        """The boto3 client of S3.

        Raises:
            LakehouseError: If the settings are wrong, or the endpoint's address holds a password.
        """
        with _wrong_settings():
            client = self.session.client(
                "s3", config=Config(retries={"max_attempts": S3_ATTEMPTS, "mode": "standard"})
            )
        _require_no_password(client.meta.endpoint_url)
        require_whole(client)
        return client

    @property
    def region(self) -> str:
        """The region of S3."""
        return self.s3.meta.region_name or DEFAULT_REGION

    def store_variables(self) -> dict[str, str]:
        """Where S3 is, in variables of Rust's object_store, as the engine and delta-rs use it."""
        endpoint: str = self.s3.meta.endpoint_url
        variables = {"AWS_REGION": self.region}
        if not endpoint.endswith(".amazonaws.com"):
            variables["AWS_ENDPOINT"] = endpoint
        if endpoint.startswith("http://"):
            variables["AWS_ALLOW_HTTP"] = "true"
        return variables

    def delta_options(self) -> dict[str, str]:
        """The storage options of delta-rs, with credentials that are valid now."""
        access_key, secret_key, token = self._credentials()
        options = {
            **DELTA_PATIENCE,
            **self.store_variables(),
            "AWS_ACCESS_KEY_ID": access_key,
            "AWS_SECRET_ACCESS_KEY": secret_key,
            "AWS_SESSION_TOKEN": token,
            "AWS_SERVER_SIDE_ENCRYPTION": self.encryption,
            "AWS_SSE_KMS_KEY_ID": self.kms_key,
        }
        return {name: value for name, value in options.items() if value}

    def arrow_filesystem(self) -> S3FileSystem:
        """Arrow's file system, with credentials that are valid now."""
        from pyarrow.fs import S3FileSystem

        access_key, secret_key, token = self._credentials()
        return S3FileSystem(
            access_key=access_key,
            secret_key=secret_key,
            session_token=token,
            region=self.region,
            endpoint_override=self.s3.meta.endpoint_url,
        )

    def put_arguments(self) -> dict[str, str]:
        """The encryption, in arguments of S3's PutObject and CreateMultipartUpload."""
        arguments = {"ServerSideEncryption": self.encryption, "SSEKMSKeyId": self.kms_key}
        return {name: value for name, value in arguments.items() if value}

    def _credentials(self) -> tuple[str | None, str | None, str | None]:
        """The access key, the secret key and the session token, if boto3 found any.

        Raises:
            BotoCoreError: If they have expired and cannot be renewed.
        """
        found = self.session.get_credentials()
        if found is None:
            return None, None, None
        frozen = found.get_frozen_credentials()
        return frozen.access_key, frozen.secret_key, frozen.token


@functools.cache
def found() -> AwsSettings:
    """This process's AWS settings.

    Raises:
        LakehouseError: If the settings are wrong, as by a profile that does not exist.
    """
    with _wrong_settings():
        # boto3 itself reads AWS_DEFAULT_REGION only.
        session = boto3.Session(region_name=os.environ.get("AWS_REGION"))
    return AwsSettings(
        session,
        os.environ.get("AWS_SERVER_SIDE_ENCRYPTION", ""),
        os.environ.get("AWS_SSE_KMS_KEY_ID", ""),
    )


@contextmanager
def _wrong_settings() -> Iterator[None]:
    try:
        yield
    except (BotoCoreError, ValueError) as error:
        raise LakehouseError(
            f"The AWS settings cannot be used: {without_userinfo(str(error)).rstrip('.')}. Correct "
            "the AWS_* variable or the profile that this names."
        ) from None


def _require_no_password(endpoint: str) -> None:
    """Sees to it that errors of a client, which name its endpoint, hold no password."""
    if "@" in endpoint:
        raise LakehouseError(
            "The address of the AWS endpoint holds a user or a password. Take that out of "
            "AWS_ENDPOINT_URL or the profile; keys go into AWS_ACCESS_KEY_ID and "
            "AWS_SECRET_ACCESS_KEY."
        )
