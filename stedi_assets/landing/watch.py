"""Noticing what arrives or changes in a folder, with a bounded memory and few requests a look."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import chain, islice

from stedi_assets.storage.folder import Folder, StoredFile

# S3 gives a thousand keys a page. With five, a look at any bucket takes at most ten requests, and
# a sweep of 100,000 keys 21 looks.
PAGES_A_LOOK = 5
# A file on a disk that was modified within this time may still be being written.
SETTLE_SECONDS = 5
DIGEST_BITS = 128
# The name under which Dagster's history has what the sensor has seen.
LANDING_SENSOR = "landing_sensor"
# The metadata that says which files landing has taken.
TAKEN = "files_digest"


@dataclass(frozen=True)
class Contents:
    """A set of files, by a count and a digest.

    Attributes:
        files: How many.
        digest: The sum of their digests, which takes files in any order and portion.
    """

    files: int = 0
    digest: int = 0

    @property
    def hex_digest(self) -> str:
        """The digest as text of always the same length."""
        return f"{self.digest:0{DIGEST_BITS // 4}x}"

    def plus(self, files: Iterable[StoredFile]) -> Contents:
        """The set with further files."""
        count, digest = self.files, self.digest
        for file in files:
            listed = f"{file.name}\0{file.size}\0{file.version}"
            count += 1
            digest += int.from_bytes(hashlib.sha256(listed.encode()).digest()[: DIGEST_BITS // 8])
        return Contents(count, digest % (1 << DIGEST_BITS))


@dataclass(frozen=True)
class Seen:
    """What looks at a folder have found so far.

    New files are looked for after the last name, since names of arriving files grow. Besides, a
    sweep goes over all names, a part a look, and at its end finds what was changed, removed or
    named before others; what changed behind it is found by the next sweep. A disk gives all names
    in one page, so each look is a whole sweep.

    Attributes:
        known: The landing files in the folder.
        last: The last name; empty where one page has all, so that a look needs none.
        swept: The landing files that the sweep under way has come across.
        position: The name that the sweep has come to; empty at the beginning.
    """

    known: Contents = Contents()
    last: str = ""
    swept: Contents = Contents()
    position: str = ""


def look(folder: Folder, seen: Seen, now: float) -> Seen:
    """Looks at a folder once more, the first time at all of it; `now` in seconds since 1970."""

    def complete(files: list[StoredFile]) -> list[StoredFile]:
        return [f for f in files if f.is_json_lines and not f.modified_within(SETTLE_SECONDS, now)]

    limit = PAGES_A_LOOK if seen != Seen() else None
    pages = list(islice(folder.pages(seen.position), limit))
    found = list(chain.from_iterable(pages))
    swept = seen.swept.plus(complete(found))
    position = found[-1].name if found else ""
    last = max(seen.last, position)
    if not position or limit is None or len(pages) < limit:
        return Seen(known=swept, last=last if seen.position or len(pages) > 1 else "")
    seen = replace(seen, swept=swept, position=position)
    if not seen.last:  # it had one page and has many, which the sweep will find
        return seen
    arrived = list(chain.from_iterable(islice(folder.pages(seen.last), limit)))
    return replace(
        seen,
        known=seen.known.plus(complete(arrived)),
        last=arrived[-1].name if arrived else seen.last,
    )
