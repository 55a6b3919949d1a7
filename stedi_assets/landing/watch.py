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
# A file on a disk that changed less than this long ago may still be being written.
SETTLE_SECONDS = 5
DIGEST_BITS = 128
# What the sensor remembers of looks stands in Dagster's history under this name.
LANDING_SENSOR = "landing_sensor"
# The metadata that says which files landing has taken.
TAKEN = "files_digest"


@dataclass(frozen=True)
class Contents:
    """A set of files, remembered by a number.

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
            told = f"{file.name}\0{file.size}\0{file.version}"
            count += 1
            digest += int.from_bytes(hashlib.sha256(told.encode()).digest()[: DIGEST_BITS // 8])
        return Contents(count, digest % (1 << DIGEST_BITS))


@dataclass(frozen=True)
class Seen:
    """What looks at a folder have found so far.

    New files are looked for after the last name, since names of arriving files grow. Besides, a
    sweep goes over all names, a part a look, and tells at its end that something was changed,
    removed or named before others. What changes behind the sweep is told by the next one, so
    within two sweeps. A disk gives all in one page, so each look is a whole sweep.

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
    """Looks at a folder once more; the first time at all of it.

    Args:
        folder: The folder.
        seen: What the look before this one found.
        now: The time, in seconds since 1970.
    """

    def settled(files: list[StoredFile]) -> list[StoredFile]:
        return [f for f in files if f.is_json_lines and f.has_settled(SETTLE_SECONDS, now)]

    limit = PAGES_A_LOOK if seen != Seen() else None
    pages = list(islice(folder.pages(seen.position), limit))
    found = list(chain.from_iterable(pages))
    swept = seen.swept.plus(settled(found))
    position = found[-1].name if found else ""
    last = max(seen.last, position)
    if not position or limit is None or len(pages) < limit:
        return Seen(known=swept, last=last if seen.position or len(pages) > 1 else "")
    seen = replace(seen, swept=swept, position=position)
    if not seen.last:  # it had one page and has many, of which the sweep will tell
        return seen
    arrived = list(chain.from_iterable(islice(folder.pages(seen.last), limit)))
    return replace(
        seen,
        known=seen.known.plus(settled(arrived)),
        last=arrived[-1].name if arrived else seen.last,
    )
