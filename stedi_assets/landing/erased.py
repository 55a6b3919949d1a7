"""The digests of landed files whose people were erased, so that they do not land again."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from stedi_assets.storage.folder import Folder, StoredFile, sha256_of

ERASED = ".erased"


def note_erased(folder: Folder, digests: set[str]) -> None:
    """Notes that files with these contents shall not land again."""
    files = folder.files()
    noted = erased_digests(folder, files) | digests
    before = next((file for file in files if file.name == ERASED), None)
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch, ERASED)
        path.write_text("".join(f"{each}\n" for each in sorted(noted)))
        folder.upload(path, ERASED, sha256_of(path), replaces=before)


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
