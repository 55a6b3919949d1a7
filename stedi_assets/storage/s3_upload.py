"""Uploads to S3 that replace nothing but what the caller names: boto3's own take no condition."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

# A file up to the first is one request; a longer one goes in parts, of which S3 takes so many.
WHOLE_BYTES = 64 << 20
PART_BYTES = 16 << 20
PARTS = 10_000
CHECKSUM = {"ChecksumAlgorithm": "SHA256"}


def put(
    client: Any,
    path: Path,
    at: Mapping[str, str],
    described: Mapping[str, Any],
    condition: Mapping[str, str],
) -> None:
    """Stores a local file as an object, which appears whole or not at all.

    Args:
        client: botocore's client of S3.
        path: The file.
        at: `Bucket` and `Key`.
        described: The object's metadata and encryption.
        condition: `IfNoneMatch` or `IfMatch`.

    Raises:
        ClientError: As `PreconditionFailed` if the condition does not hold.
        BotoCoreError: If the store does not answer.
    """
    size = path.stat().st_size
    with path.open("rb") as content:
        if size <= WHOLE_BYTES:
            client.put_object(**at, **described, **CHECKSUM, **condition, Body=content)
            return
        created = client.create_multipart_upload(**at, **described, **CHECKSUM)
        upload = {**at, "UploadId": created["UploadId"]}
        part_bytes = max(PART_BYTES, -(-size // PARTS))
        try:
            parts: list[dict[str, Any]] = []
            while chunk := content.read(part_bytes):
                part = {"PartNumber": len(parts) + 1}
                stored = client.upload_part(**upload, **part, **CHECKSUM, Body=chunk)
                known = {name: stored.get(name) for name in ("ETag", "ChecksumSHA256")}
                parts.append(part | {name: value for name, value in known.items() if value})
            client.complete_multipart_upload(
                **upload, **condition, MultipartUpload={"Parts": parts}
            )
        except BaseException:
            # If the store does not answer now, the bucket's lifecycle rule removes the parts.
            with contextlib.suppress(BotoCoreError, ClientError):
                client.abort_multipart_upload(**upload)
            raise
