"""The fingerprint of a set of files: equal exactly when names and contents are equal."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping


def fingerprint(digests: Mapping[str, str]) -> str:
    """The SHA-256 over file names and their contents' digests.

    Args:
        digests: File name to the hexadecimal SHA-256 of its content.

    Returns:
        Sixty-four hexadecimal digits, independent of the order of the files.
    """
    listing = "".join(f"{name}\0{digests[name]}\n" for name in sorted(digests))
    return hashlib.sha256(listing.encode()).hexdigest()
