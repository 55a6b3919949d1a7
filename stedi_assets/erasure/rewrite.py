"""Erases people from landing files: each file is rewritten without them, verified and replaced."""

from __future__ import annotations

import gzip
import tempfile
import zlib
from collections.abc import Iterator
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import BinaryIO, cast

from stedi_assets.erasure.people import People
from stedi_assets.errors import Code, LakehouseError
from stedi_assets.landing import ledger as ledgers
from stedi_assets.landing.erased import note_erased
from stedi_assets.landing.ledger import LandedFile
from stedi_assets.landing.names import versioned
from stedi_assets.storage.faults import storage_faults
from stedi_assets.storage.folder import Folder, StoredFile, sha256_of
from stedi_assets.tables import Table

# A byte that is not UTF-8 is decoded to a surrogate, and encoded to the same byte again.
UTF_8 = ("utf-8", "surrogateescape")


@dataclass(frozen=True)
class Erased:
    """What an erasure did to landing files.

    Attributes:
        lines: How many lines were deleted or shortened.
        renamed: How many files were renamed, since their names identified the people.
        read: How many lines were read afterwards, without finding the people in any.
        ambiguous: How many segments may be of the people or of others, as in `people.Remainder`.
    """

    lines: int = 0
    renamed: int = 0
    read: int = 0
    ambiguous: int = 0

    def __add__(self, other: Erased) -> Erased:
        return Erased(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))


def erase(folder: Folder, people: People, table: Table) -> Erased:
    """Erases people from every file of a landing folder, superseded ones too, and from its ledger.

    Raises:
        LakehouseError: If storage fails or a file is damaged. Every file is then either as it was
            or rewritten.
    """
    stored = folder.files()
    before = ledger = ledgers.read(folder, stored)
    erased = Erased()
    try:
        for file in folder.json_lines(stored):
            landed = before.by_name[file.name]
            name, source = _names(landed, people)
            original = landed.landed_sha256 or landed.sha256 or folder.digest(file)
            done, digest = _erase_from(folder, file, landed, name, people, table)
            erased += done
            if digest:
                known = {
                    "name": name,
                    "source": source,
                    "sha256": digest,
                    "landed_sha256": original,
                    "version": "",
                }
                ledger = ledger.with_files([landed.model_copy(update=known)])
    finally:
        if ledger != before:
            ledgers.save(folder, ledgers.updated(ledger, folder, folder.files()))
    return erased


def _erase_from(
    folder: Folder, file: StoredFile, landed: LandedFile, name: str, people: People, table: Table
) -> tuple[Erased, str | None]:
    """Erases people from a landing file, which is called `name` from then on.

    The digest of the file as it was is noted first, so that the file does not land again.

    Returns:
        What was done, and the SHA-256 of the rewritten file; None if the file is unchanged.
    """
    with tempfile.TemporaryDirectory() as scratch, storage_faults(folder.uri):
        changed = Path(scratch, "changed")
        lines = kept = ambiguous = 0
        with (
            folder.open(file) as stored,
            _content(file, stored) as source,
            changed.open("wb") as target,
            _content(file, target) as rewritten,
        ):
            for line in _lines(source, folder, file):
                lines += 1
                text = line.decode(*UTF_8).removesuffix("\n")
                left = people.without(text, table)
                kept += left.line == text
                ambiguous += left.ambiguous
                if left.line == text:
                    rewritten.write(line)
                elif left.line is not None:
                    rewritten.write(f"{left.line}\n".encode(*UTF_8))
        if kept == lines and name == file.name:
            return Erased(read=lines, ambiguous=ambiguous), None
        read, digest = _verified(changed, file, people, table)
        if file not in folder.files():
            raise LakehouseError(
                f"A file of {folder.uri} was replaced while people were erased from it. It is "
                "unchanged; run the job again.",
                Code.FILE_CHANGED,
            )
        was = folder.digest(file)
        note_erased(folder, {was, landed.landed_sha256 or was})
        # A killed run may have left a file of the new name, from which fewer people are erased.
        before = file if name == file.name else folder.file(name)
        folder.upload(changed, name, digest, replaces=before)
        if name != file.name:
            folder.remove([file.name])
    return Erased(lines - kept, int(name != file.name), read, ambiguous), digest


def _names(landed: LandedFile, people: People) -> tuple[str, str]:
    """The names of a landed file and of its source file, without what identifies the people.

    A new name is a pseudonym of the source file's name, so that a run after a killed one gives the
    same.
    """
    if not (people.named_in(landed.name) or people.named_in(landed.source)):
        return landed.name, landed.source
    _, dot, suffix = landed.source.rpartition(".json")
    source = f"{people.pseudonyms.of_text(landed.source)[:16]}{dot}{suffix}"
    if landed.name == landed.source:
        return source, source
    return versioned(source, people.pseudonyms.of_text(landed.name), ()), source


def _verified(path: Path, file: StoredFile, people: People, table: Table) -> tuple[int, str]:
    """The number of lines of a rewritten file, in which none of the people is, and its SHA-256."""
    lines = 0
    with path.open("rb") as stored, _content(file, stored) as source:
        for line in source:
            lines += 1
            text = line.decode(*UTF_8).removesuffix("\n")
            if people.without(text, table).line != text:
                raise LakehouseError(
                    "A landing file could not be rewritten: some of the people to erase are still "
                    "in it. It is unchanged.",
                    Code.PEOPLE_LEFT,
                )
    return lines, sha256_of(path)


def _lines(source: BinaryIO, folder: Folder, file: StoredFile) -> Iterator[bytes]:
    try:
        yield from source
    except (gzip.BadGzipFile, EOFError, zlib.error):
        raise LakehouseError(
            f"{folder.describe(file, folder.json_lines())} cannot be read: it is damaged or was "
            "cut short. Replace it by a whole copy, then run the job again.",
            Code.LANDING_FILE,
        ) from None


def _content(file: StoredFile, stream: BinaryIO) -> BinaryIO:
    mode = "wb" if stream.writable() else "rb"
    zipped = gzip.GzipFile(fileobj=stream, mode=mode, mtime=0) if file.gzipped else stream
    return cast(BinaryIO, zipped)
