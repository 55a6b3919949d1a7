"""Which answers of an object store are whole: one that is cut must not pass for an empty folder.

botocore takes a body of no bytes, the page of a proxy, or a listing without its end for an answer
that lists nothing. Such an answer becomes an error of the server here, so that botocore asks again
and, if it stays so, raises it.
"""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

from stedi_assets.storage.signs import INCOMPLETE

# Operation to the root element of its answer, and the element without which that is not whole.
DOCUMENTS = {
    "ListObjectsV2": ("ListBucketResult", "IsTruncated"),
    "ListObjectVersions": ("ListVersionsResult", "IsTruncated"),
    "CreateMultipartUpload": ("InitiateMultipartUploadResult", "UploadId"),
    "CompleteMultipartUpload": ("CompleteMultipartUploadResult", "ETag"),
    "DeleteObjects": ("DeleteResult", None),
}
# Where a listing that is not the last page goes on; without it botocore would stop there.
NEXT = {"ListObjectsV2": "NextContinuationToken", "ListObjectVersions": "NextKeyMarker"}
# What other answers are known by: whatever was stored or is read has an ETag.
WITH_ETAG = ("GetObject", "HeadObject", "PutObject", "UploadPart")


def require_whole(client: Any) -> None:
    """Has an S3 client of botocore take an answer that is not whole for an error of the server."""
    client.meta.events.register("before-parse.s3", _refuse_incomplete)


def _refuse_incomplete(operation_model: Any, response_dict: dict[str, Any], **_: Any) -> None:
    if response_dict["status_code"] >= 300 or _is_whole(operation_model.name, response_dict):
        return
    if hasattr(response_dict["body"], "close"):
        response_dict["body"].close()
    response_dict["status_code"] = 500
    response_dict["body"] = (
        f"<Error><Code>{INCOMPLETE}</Code><Message>It was cut short, or is none of S3"
        "</Message></Error>"
    ).encode()


def _is_whole(operation: str, answer: dict[str, Any]) -> bool:
    if operation in WITH_ETAG:
        return "etag" in answer["headers"]
    if operation not in DOCUMENTS:
        return True
    try:
        root = ElementTree.fromstring(answer["body"])
    except ElementTree.ParseError:
        return False
    name, end = DOCUMENTS[operation]
    found = [_name(element) for element in root]
    if _name(root) == "Error":
        return True  # botocore knows it, and it says more
    if _name(root) != name or (end is not None and end not in found):
        return False
    values = {_name(element): element.text for element in root}
    if values.get("IsTruncated") == "true" and not values.get(NEXT[operation]):
        return False
    listed = found.count("Contents") + found.count("CommonPrefixes")
    return int(values.get("KeyCount") or listed) == listed


def _name(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]
