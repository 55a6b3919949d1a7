"""Folders in an S3 bucket, or in any store that speaks S3."""

from __future__ import annotations

import functools
import io
import itertools
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import boto3
from botocore.exceptions import BotoCoreError, ClientError
from dagster_aws.s3 import S3Resource
from typing_extensions import override

from stedi_assets.errors import Code, LakehouseError
from stedi_assets.storage import s3_upload
from stedi_assets.storage.address import S3, without_userinfo
from stedi_assets.storage.aws import require_no_password
from stedi_assets.storage.faults import storage_faults, table_fault
from stedi_assets.storage.folder import Folder, StoredFile
from stedi_assets.storage.s3_answers import require_whole

if TYPE_CHECKING:
    from pyarrow.fs import FileSystem

# S3 keeps no digest of a whole file that came in parts, so it travels along.
DIGEST = "sha256"
DEFAULT_REGION = "us-east-1"
DELETED_AT_ONCE = 1000
# Their waits add up to three seconds at most, so that a store that stays down is soon reported.
ATTEMPTS = 3


@functools.cache
def _client() -> Any:
    """This process's S3 client, by the usual AWS_* settings.

    The engine finds credentials as boto3 does, but reads neither the endpoint nor the region from
    a profile; it is handed what boto3 found, in variables that boto3 ignores.

    Raises:
        LakehouseError: If the settings are wrong, as by a profile that does not exist, or the
            endpoint's address holds a password.
    """
    try:
        s3 = S3Resource(
            region_name=os.environ.get("AWS_REGION"), max_attempts=ATTEMPTS
        ).get_client()
    except (BotoCoreError, ValueError) as error:
        raise LakehouseError(
            f"The AWS settings cannot be used: {without_userinfo(str(error))}. Correct the AWS_* "
            "variable or the profile that this names."
        ) from None
    require_no_password(s3.meta.endpoint_url)
    os.environ.setdefault("AWS_REGION", s3.meta.region_name or DEFAULT_REGION)
    endpoint = s3.meta.endpoint_url
    if not endpoint.endswith(".amazonaws.com"):
        os.environ.setdefault("AWS_ENDPOINT", endpoint)
    if endpoint.startswith("http://"):
        os.environ.setdefault("AWS_ALLOW_HTTP", "true")
    require_whole(s3)
    return s3


class S3Folder(Folder):
    """A prefix in a bucket."""

    def __init__(self, uri: str) -> None:
        super().__init__(uri)
        self.bucket, _, self.prefix = uri.removeprefix(S3).partition("/")
        self.client = _client()

    def _at(self, name: str) -> dict[str, str]:
        return {"Bucket": self.bucket, "Key": f"{self.prefix}/{name}"}

    def delta_options(self) -> dict[str, str]:
        """The credentials that boto3 found, and less patience than three minutes."""
        access_key, secret_key, token = _credentials()
        options = {
            "max_retries": "6",
            "retry_timeout": "20s",
            "AWS_ACCESS_KEY_ID": access_key,
            "AWS_SECRET_ACCESS_KEY": secret_key,
            "AWS_SESSION_TOKEN": token,
        }
        return {name: value for name, value in options.items() if value}

    @override
    def arrow_filesystem(self) -> FileSystem:
        from pyarrow.fs import S3FileSystem, SubTreeFileSystem

        access_key, secret_key, token = _credentials()
        filesystem = S3FileSystem(
            access_key=access_key,
            secret_key=secret_key,
            session_token=token,
            region=self.client.meta.region_name or DEFAULT_REGION,
            endpoint_override=self.client.meta.endpoint_url,
        )
        return SubTreeFileSystem(f"{self.bucket}/{self.prefix}", filesystem)

    @override
    def file(self, name: str) -> StoredFile | None:
        # The listing that begins at a name: to list a large folder takes a request a thousand.
        key = self._at(name)
        with storage_faults(self.uri):
            listed = self.client.list_objects_v2(
                Bucket=self.bucket, Prefix=key["Key"], Delimiter="/", MaxKeys=1
            )
        found = [entry for entry in listed.get("Contents", []) if entry["Key"] == key["Key"]]
        return self._stored(found[0]) if found else None

    @override
    def pages(self, after: str = "") -> Iterator[list[StoredFile]]:
        paginator = self.client.get_paginator("list_objects_v2")
        prefix = f"{self.prefix}/"
        asked = {"Bucket": self.bucket, "Prefix": prefix, "StartAfter": prefix + after}
        with storage_faults(self.uri):
            for page in paginator.paginate(Delimiter="/", **asked):
                files = map(self._stored, page.get("Contents", []))
                yield [file for file in files if file.name]

    def _stored(self, entry: Mapping[str, Any]) -> StoredFile:
        name = entry["Key"].removeprefix(f"{self.prefix}/")
        return StoredFile(
            name,
            f"{self.uri}/{name}",
            entry["Size"],
            entry["ETag"].strip('"'),
            int(entry["LastModified"].timestamp()) * 1_000_000_000,
        )

    @override
    def open(self, file: StoredFile) -> BinaryIO:
        with storage_faults(self.uri):
            answer = self.client.get_object(**self._at(file.name))
        # A folder's listing says how long a file is; one opened by its name alone has no ETag.
        size = file.size if file.etag else answer["ContentLength"]
        return cast(BinaryIO, io.BufferedReader(_Body(self.uri, answer["Body"], size)))

    @override
    def digest(self, file: StoredFile) -> str:
        with storage_faults(self.uri):
            metadata = self.client.head_object(**self._at(file.name))["Metadata"]
        return metadata.get(DIGEST) or super().digest(file)

    @override
    def upload(
        self, path: Path, name: str, digest: str, replaces: StoredFile | None = None
    ) -> None:
        condition = {"IfMatch": f'"{replaces.etag}"'} if replaces else {"IfNoneMatch": "*"}
        described = {"Metadata": {DIGEST: digest}, **_encryption()}
        try:
            with storage_faults(self.uri):
                s3_upload.put(self.client, path, self._at(name), described, condition)
        except LakehouseError as error:
            # A repeated request finds its work done, where only the answer to the first was lost:
            # the name is taken, or the upload in parts is no more.
            done = error.code in (Code.WRITE_CONFLICT, Code.REFUSED)
            if not done or not self._holds(name, digest):
                raise

    def _holds(self, name: str, digest: str) -> bool:
        """Whether a file with this content is stored under a name."""
        file = self.file(name)
        return file is not None and self.digest(file) == digest

    @override
    def remove(self, names: Sequence[str]) -> None:
        self._delete([{"Key": self._at(name)["Key"]} for name in names])

    @override
    def delete_noncurrent_versions(self) -> bool:
        paginator = self.client.get_paginator("list_object_versions")
        try:
            with storage_faults(self.uri):
                for page in paginator.paginate(Bucket=self.bucket, Prefix=f"{self.prefix}/"):
                    entries = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
                    self._delete(
                        {"Key": entry["Key"], "VersionId": entry["VersionId"]}
                        for entry in entries
                        if entry in page.get("DeleteMarkers", []) or not entry["IsLatest"]
                    )
        except LakehouseError as error:
            if error.code is Code.PERMISSION:
                return False
            raise
        return True

    def _delete(self, objects: Iterable[Mapping[str, str]]) -> None:
        listed = iter(objects)
        while batch := list(itertools.islice(listed, DELETED_AT_ONCE)):
            with storage_faults(self.uri):
                answer = self.client.delete_objects(
                    Bucket=self.bucket, Delete={"Objects": batch, "Quiet": True}
                )
                if errors := answer.get("Errors"):
                    raise ClientError({"Error": errors[0]}, "DeleteObjects")

    @override
    def remove_abandoned(self) -> None:
        """Leaves that to the bucket's lifecycle rule for incomplete multipart uploads."""


def _credentials() -> tuple[str | None, str | None, str | None]:
    """The access key, the secret key and the session token that boto3 finds, if any."""
    with storage_faults():
        found = boto3.Session().get_credentials()
        if found is None:
            return None, None, None
        frozen = found.get_frozen_credentials()
    return frozen.access_key, frozen.secret_key, frozen.token


def _encryption() -> dict[str, str]:
    """The server-side encryption, by the variables that the engine and delta-rs read too."""
    settings = {
        "ServerSideEncryption": os.environ.get("AWS_SERVER_SIDE_ENCRYPTION"),
        "SSEKMSKeyId": os.environ.get("AWS_SSE_KMS_KEY_ID"),
    }
    return {name: value for name, value in settings.items() if value}


class _Body(io.RawIOBase):
    """A response's body as a file."""

    def __init__(self, uri: str, body: Any, size: int) -> None:
        self.uri = uri
        self.body = body
        self.missing = size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        with storage_faults(self.uri):
            chunk = self.body.read(len(buffer))
        buffer[: len(chunk)] = chunk
        self.missing -= len(chunk)
        if self.missing and not chunk:
            raise table_fault(self.uri, Code.CUT_ANSWER)
        return len(chunk)
