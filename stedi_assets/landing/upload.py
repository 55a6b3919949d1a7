"""What arrives in a landing folder: files as they are, none altered and none twice."""

from __future__ import annotations

import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from stedi_assets.errors import Code, LakehouseError
from stedi_assets.landing import ledger as ledgers
from stedi_assets.landing.erased import erased_digests
from stedi_assets.landing.ledger import LandedFile, Ledger, landed_as
from stedi_assets.landing.names import versioned
from stedi_assets.storage.faults import storage_faults
from stedi_assets.storage.folder import Folder, StoredFile
from stedi_assets.storage.local import LocalFolder

UPLOADS_AT_ONCE = 8
# That of FAT, the coarsest.
CLOCK_TICK_SECONDS = 2


@dataclass(frozen=True)
class Ingested:
    """A landing folder after files have arrived.

    Attributes:
        copied: The source files that were copied into it.
        stored: All files in it.
        ledger: What is known of its files.
        offered: The files that could arrive: those of the source that nobody may still be writing,
            or those in landing where there is no source.
    """

    copied: list[StoredFile]
    stored: list[StoredFile]
    ledger: Ledger
    offered: list[StoredFile]


def ingest(
    source: LocalFolder | None,
    landing: Folder,
    settle_seconds: float = 0,
    *,
    anew: bool = False,
) -> Ingested:
    """Uploads into landing what it does not have yet, and saves the ledger of what it has then.

    What has landed stays as it is: a source file that has changed since lands beside its earlier
    versions, as `name-<digest>.json`. One that is again as it once was does not land again, but
    that version is current again. A file whose people were erased does not land again.

    Args:
        source: The folder to copy from; None where files arrive in landing by themselves.
        landing: The folder to copy to.
        settle_seconds: Files modified within this time are left for the next run, since they may
            still be being written.
        anew: Whether to hash files too that look as they did, in the source and in landing.

    Raises:
        LakehouseError: If a file cannot be read or landing cannot be written.
    """
    with storage_faults(landing.uri, source.uri if source else None):
        stored = landing.files()
        # A name that cannot be read stops it before anything is done.
        offered = landing.json_lines(stored)
        saved = ledgers.load(landing, stored)
        found = ledgers.updated(saved, landing, stored, anew=anew)
        overwritten, copied = found.overwritten, list[StoredFile]()
        if source is not None:
            offered, copied, found = _upload(source, landing, stored, found, settle_seconds, anew)
        if copied:
            stored = landing.files()
            found = ledgers.updated(found, landing, stored)
        if found.files != saved.files:
            ledgers.save(landing, found)
    found = replace(found, overwritten=overwritten | found.overwritten)
    return Ingested(copied, stored, found, offered)


def _upload(
    source: LocalFolder,
    landing: Folder,
    stored: list[StoredFile],
    ledger: Ledger,
    settle_seconds: float,
    anew: bool,
) -> tuple[list[StoredFile], list[StoredFile], Ledger]:
    """The source's files, those of them that were copied, and the ledger with both."""
    landing.remove_abandoned()
    landed_files = {file.name: file for file in stored}
    erased = erased_digests(landing, stored)
    now = time.time()
    files = [f for f in source.json_lines() if not f.modified_within(settle_seconds, now)]
    versions = defaultdict(list)
    for landed in ledger.files:
        versions[landed.source].append(landed)
    seen = {} if anew else {f.name: d for f in files if (d := _seen(f, versions[f.name]))}
    arriving = seen | source.digests([file for file in files if file.name not in seen])
    found, new = list[LandedFile](), dict[str, LandedFile]()
    taken = set(ledger.by_name)
    for file in files:
        digest = arriving[file.name]
        if again := _landed_as(digest, versions[file.name], landing, landed_files):
            found.append(_read_as(file, again, now))
        elif digest not in erased:
            first = file.name not in taken
            name = file.name if first else versioned(file.name, digest, taken)
            taken.add(name)
            new[file.name] = _read_as(file, landed_as(name, file.name, digest), now)
    arrived = [file for file in files if file.name in new]

    def land(file: StoredFile) -> None:
        landed = new[file.name]
        landing.upload(source.path / file.name, landed.name, arriving[file.name])
        if source.file(file.name) != file:
            landing.remove([landed.name])
            raise LakehouseError(
                f"A file of {source.uri} changed while it was copied, so it has not landed. "
                "Run again when it is complete; settle_seconds leaves recently modified files to "
                "the next run.",
                Code.FILE_CHANGED,
            )

    with ThreadPoolExecutor(UPLOADS_AT_ONCE) as pool:
        list(pool.map(land, arrived))
    return files, arrived, ledger.with_files([*found, *new.values()])


def _read_as(file: StoredFile, landed: LandedFile, now: float) -> LandedFile:
    """What landed, with the source file that it is read from, unless that has just changed.

    Then it may change again within one tick of the file system's clock, and look the same.
    """
    known = not file.modified_within(CLOCK_TICK_SECONDS, now)
    return landed.model_copy(update={"source_version": file.version if known else None})


def _seen(file: StoredFile, versions: list[LandedFile]) -> str | None:
    """The SHA-256 of a source file, if it was seen as it is now."""
    found = (each for each in versions if each.source_version == file.version)
    return next((each.landed_sha256 or each.sha256 for each in found), None)


def _landed_as(
    digest: str, versions: list[LandedFile], landing: Folder, files: dict[str, StoredFile]
) -> LandedFile | None:
    """The version of a source file that landed with a content, as the current one."""
    for version in versions:
        sha256 = version.sha256 or landing.digest(files[version.name])
        known = version.model_copy(update={"sha256": sha256, "current": True})
        if known.is_of(digest):
            return known
    return None
