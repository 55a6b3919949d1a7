"""The files in a source's landing folder, as one run sees them."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import dataclass

from stedi_assets import storage
from stedi_assets.errors import Code, LakehouseError
from stedi_assets.landing import ledger as ledgers
from stedi_assets.landing import upload
from stedi_assets.landing.fingerprint import fingerprint
from stedi_assets.landing.ledger import LandedFile, Ledger
from stedi_assets.storage.faults import storage_faults
from stedi_assets.storage.folder import Folder, StoredFile
from stedi_assets.storage.local import LocalFolder
from stedi_assets.tables import Table


@dataclass
class LandingFiles:
    """The files of a source's landing table: listed once a run, so that all readers agree."""

    table: Table
    uri: str

    def ingest(
        self, source: LocalFolder | None, settle_seconds: float = 0, *, anew: bool = False
    ) -> upload.Ingested:
        """As `upload.ingest`."""
        ingested = upload.ingest(source, self.folder, settle_seconds, anew=anew)
        self.stored, self.ledger = ingested.stored, ingested.ledger
        self._saved = Ledger(ingested.ledger.files)
        for seen in ("files", "_by_name", "fingerprint"):
            vars(self).pop(seen, None)  # by an attempt that failed
        return ingested

    def save_ledger(self) -> None:
        """Saves the ledger, whose ids others keep, where it is not the one last saved.

        Raises:
            LakehouseError: If there is no file, or one cannot be read by its name.
        """
        _ = self.files
        with storage_faults(self.uri):
            if self.ledger.files != self._saved.files:
                ledgers.save(self.folder, self.ledger)
                self._saved = self.ledger

    @functools.cached_property
    def folder(self) -> Folder:
        """The folder that they are in."""
        return storage.open_folder(self.uri)

    @functools.cached_property
    def stored(self) -> list[StoredFile]:
        """All that is in the folder."""
        with storage_faults(self.uri):
            return self.folder.files()

    @functools.cached_property
    def ledger(self) -> Ledger:
        """What is known of the files."""
        with storage_faults(self.uri):
            return ledgers.updated(self._saved, self.folder, self.stored)

    @functools.cached_property
    def _saved(self) -> Ledger:
        """The ledger last saved; it may not be read again by a listing from before it was."""
        with storage_faults(self.uri):
            return ledgers.load(self.folder, self.stored)

    @functools.cached_property
    def files(self) -> list[StoredFile]:
        """The files that landed, by name.

        Raises:
            LakehouseError: If there is none, or one cannot be read by its name.
        """
        files = self.folder.json_lines(self.stored)
        if not files:
            raise LakehouseError(
                f"The landing folder {self.uri} has no *.json or *.json.gz file. "
                "Let files arrive there, or set STEDI_SOURCE_DATA to a folder that has "
                f"{self.table.location}/*.json.",
                Code.LANDING_EMPTY,
            )
        return files

    @property
    def current(self) -> list[StoredFile]:
        """The files with what the source says now."""
        return [file for file in self.files if self.landed(file).current]

    @property
    def superseded(self) -> list[StoredFile]:
        """Earlier versions of current files, where their records count."""
        if not self.table.superseded_count:
            return []
        return [file for file in self.files if not self.landed(file).current]

    @property
    def counting(self) -> list[StoredFile]:
        """The files whose records count."""
        return [*self.current, *self.superseded]

    @property
    def versions(self) -> dict[str, str]:
        """The ids of files whose source file has several versions that count, and its name."""
        superseded = {self.landed(file).source for file in self.superseded}
        landed = map(self.landed, self.counting)
        return {each.id: each.source for each in landed if each.source in superseded}

    def ids(self, files: Iterable[StoredFile]) -> frozenset[str]:
        """The ids of files in the ledger."""
        return frozenset(self.landed(file).id for file in files)

    @functools.cached_property
    def _by_name(self) -> dict[str, LandedFile]:
        return self.ledger.by_name

    def landed(self, file: StoredFile) -> LandedFile:
        """What the ledger has of a file."""
        return self._by_name[file.name]

    @functools.cached_property
    def fingerprint(self) -> str:
        """Changes with the source's files, their names and contents, as far as they count."""
        now = {f.source: f.sha256 or f.version for f in map(self.landed, self.current)}
        before = {f"{f.id} once": f.sha256 or f.version for f in map(self.landed, self.superseded)}
        return fingerprint(now | before)
