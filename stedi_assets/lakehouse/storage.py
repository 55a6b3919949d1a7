"""Files by URI, on a local disk or an object store alike."""

from __future__ import annotations

import hashlib
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from stedi_assets.errors import LakehouseError

if TYPE_CHECKING:
    from pyarrow.fs import FileSystem

JSON_LINES = (".json", ".json.gz")
LOCAL = "file://"
CHUNK_BYTES = 1 << 20
ABANDONED_AFTER_SECONDS = 24 * 3600

# Spark reads a path as a pattern, so these characters would name other files or none.
PATTERN_CHARACTERS = frozenset(":?*[]{}\\%")


def as_uri(location: str) -> str:
    """A folder's path or URI as an URI without a trailing slash.

    Raises:
        LakehouseError: If the engine cannot write to such a path, or the scheme is unknown.
    """
    if location.startswith("s3://"):
        return location.rstrip("/")
    path = location.removeprefix(LOCAL)
    if "://" in path:
        raise LakehouseError(
            f"STEDI_LAKEHOUSE_URI={location} is neither a folder nor an s3:// address."
        )
    absolute = str(Path(path).expanduser().absolute())
    if quote(absolute) != absolute:
        raise LakehouseError(
            f"The lakehouse folder {absolute} has characters that the engine cannot write to. "
            "Set STEDI_LAKEHOUSE_URI to a path of letters, digits and . _ - only."
        )
    return f"{LOCAL}{absolute}"


@dataclass(frozen=True)
class StoredFile:
    """A file in a folder: its name, its URI and its size in bytes."""

    name: str
    uri: str
    size: int

    @property
    def gzipped(self) -> bool:
        """Whether its content is compressed."""
        return self.name.endswith(".gz")


def open_filesystem(uri: str) -> tuple[FileSystem, str]:
    """The file system that an URI names, and the path in it."""
    from pyarrow.fs import FileSystem, LocalFileSystem

    # A file's name may have characters that an URI would have to escape.
    if uri.startswith(LOCAL):
        return LocalFileSystem(), uri.removeprefix(LOCAL)
    filesystem, path = FileSystem.from_uri(uri)
    return filesystem, path


def list_json_lines(uri: str) -> list[StoredFile]:
    """The JSON-lines files directly in a folder, by name; none where there is no folder.

    Raises:
        LakehouseError: If a name would be read as a pattern.
    """
    from pyarrow.fs import FileSelector

    filesystem, path = open_filesystem(uri)
    entries = filesystem.get_file_info(FileSelector(path, allow_not_found=True))
    files = [
        StoredFile(entry.base_name, f"{uri}/{entry.base_name}", entry.size)
        for entry in entries
        if entry.is_file and entry.base_name.endswith(JSON_LINES) and entry.base_name[0] not in "._"
    ]
    for file in files:
        if PATTERN_CHARACTERS.intersection(file.name):
            raise LakehouseError(
                f"The file {file.uri} cannot be read by that name. "
                "Rename it without any of " + " ".join(sorted(PATTERN_CHARACTERS)) + "."
            )
    return sorted(files, key=lambda file: file.name)


def chunks(file: StoredFile, *, decompress: bool = False) -> Iterator[bytes]:
    """A file's content, a piece at a time.

    Args:
        file: The file to read.
        decompress: Whether to yield what a gzipped file holds rather than its own bytes.

    Raises:
        OSError: If the file cannot be read or its compression is damaged.
    """
    filesystem, path = open_filesystem(file.uri)
    compression = "gzip" if decompress and file.gzipped else None
    with filesystem.open_input_stream(path, compression=compression) as stream:
        while chunk := stream.read(CHUNK_BYTES):
            yield chunk


def digests(files: list[StoredFile]) -> dict[str, str]:
    """Each file's name and the SHA-256 of its content, in hexadecimal."""

    def digest(file: StoredFile) -> str:
        sha256 = hashlib.sha256()
        for chunk in chunks(file):
            sha256.update(chunk)
        return sha256.hexdigest()

    with ThreadPoolExecutor() as pool:
        return dict(zip((file.name for file in files), pool.map(digest, files), strict=True))


def copy_atomically(file: StoredFile, folder_uri: str, name: str) -> None:
    """Copies a file into a folder so that no reader ever sees a part of it.

    Raises:
        OSError: If the folder cannot be written; nothing of the file is visible then.
    """
    from pyarrow.fs import LocalFileSystem

    filesystem, folder = open_filesystem(folder_uri)
    # An object appears whole or not at all; a local file needs the rename.
    local = isinstance(filesystem, LocalFileSystem)
    target = f"{folder}/{name}"
    written = f"{folder}/.{name}.{uuid.uuid4().hex}.part" if local else target
    if local:
        filesystem.create_dir(folder)
    try:
        with filesystem.open_output_stream(written) as stream:
            for chunk in chunks(file):
                stream.write(chunk)
    except BaseException:
        if local and Path(written).exists():
            filesystem.delete_file(written)
        raise
    if local:
        filesystem.move(written, target)


def remove_abandoned(folder_uri: str) -> None:
    """Deletes what copies that were killed left in a local folder a day ago or earlier."""
    folder = Path(folder_uri.removeprefix(LOCAL))
    for part in folder.glob(".*.part"):
        if time.time() - part.stat().st_mtime > ABANDONED_AFTER_SECONDS:
            part.unlink(missing_ok=True)
