"""The digests of landed files whose people were erased, so that they do not land again."""

from __future__ import annotations

from collections.abc import Sequence

from stedi_assets.storage.folder import Folder, StoredFile

ERASED = ".erased"


def note_erased(folder: Folder, digests: set[str]) -> None:
    """Notes that files with these contents shall not land again."""
    stored = folder.files()
    noted = erased_digests(folder, stored) | digests
    folder.write(ERASED, "".join(f"{each}\n" for each in sorted(noted)), _listed(stored))


def erased_digests(folder: Folder, stored: Sequence[StoredFile]) -> set[str]:
    """The SHA-256 of files that landed once and may not again, of a folder and all files in it."""
    noted = _listed(stored)
    if noted is None:
        return set()
    with folder.open(noted) as content:
        return set(content.read().decode().split())


def _listed(stored: Sequence[StoredFile]) -> StoredFile | None:
    return next((file for file in stored if file.name == ERASED), None)
