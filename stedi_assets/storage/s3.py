"""Folders in an S3 bucket, or in any store that speaks S3."""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from botocore.exceptions import ClientError
from typing_extensions import override

from stedi_assets.errors import Code, LakehouseError
from stedi_assets.storage import aws_settings, s3_upload
from stedi_assets.storage.address import S3
from stedi_assets.storage.faults import storage_faults, table_fault
from stedi_assets.storage.folder import Folder, StoredFile

if TYPE_CHECKING:
    from pyarrow.fs import FileSystem

# S3 keeps no digest of a whole file that came in parts, so it travels along.
DIGEST = "sha256"
DELETED_AT_ONCE = 1000


class S3Folder(Folder):
    """A prefix in a bucket."""

    def __init__(self, uri: str) -> None:
        super().__init__(uri)
        self.bucket, _, self.prefix = uri.removeprefix(S3).partition("/")
        self.aws = aws_settings.found()
        self.client = self.aws.s3

    def _at(self, name: str) -> dict[str, str]:
        return {"Bucket": self.bucket, "Key": f"{self.prefix}/{name}"}

    @override
    def delta_options(self) -> dict[str, str]:
        with storage_faults(self.uri):
            return self.aws.delta_options()

    @override
    def arrow_filesystem(self) -> FileSystem:
        from pyarrow.fs import SubTreeFileSystem

        with storage_faults(self.uri):
            filesystem = self.aws.arrow_filesystem()
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
        described = {"Metadata": {DIGEST: digest}, **self.aws.put_arguments()}
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
