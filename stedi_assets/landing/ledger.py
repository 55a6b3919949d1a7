"""The ledger of a landing folder: every file that landed, and which of them are current.

A source file that changes lands beside its earlier versions, and the ledger has which version the
source has now. Superseded versions stay in landing: nothing that landed is altered but by erasure.
"""

from __future__ import annotations

import uuid
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from pydantic import BaseModel, ValidationError

from stedi_assets.landing import names
from stedi_assets.landing.erased import erased_digests
from stedi_assets.storage.folder import Folder, StoredFile

LEDGER = ".ledger.json"


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
        source_version: The size and modification time of the source file with this content, as
            last read; None where that is not known, or it arrived by itself.
    """

    id: str
    name: str
    source: str
    size: int
    version: str
    sha256: str | None = None
    landed_sha256: str | None = None
    current: bool = True
    source_version: str | None = None

    def is_of(self, sha256: str) -> bool:
        """Whether it landed from a source file with this content."""
        return sha256 == (self.landed_sha256 or self.sha256)


class _Stored(BaseModel):
    format: Literal[1] = 1
    files: tuple[LandedFile, ...]


@dataclass(frozen=True)
class Ledger:
    """What is known of the files in a landing folder.

    Attributes:
        files: Every file, by name.
        overwritten: The ids of those whose content was replaced in place since the ledger was
            saved, which leaves no earlier version.
    """

    files: tuple[LandedFile, ...] = ()
    overwritten: frozenset[str] = frozenset()

    @property
    def by_name(self) -> dict[str, LandedFile]:
        """The files, by their names in landing."""
        return {file.name: file for file in self.files}

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


def landed_as(name: str, source: str, sha256: str) -> LandedFile:
    """A source file that is about to land under a name: its size and version are not known yet."""
    return LandedFile(
        id=_new_id(),
        name=name,
        source=source,
        size=0,
        version="",
        sha256=sha256,
        landed_sha256=sha256,
    )


def _new_id() -> str:
    return uuid.uuid4().hex[:16]


def load(folder: Folder, stored: Sequence[StoredFile]) -> Ledger:
    """The ledger last saved in a folder with these files; empty if there is none to be read."""
    found = next((file for file in stored if file.name == LEDGER), None)
    if found is None:
        return Ledger()
    with folder.open(found) as stream:
        try:
            return Ledger(_Stored.model_validate_json(stream.read()).files)
        except ValidationError:
            return Ledger()  # what is not known is found out anew


def save(folder: Folder, ledger: Ledger) -> None:
    """Stores a ledger in its landing folder, in place of the one before."""
    content = _Stored(files=ledger.files).model_dump_json()
    folder.write(LEDGER, content, replaces=folder.file(LEDGER))


def read(folder: Folder, stored: Sequence[StoredFile]) -> Ledger:
    """The ledger of a landing folder as it is now, with all files that are stored in it.

    It is right even where no ledger was saved, or one by another release, or where a run was killed
    between a file and the ledger: of versions that it lacks the one that landed last is current.
    """
    return updated(load(folder, stored), folder, stored)


def updated(
    ledger: Ledger, folder: Folder, stored: Sequence[StoredFile], *, anew: bool = False
) -> Ledger:
    """A ledger of the files that are stored: without those that are gone, with those that came.

    In a bucket only a file that may be a version of another, or has changed since, costs a request;
    each does if all are to be looked at anew.
    """
    erased = erased_digests(folder, stored)
    landed = {file.name: file for file in stored if file.is_json_lines}
    known = ledger.by_name
    overwritten = set()
    seen = []
    for name in landed.keys() & known.keys():
        entry = _seen(known[name], folder, landed[name], erased, anew)
        seen.append(entry)
        if entry.sha256 != known[name].sha256 and entry.landed_sha256 is None:
            overwritten.add(entry.id)

    def age(name: str) -> tuple[int, bool, str]:
        return landed[name].modified_ns, names.first(name) != name, name

    came = [landed[name] for name in sorted(landed.keys() - known.keys(), key=age)]
    digests = folder.digests_without_requests(came)
    taken = landed.keys() | {file.source for file in seen}
    # What comes back, as from a copy, supersedes nothing that landed after it.
    latest = {file.source: age(file.name) for file in seen if file.current}
    arrived = []
    for file in came:
        digest, source = digests.get(file.name), names.first(file.name)
        if source != file.name and source in taken:
            digest = digest or folder.digest(file)
            if not names.is_version(file.name, [digest, *erased]):
                source = file.name
        arrived.append(
            LandedFile(
                id=_new_id(),
                name=file.name,
                source=source,
                size=file.size,
                version=file.version,
                sha256=digest,
                current=source not in latest or age(file.name) > latest[source],
            )
        )
    found = Ledger(tuple(seen), frozenset(overwritten)).with_files(arrived)
    # Of a source file whose current version was taken out of landing, the last one left counts.
    left = sorted(found.files, key=lambda file: landed[file.name].modified_ns)
    orphaned = {file.source for file in left} - {file.source for file in left if file.current}
    last = {file.source: file for file in left if file.source in orphaned}
    return found.with_files(file.model_copy(update={"current": True}) for file in last.values())


def _seen(
    entry: LandedFile, folder: Folder, file: StoredFile, erased: Container[str], anew: bool
) -> LandedFile:
    if entry.version == file.version and not anew:
        return entry
    now = {"size": file.size, "version": file.version}
    if not entry.version:
        return entry.model_copy(update=now)  # it has just landed
    digest = folder.digest(file)
    if entry.sha256 == digest:
        return entry.model_copy(update=now)
    was = entry.landed_sha256 or entry.sha256
    if was in erased:  # by an erasure that was killed before it saved the ledger
        return entry.model_copy(update={**now, "sha256": digest, "landed_sha256": was})
    unknown = {"landed_sha256": None, "source_version": None}
    return entry.model_copy(update={**now, "sha256": digest, **unknown})
