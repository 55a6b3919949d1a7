"""Addresses of folders: which can be used, where they lead, and what of them may be shown."""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import quote

from stedi_assets.errors import LakehouseError
from stedi_assets.settings import engine_writes_to

LOCAL = "file://"
S3 = "s3://"


def as_uri(location: str) -> str:
    """A folder's path or URI as an URI without a trailing slash.

    Raises:
        LakehouseError: If the engine cannot write to such a path, or the scheme is unknown.
    """
    path = location.removeprefix(LOCAL)
    if location.startswith(S3):
        place = location.removeprefix(S3).rstrip("/")
        if quote(place) == place and not {"", ".", ".."}.intersection(place.split("/")):
            return f"{S3}{place}"
        raise LakehouseError(
            f"STEDI_LAKEHOUSE_URI={without_userinfo(location)} cannot be used. Write it as "
            "s3://bucket/prefix, in letters, digits and . _ - only; keys go into AWS_* variables."
        )
    if "://" in path:
        raise LakehouseError(
            f"STEDI_LAKEHOUSE_URI={without_userinfo(location)} is neither a folder nor an s3:// "
            "address."
        )
    # The engine takes `..` out of an address without a look at the disk, and so does this.
    absolute = os.path.normpath(Path(path).expanduser().absolute())
    if not engine_writes_to(absolute):
        raise LakehouseError(
            f"The lakehouse folder {absolute} has characters that the engine cannot write to. "
            "Set STEDI_LAKEHOUSE_URI to a path of letters, digits and . _ - only."
        )
    return f"{LOCAL}{absolute}"


def within(root: Path, location: str) -> None:
    """Sees to it that a folder's place on a disk is where its name says.

    Args:
        root: The lakehouse or the source folder.
        location: The folder below it.

    Raises:
        LakehouseError: If a symbolic link on the way leads out of the root.
    """
    if not (root / location).resolve().is_relative_to(root.resolve()):
        raise LakehouseError(
            f"{root / location} leads out of {root} by a symbolic link. Put the folder itself "
            "there, or mount it."
        )


def without_userinfo(address: str) -> str:
    """An address that may be shown: what stands before an @ may be a password."""
    return re.sub(r"//.*@", "//…@", address)
