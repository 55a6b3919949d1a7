"""The folder that the landing assets upload from."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
from pydantic import Field

from stedi_assets.errors import LakehouseError
from stedi_assets.storage.address import LOCAL, within
from stedi_assets.storage.local import LocalFolder
from stedi_assets.tables import Table


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
            if root == Path.cwd() / "data":
                raise LakehouseError(
                    f"There is no source data in {root}. `stedi sample` writes a sample there; or "
                    "set STEDI_SOURCE_DATA to the folder of yours."
                )
            raise LakehouseError(
                f"STEDI_SOURCE_DATA names {root}, which is not a folder. Correct the path, or set "
                "it to nothing where files arrive in landing by themselves."
            )
        within(root, table.location)
        return LocalFolder(f"{LOCAL}{root / table.location}")
