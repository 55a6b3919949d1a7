"""What a folder of files can do, wherever it is."""

from __future__ import annotations

import hashlib
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from stedi_assets.errors import Code, LakehouseError

if TYPE_CHECKING:
    from pyarrow.fs import FileSystem

JSON_LINES = (".json", ".json.gz")
CHUNK_BYTES = 1 << 20

# Spark reads a path as a pattern, so these characters would name other files or none.
PATTERN_CHARACTERS = frozenset(":?*[]{}\\%")


@dataclass(frozen=True)
class StoredFile:
    """A file in a folder.

    Attributes:
        name: Its name in the folder.
        uri: The folder's URI and the name.
        size: Its size in bytes.
        etag: What changes with its content in a bucket; empty on a disk.
        modified_ns: When it last changed, in nanoseconds since 1970.
        linked: Whether it is a symbolic link to a file.
    """

    name: str
    uri: str
    size: int
    etag: str = ""
    modified_ns: int = 0
    linked: bool = False

    @property
    def version(self) -> str:
        """What changes with its content, by a listing alone: no file is read for it."""
        return self.etag or f"{self.size}-{self.modified_ns}"

    @property
    def gzipped(self) -> bool:
        """Whether its content is compressed."""
        return self.name.endswith(".gz")

    @property
    def is_json_lines(self) -> bool:
        """Whether its name is one of a landing file."""
        return self.name.endswith(JSON_LINES) and self.name[0] not in "._"

    def modified_within(self, seconds: float, now: float) -> bool:
        """Whether it changed in the last seconds, so that somebody may still be writing it.

        A time well ahead of now is that of a wrong clock: to wait for it could take for ever. In a
        bucket a file appears whole.
        """
        return not self.etag and abs(now - self.modified_ns / 1e9) < seconds

    @property
    def is_readable_by_name(self) -> bool:
        """Whether every engine and every store takes the name for just this file."""
        return self.name.isprintable() and not PATTERN_CHARACTERS.intersection(self.name)


class Folder(ABC):
    """A folder that files are read from and uploaded to, by its URI without a trailing slash."""

    def __init__(self, uri: str) -> None:
        self.uri = uri

    def json_lines(self, stored: Sequence[StoredFile] | None = None) -> list[StoredFile]:
        """The JSON-lines files directly in the folder, by name; none where there is no folder.

        Args:
            stored: What is in the folder, where that is known.

        Raises:
            LakehouseError: If a name would be read as a pattern, or a file is a symbolic link.
        """
        stored = self.files() if stored is None else stored
        found = (file for file in stored if file.is_json_lines)
        files = sorted(found, key=lambda file: file.name)
        for file in files:
            if not file.is_readable_by_name:
                raise LakehouseError(
                    f"{self.describe(file, files)} cannot be read by its name. Rename it without "
                    f"control characters and any of {' '.join(sorted(PATTERN_CHARACTERS))}.",
                    Code.LANDING_NAME,
                )
            if file.linked:
                raise LakehouseError(
                    f"{self.describe(file, files)} is a symbolic link, which may lead anywhere. "
                    "Put the file itself there.",
                    Code.LANDING_NAME,
                )
        return files

    def describe(self, file: StoredFile, files: list[StoredFile]) -> str:
        """Which of a folder's files it is, without its name, which may be a person's."""
        place = f"file {files.index(file) + 1:,} of {len(files):,} by name"
        return f"In {self.uri}, {place} ({file.size:,} bytes)"

    def digests(self, files: list[StoredFile]) -> dict[str, str]:
        """Each file's name and the SHA-256 of its content, in hexadecimal."""
        with ThreadPoolExecutor() as pool:
            names = (file.name for file in files)
            return dict(zip(names, pool.map(self.digest, files), strict=True))

    def digest(self, file: StoredFile) -> str:
        """The SHA-256 of a file's content, in hexadecimal."""
        sha256 = hashlib.sha256()
        with self.open(file) as stream:
            while chunk := stream.read(CHUNK_BYTES):
                sha256.update(chunk)
        return sha256.hexdigest()

    def delta_options(self) -> dict[str, str] | None:
        """The storage options by which delta-rs opens a table here."""
        return None

    @abstractmethod
    def arrow_filesystem(self) -> FileSystem:
        """The folder as the root of an Arrow file system."""

    def files(self) -> list[StoredFile]:
        """The files directly in the folder; none where there is no folder."""
        return [file for page in self.pages() for file in page]

    def file(self, name: str) -> StoredFile | None:
        """The file with a name directly in the folder, or None where there is none."""
        return next((file for file in self.files() if file.name == name), None)

    @abstractmethod
    def pages(self, after: str = "") -> Iterator[list[StoredFile]]:
        """The files whose names come after one, by name, as many at a time as one request gives."""

    @abstractmethod
    def open(self, file: StoredFile) -> BinaryIO:
        """Opens a file to be read as it is."""

    def digests_without_requests(self, files: list[StoredFile]) -> dict[str, str]:
        """As `digests`, of those files for which that takes no request to a store."""
        return {}

    def create(self) -> None:
        """Creates it for this user only, where a store has folders; one that is there stays."""
        return

    @abstractmethod
    def upload(
        self, path: Path, name: str, digest: str, replaces: StoredFile | None = None
    ) -> None:
        """Copies a local file into the folder so that no reader ever sees a part of it.

        Nothing is overwritten but what the caller has seen: to upload again what is stored
        already, as after an answer that was lost, changes nothing.

        Args:
            path: The file; nobody may read the copy on a disk who may not read it.
            name: Its name in the folder.
            digest: The SHA-256 of its content, in hexadecimal.
            replaces: The file that it replaces, as listed; None for a name that is not taken.

        Raises:
            LakehouseError: If the name is taken by another content, or the file to replace is
                gone or another by now (`WRITE_CONFLICT`), or a bucket cannot be written.
            OSError: If a disk cannot be read or written. Nothing of the file is visible then.
        """

    def write(self, name: str, content: str, replaces: StoredFile | None) -> None:
        """As `upload`, of a text."""
        with tempfile.TemporaryDirectory() as scratch:
            path = Path(scratch, "content")
            path.write_text(content, encoding="utf-8")
            self.upload(path, name, sha256_of(path), replaces)

    @abstractmethod
    def remove(self, names: Sequence[str]) -> None:
        """Deletes files of the folder; one that is not there is as good as deleted."""

    @abstractmethod
    def delete_noncurrent_versions(self) -> bool:
        """Deletes what the store keeps of replaced and deleted files, here and in folders below.

        Returns:
            Whether that is so; False where the store keeps them and does not permit it.
        """

    @abstractmethod
    def remove_abandoned(self) -> None:
        """Deletes what uploads that were killed a day ago or earlier left behind."""


def sha256_of(path: Path) -> str:
    """The SHA-256 of a local file's content, in hexadecimal."""
    with path.open("rb") as stored:
        return hashlib.file_digest(stored, "sha256").hexdigest()
