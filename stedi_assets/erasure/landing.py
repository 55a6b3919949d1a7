"""Takes people out of landing files, whatever shape their lines have."""

from __future__ import annotations

import gzip
import json
import re
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, cast

from stedi_assets import consent
from stedi_assets.errors import LakehouseError
from stedi_assets.lakehouse.faults import storage_faults
from stedi_assets.lakehouse.storage import ERASED, Folder, StoredFile, sha256_of
from stedi_assets.resources.pseudonyms import Pseudonyms

# Wider than what may be an address, so that none is missed for its delimiters.
ADDRESS = re.compile(r"[^\s\"'<>(),:;\[\]{}\\]+@[^\s\"'<>(),:;\[\]{}\\]+")
ESCAPED_AT = re.compile(r"\\u0040")
OBJECTS = json.JSONDecoder()


@dataclass
class Erased:
    """The people to erase, known by their pseudonyms, and what else tells of them.

    Attributes:
        people: The pseudonyms of their e-mail addresses, as `Pseudonyms.of_text` of `person_of`.
        pseudonyms: Makes pseudonyms of addresses.
        addresses: Their e-mail addresses as far as customers landed with them.
        devices: Serial numbers of devices that are registered to no one else.
        words: Their names and phones, looked for in text that is no record.
    """

    people: frozenset[str]
    pseudonyms: Pseudonyms
    addresses: frozenset[str] = field(default=frozenset(), repr=False)
    devices: frozenset[str] = frozenset()
    words: frozenset[str] = field(default=frozenset(), repr=False)
    _known: dict[str, bool] = field(default_factory=dict, init=False, repr=False)

    def is_one(self, address: str) -> bool:
        """Whether an e-mail address is of one of them."""
        person = consent.person_of(address)
        if person not in self._known:
            self._known[person] = self.pseudonyms.of_text(person) in self.people
        return self._known[person]

    def is_in(self, text: str) -> bool:
        """Whether a piece of text, a record or not, is of one of them."""
        try:
            record = json.loads(text)
        except ValueError:
            record = None
        if isinstance(record, dict):
            return any(value in self.devices or self.is_one(value) for value in _strings(record))
        addresses = ADDRESS.findall(ESCAPED_AT.sub("@", text))
        return any(map(self.is_one, addresses)) or any(
            re.search(word(each), text) for each in self.words
        )

    def without(self, line: str) -> str | None:
        """A line without them: as it is if they are not in it, None if nothing is left."""
        pieces = list(_pieces(line))
        kept = [piece for piece in pieces if not self.is_in(piece)]
        if len(kept) == len(pieces):
            return line
        return "\n".join(kept) or None


def word(text: str) -> str:
    """A pattern of a text that is no part of a longer one."""
    return rf"\b{re.escape(text)}\b"


def erase(folder: Folder, file: StoredFile, erased: Erased) -> int:
    """Takes people out of a landing file: writes another beside it, verifies it and swaps them.

    The digest of the file as it was is noted first, so that it does not land again.

    Args:
        folder: The landing folder.
        file: A file of it.
        erased: The people.

    Returns:
        How many lines were taken out or cut; if none, the file is untouched.

    Raises:
        LakehouseError: If storage fails; the file is then whole, as it was or as it shall be.
    """
    with tempfile.TemporaryDirectory() as scratch, storage_faults(folder.uri):
        changed = Path(scratch, "changed")
        lines = kept = 0
        with (
            folder.open(file) as stored,
            _text(file, stored) as source,
            changed.open("wb") as target,
            _text(file, target) as rewritten,
        ):
            for line in source:
                lines += 1
                text = line.decode("utf-8", "surrogateescape").rstrip("\n")
                left = erased.without(text)
                kept += left == text
                if left is not None:
                    rewritten.write(line if left == text else _encoded(left))
        if kept == lines:
            return 0
        digest = _verified(changed, file, erased)
        if file not in folder.files():
            raise LakehouseError(
                f"A file of {folder.uri} was replaced while people were erased from it. It is "
                "untouched; run the job again."
            )
        note_erased(folder, folder.digest(file))
        folder.upload(changed, file.name, digest)
    return lines - kept


def note_erased(folder: Folder, digest: str) -> None:
    """Notes that a file with this content shall not land again."""
    noted = erased_digests(folder, folder.files()) | {digest}
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch, ERASED)
        path.write_text("".join(f"{each}\n" for each in sorted(noted)))
        folder.upload(path, ERASED, sha256_of(path))


def erased_digests(folder: Folder, files: Sequence[StoredFile]) -> set[str]:
    """The SHA-256 of the files that landed in a folder once and may not again.

    Args:
        folder: The landing folder.
        files: All that it holds.
    """
    noted = next((file for file in files if file.name == ERASED), None)
    if noted is None:
        return set()
    with folder.open(noted) as stored:
        return set(stored.read().decode().split())


def _pieces(line: str) -> Iterator[str]:
    """The JSON objects of a line and the text between them."""
    start = 0
    while start < len(line):
        opens = line.find("{", start)
        if opens < 0:
            break
        try:
            _, end = OBJECTS.raw_decode(line, opens)
        except ValueError:
            # Cut short or garbled: all until the next object may belong together.
            following = line.find("{", opens + 1)
            end = following if following > 0 else len(line)
        if line[start:opens].strip(" \t,[]"):
            yield line[start:opens]
        yield line[opens:end]
        start = end
    if line[start:].strip(" \t\r,[]"):
        yield line[start:]


def _strings(value: Any) -> Iterator[str]:
    """All strings in a JSON value, however deep."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _strings(each)


def _verified(path: Path, file: StoredFile, erased: Erased) -> str:
    """The SHA-256 of a rewritten file, in which none of the people is."""
    with path.open("rb") as stored, _text(file, stored) as source:
        for line in source:
            text = line.decode("utf-8", "surrogateescape").rstrip("\n")
            if erased.without(text) != text:
                raise LakehouseError(
                    "A landing file without the people to erase could not be made: some are still "
                    "in it. It is untouched."
                )
    return sha256_of(path)


def _encoded(text: str) -> bytes:
    return f"{text}\n".encode("utf-8", "surrogateescape")


def _text(file: StoredFile, stream: BinaryIO) -> BinaryIO:
    mode = "wb" if stream.writable() else "rb"
    zipped = gzip.GzipFile(fileobj=stream, mode=mode, mtime=0) if file.gzipped else stream
    return cast(BinaryIO, zipped)
