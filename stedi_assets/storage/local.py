"""Folders on a local disk."""

from __future__ import annotations

import functools
import operator
import os
import stat
import time
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from shutil import copyfile
from typing import TYPE_CHECKING, BinaryIO

from typing_extensions import override

from stedi_assets.errors import Code
from stedi_assets.storage.address import LOCAL
from stedi_assets.storage.faults import table_fault
from stedi_assets.storage.folder import Folder, StoredFile, sha256_of

if TYPE_CHECKING:
    from pyarrow.fs import FileSystem

ABANDONED_AFTER_SECONDS = 24 * 3600
PRIVATE = 0o700
READ_AND_WRITE = 0o666


def create_privately(path: Path) -> None:
    """Creates a folder and those above it, as far as they are missing, for this user only."""
    if not path.is_dir():
        create_privately(path.parent)
        path.mkdir(PRIVATE, exist_ok=True)


def _move_to_free_name(file: Path, place: Path) -> None:
    try:
        os.link(file, place)
    except FileExistsError:
        raise
    except OSError:
        # A file system without hard links: another writer may still come between these two.
        if place.exists():
            raise FileExistsError(place) from None
        file.replace(place)


class LocalFolder(Folder):
    """A folder on a disk."""

    @property
    def path(self) -> Path:
        """Where it is."""
        return Path(self.uri.removeprefix(LOCAL))

    @override
    def create(self) -> None:
        create_privately(self.path)

    @override
    def arrow_filesystem(self) -> FileSystem:
        from pyarrow.fs import LocalFileSystem, SubTreeFileSystem

        return SubTreeFileSystem(str(self.path), LocalFileSystem())

    @override
    def file(self, name: str) -> StoredFile | None:
        path = self.path / name
        try:
            status = path.stat()
        except FileNotFoundError:
            return None
        is_file = stat.S_ISREG(status.st_mode)
        return self._listed(name, status, path.is_symlink()) if is_file else None

    def _listed(self, name: str, status: os.stat_result, linked: bool) -> StoredFile:
        uri = f"{self.uri}/{name}"
        return StoredFile(name, uri, status.st_size, modified_ns=status.st_mtime_ns, linked=linked)

    @override
    def pages(self, after: str = "") -> Iterator[list[StoredFile]]:
        if not self.path.exists():
            return
        found = []
        with os.scandir(self.path) as entries:
            for entry in entries:
                try:
                    if entry.name > after and entry.is_file():
                        found.append(self._listed(entry.name, entry.stat(), entry.is_symlink()))
                except FileNotFoundError:
                    continue  # an upload's part, which has its own name by now
        yield sorted(found, key=lambda file: file.name)

    @override
    def open(self, file: StoredFile) -> BinaryIO:
        return (self.path / file.name).open("rb")

    @override
    def digests_without_requests(self, files: list[StoredFile]) -> dict[str, str]:
        return self.digests(files)

    @override
    def upload(
        self, path: Path, name: str, digest: str, replaces: StoredFile | None = None
    ) -> None:
        self.create()
        part, target = self.path / f".{uuid.uuid4().hex}.part", self.path / name
        # What stood under the name may have been for fewer to read.
        like = [path, target] if target.exists() else [path]
        mode = READ_AND_WRITE & functools.reduce(
            operator.and_, (each.stat().st_mode for each in like)
        )
        try:
            # It has its mode from the start, less what umask forbids, but that it can be written.
            os.close(os.open(part, os.O_CREAT | os.O_EXCL, mode | stat.S_IWUSR))
            copyfile(path, part)
            part.chmod(mode & part.stat().st_mode)
            if replaces is None:
                _move_to_free_name(part, target)
            elif self.file(name) == replaces:
                part.replace(target)
            else:
                raise table_fault(self.uri, Code.WRITE_CONFLICT)
        except FileExistsError:
            if not target.is_file() or sha256_of(target) != digest:
                raise table_fault(self.uri, Code.WRITE_CONFLICT) from None
        finally:
            part.unlink(missing_ok=True)

    @override
    def remove(self, names: Sequence[str]) -> None:
        for name in names:
            (self.path / name).unlink(missing_ok=True)

    @override
    def delete_noncurrent_versions(self) -> bool:
        return True  # a disk keeps none

    @override
    def remove_abandoned(self) -> None:
        for part in self.path.glob(".*.part"):
            if time.time() - part.lstat().st_mtime > ABANDONED_AFTER_SECONDS:
                part.unlink(missing_ok=True)
