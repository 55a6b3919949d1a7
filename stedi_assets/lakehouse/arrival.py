"""What arrives in a landing folder: files as they are, none altered and none twice."""

from __future__ import annotations

import itertools
import time
from concurrent.futures import ThreadPoolExecutor

from stedi_assets.erasure.landing import erased_digests
from stedi_assets.errors import LakehouseError
from stedi_assets.lakehouse import faults
from stedi_assets.lakehouse.storage import Folder, LocalFolder, StoredFile

UPLOADS_AT_ONCE = 8


def upload(source: LocalFolder, landing: Folder, settle_seconds: float = 0) -> list[StoredFile]:
    """Copies into landing what it does not hold yet, byte for byte.

    What has landed stays as it is: a source file that has changed since lands beside its earlier
    version, as `name-<digest>.json`. A file whose people were erased does not land again.

    Args:
        source: The folder to copy from.
        landing: The folder to copy to.
        settle_seconds: Files that changed less than this long ago are left for the next time,
            since they may still be being written.

    Returns:
        The source files that were copied.

    Raises:
        LakehouseError: If a file cannot be read or landing cannot be written.
    """
    try:
        landing.remove_abandoned()
        stored = landing.files()
        landed = {file.name: file for file in stored if file.is_json_lines}
        erased = erased_digests(landing, stored)
        now = time.time()
        files = [file for file in source.json_lines() if file.has_settled(settle_seconds, now)]
        arriving = source.digests(files)

        def land(file: StoredFile) -> bool:
            name = _landing_name(file.name, arriving[file.name], landing, landed)
            if arriving[file.name] in erased:
                return False
            if name is not None:
                landing.upload(source.path / file.name, name, arriving[file.name])
            return name is not None

        with ThreadPoolExecutor(UPLOADS_AT_ONCE) as pool:
            return list(itertools.compress(files, pool.map(land, files)))
    except OSError as error:
        cause = faults.meaning(error) or error.strerror or type(error).__name__
        raise LakehouseError(
            f"Files could not be copied from {source.uri} to {landing.uri}: {cause}. "
            "Then run again; what had landed is untouched.",
            transient=cause.startswith(faults.TRANSIENT),
        ) from None


def _landing_name(
    name: str, digest: str, landing: Folder, landed: dict[str, StoredFile]
) -> str | None:
    """The name to land under, or None for a file that has landed already."""
    if name not in landed:
        return name
    stem, dot, suffix = name.partition(".json")
    versioned = f"{stem}-{digest[:12]}{dot}{suffix}"
    if versioned in landed or digest == landing.digest(landed[name]):
        return None
    return versioned
