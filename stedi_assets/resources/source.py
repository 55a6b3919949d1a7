"""The folder that the landing assets upload from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import dagster as dg
from pydantic import BaseModel, Field, ValidationError

from stedi_assets.errors import LakehouseError
from stedi_assets.lakehouse.address import LOCAL, within
from stedi_assets.lakehouse.storage import LocalFolder
from stedi_assets.tables import Table


class _Source(BaseModel):
    fingerprint: str


class _Manifest(BaseModel):
    sources: dict[str, _Source]
    rows: dict[str, int]


class SourceData(dg.ConfigurableResource):
    """Where new files come from, laid out as the lakehouse is."""

    path: str = Field(
        description="A folder with customer/landing/*.json and so on; empty: files arrive alone."
    )

    def folder(self, table: Table) -> LocalFolder | None:
        """The folder to upload a landing table's files from, if there is one.

        Raises:
            LakehouseError: If the path does not exist, or a symbolic link leads out of it.
        """
        if not self.path:
            return None
        root = Path(self.path).expanduser().absolute()
        if not root.is_dir():
            raise LakehouseError(
                f"STEDI_SOURCE_DATA names {root}, which is not a folder. Correct the path, or set "
                "it to nothing where files arrive in landing by themselves."
            )
        within(root, table.location)
        return LocalFolder(f"{LOCAL}{root / table.location}")

    def recorded_rows(self, contents: Mapping[str, str | None]) -> dict[str, int]:
        """The row counts that a manifest beside the data records for just these files.

        Args:
            contents: Source name to the fingerprint of the content that has landed of it.

        Returns:
            Table name to rows, with the options of a table after a plus sign; nothing where there
            is no manifest or it tells of other files.

        Raises:
            LakehouseError: If there is one that cannot be read, or is none.
        """
        path = Path(self.path).expanduser() / "manifest.json"
        if not self.path or not path.is_file():
            return {}
        try:
            manifest = _Manifest.model_validate_json(path.read_bytes())
        except (OSError, ValidationError) as error:
            why = error.strerror if isinstance(error, OSError) else error.errors()[0]["msg"]
            raise LakehouseError(
                f"{path} cannot be read as the manifest of a sample ({why}). Make the sample "
                "again, or take that file away: without it, counts are compared with the recount "
                "alone. Every table keeps its last good version."
            ) from None
        told = {name: source.fingerprint for name, source in manifest.sources.items()}
        return manifest.rows if contents.items() <= told.items() else {}
