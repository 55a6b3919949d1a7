"""The ledger of a landing folder: every file that landed, and which of them are current.

A source file that changes lands beside its earlier versions, and the ledger says which version the
source has now. Superseded versions stay in landing: nothing that landed is altered but by erasure.
"""

from __future__ import annotations

import re
import tempfile
import uuid
from collections.abc import Collection, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ValidationError

from stedi_assets.storage.folder import Folder, StoredFile, sha256_of

LEDGER = ".ledger.json"
# A later version of a source file lands under the first digits of its SHA-256: as many as it takes
# for a name that is not taken.
DIGEST_IN_NAME = range(12, 65, 4)
VERSIONED = re.compile(r"-([0-9a-f]{12,64})(?=\.json(?:\.gz)?$)")


class LandedFile(BaseModel, frozen=True):
    """A file in landing.

    Attributes:
        id: Names it in commits, metadata and quarantine; a random one, since its name may be a
            person's.
        name: Its name in landing.
        source: The name of the source file that it is a version of; its own where it arrived by
            itself.
        size: Its size in bytes.
        version: What changes with its content: the ETag in a bucket, size and modification time on
            a disk.
        sha256: The SHA-256 of its content; None where no one has read it.
        landed_sha256: That of the source file that landed as it, which it no longer equals once
            people were erased from it.
        current: Whether it is what the source says now.
        times: The least and the greatest value of the table's time column in it (epoch
            milliseconds, UTC), or wider; None where not known, or where the table has none.
    """

    id: str
    name: str
    source: str
    size: int
    version: str
    sha256: str | None = None
    landed_sha256: str | None = None
    current: bool = True
    times: tuple[int, int] | None = None

    def is_of(self, sha256: str) -> bool:
        """Whether it landed from a source file with this content."""
        return sha256 == (self.landed_sha256 or self.sha256)


class _Kept(BaseModel):
    format: Literal[1] = 1
    files: tuple[LandedFile, ...]


@dataclass(frozen=True)
class Ledger:
    """What is known of the files in a landing folder.

    Attributes:
        files: Every file, by name.
        overwritten: The ids of those whose content was replaced in place since the ledger was kept,
            which leaves no earlier version.
    """

    files: tuple[LandedFile, ...] = ()
    overwritten: frozenset[str] = frozenset()

    @property
    def by_name(self) -> dict[str, LandedFile]:
        """The files, by their names in landing."""
        return {file.name: file for file in self.files}

    def versions_of(self, source: str) -> list[LandedFile]:
        """The versions of a source file that have landed."""
        return [file for file in self.files if file.source == source]

    def with_files(self, files: Iterable[LandedFile]) -> Ledger:
        """The ledger with further files, or other facts of files that it has.

        A file that is current supersedes the other versions of its source file.
        """
        known = {file.id: file for file in self.files}
        latest = {}
        for file in files:
            known[file.id] = file
            if file.current:
                latest[file.source] = file.id
        found = (
            file
            if latest.get(file.source, file.id) == file.id
            else file.model_copy(update={"current": False})
            for file in known.values()
        )
        return replace(self, files=tuple(sorted(found, key=lambda file: file.name)))

    def with_times(self, times: Mapping[str, tuple[int, int]]) -> Ledger:
        """The ledger with the times in files.

        Args:
            times: A file's name to the least and the greatest time in it.
        """
        files = (
            file.model_copy(update={"times": times[file.name]}) if file.name in times else file
            for file in self.files
        )
        return replace(self, files=tuple(files))


def landed_as(name: str, source: str, sha256: str) -> LandedFile:
    """A file that is about to land, or just has: its version and size are those of no file yet.

    Args:
        name: Its name in landing.
        source: The name of the source file.
        sha256: The SHA-256 of both.
    """
    return LandedFile(
        id=new_id(),
        name=name,
        source=source,
        size=0,
        version="",
        sha256=sha256,
        landed_sha256=sha256,
    )


def new_id() -> str:
    """An id that tells nothing of the file."""
    return uuid.uuid4().hex[:16]


def versioned(name: str, sha256: str, taken: Container[str]) -> str:
    """The name under which a later version of a source file lands.

    Args:
        name: The source file's name.
        sha256: The SHA-256 of its content.
        taken: Names that other files have.
    """
    stem, dot, suffix = name.rpartition(".json")
    names = (f"{stem}-{sha256[:digits]}{dot}{suffix}" for digits in DIGEST_IN_NAME)
    return next(name for name in names if name not in taken)


def _first_version(name: str) -> str:
    """The name under which the first version landed, if this can be that of a later one."""
    return VERSIONED.sub("", name)


def kept(folder: Folder, stored: Sequence[StoredFile]) -> Ledger:
    """The ledger as it was last kept: empty where none was, or none that this release can read.

    Args:
        folder: The landing folder.
        stored: All files in it.
    """
    found = next((file for file in stored if file.name == LEDGER), None)
    if found is None:
        return Ledger()
    with folder.open(found) as stream:
        try:
            return Ledger(_Kept.model_validate_json(stream.read()).files)
        except ValidationError:
            return Ledger()  # what is not known is found out anew


def _is_version(name: str, sha256: str) -> bool:
    """Whether a name has the first digits of a content's SHA-256."""
    found = VERSIONED.search(name)
    return found is not None and sha256.startswith(found[1])


def _prefixes(name: str) -> set[str]:
    found = VERSIONED.search(name)
    return {found[1][: DIGEST_IN_NAME[0]]} if found else set()


def read(folder: Folder, stored: Sequence[StoredFile], erased: Collection[str] = ()) -> Ledger:
    """The ledger of a landing folder as it is now.

    It is right even where no ledger was kept, or one by another release, or where a run was killed
    between a file and the ledger: of versions that it lacks the one that landed last is current.

    Args:
        folder: The landing folder.
        stored: All files in it.
        erased: The SHA-256 of files that landed once and may not again.
    """
    return observed(kept(folder, stored), folder, stored, erased)


def observed(
    ledger: Ledger, folder: Folder, stored: Sequence[StoredFile], erased: Collection[str] = ()
) -> Ledger:
    """A ledger of the files that are there: without those that are gone, with those that came.

    Only a file that changed since is read, and only to find out whether its content did.

    Args:
        ledger: What was known.
        folder: The landing folder.
        stored: All files in it.
        erased: The SHA-256 of files that landed once and may not again.
    """
    landed = {file.name: file for file in stored if file.is_json_lines}
    known = ledger.by_name
    overwritten = set()
    seen = []
    for name in landed.keys() & known.keys():
        entry = _seen(known[name], folder, landed[name], erased)
        seen.append(entry)
        if entry.sha256 != known[name].sha256 and entry.landed_sha256 is None:
            overwritten.add(entry.id)

    def age(name: str) -> tuple[int, bool, str]:
        return landed[name].modified_ns, _first_version(name) != name, name

    came = sorted(
        (file for name, file in landed.items() if name not in known),
        key=lambda file: age(file.name),
    )
    digests = folder.digests_at_hand(came)
    prefixes = {digest[: DIGEST_IN_NAME[0]] for digest in erased}
    names = landed.keys() | {file.source for file in seen}
    arrived = []
    for file in came:
        digest, source = digests.get(file.name), _first_version(file.name)
        if source != file.name and source in names:
            digest = digest or folder.digest(file)
            if not _is_version(file.name, digest) and not (prefixes & _prefixes(file.name)):
                source = file.name
        arrived.append(
            LandedFile(
                id=new_id(),
                name=file.name,
                source=source,
                size=file.size,
                version=file.version,
                sha256=digest,
            )
        )
    # What comes back, as from a copy, supersedes nothing that landed after it.
    latest = {file.source: age(file.name) for file in seen if file.current}
    arrived = [
        file.model_copy(update={"current": age(file.name) > latest[file.source]})
        if file.source in latest
        else file
        for file in arrived
    ]
    found = Ledger(tuple(seen), frozenset(overwritten)).with_files(arrived)
    # Of a source file whose current version was taken out of landing, the last one left counts.
    left = sorted(found.files, key=lambda file: landed[file.name].modified_ns)
    orphaned = {file.source for file in left} - {file.source for file in left if file.current}
    last = {file.source: file for file in left if file.source in orphaned}
    return found.with_files(file.model_copy(update={"current": True}) for file in last.values())


def keep(folder: Folder, ledger: Ledger) -> None:
    """Keeps a ledger in its landing folder, in place of the one before."""
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch, LEDGER)
        path.write_text(_Kept(files=ledger.files).model_dump_json(), encoding="utf-8")
        folder.upload(path, LEDGER, sha256_of(path), replaces=folder.file(LEDGER))


def _seen(
    entry: LandedFile, folder: Folder, file: StoredFile, erased: Container[str]
) -> LandedFile:
    if entry.version == file.version:
        return entry
    now = {"size": file.size, "version": file.version}
    if not entry.version:
        return entry.model_copy(update=now)  # it has just landed
    digest = folder.digest(file)
    if entry.sha256 == digest:
        return entry.model_copy(update=now)
    was = entry.landed_sha256 or entry.sha256
    if was in erased:  # by an erasure that was killed before it kept the ledger
        return entry.model_copy(update={**now, "sha256": digest, "landed_sha256": was})
    return entry.model_copy(update={**now, "sha256": digest, "landed_sha256": None, "times": None})
