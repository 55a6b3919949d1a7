"""The names of landed files: a later version of a source file has its content's digest in its name.

It has the first digits of the SHA-256, as many as it takes for a name that is not taken.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable

DIGITS = range(12, 65, 4)
VERSIONED = re.compile(r"-([0-9a-f]{12,64})(?=\.json(?:\.gz)?$)")


def versioned(name: str, sha256: str, taken: Container[str]) -> str:
    """The name, not among those taken, under which a later version of a source file lands."""
    stem, dot, suffix = name.rpartition(".json")
    names = (f"{stem}-{sha256[:digits]}{dot}{suffix}" for digits in DIGITS)
    return next(name for name in names if name not in taken)


def first(name: str) -> str:
    """The name under which the first version landed, if this can be that of a later one."""
    return VERSIONED.sub("", name)


def is_version(name: str, digests: Iterable[str]) -> bool:
    """Whether a name has the first digits of one of some SHA-256."""
    found = VERSIONED.search(name)
    return found is not None and any(digest.startswith(found[1]) for digest in digests)
