"""The Glue Data Catalog, where Athena and other engines look tables up."""

from __future__ import annotations

import functools
import re
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from stedi_assets.catalog.table_input import (
    CHANGES_WITH_EVERY_WRITE,
    CREATED_BY,
    PROJECT,
    differences,
    table_input,
)
from stedi_assets.errors import Code, LakehouseError
from stedi_assets.storage.address import S3
from stedi_assets.storage.faults import service_faults
from stedi_assets.tables import Table

REGISTER_JOB = "register_in_catalog"
ATTEMPTS = 3
RACES = {"AlreadyExistsException", "ConcurrentModificationException"}


# By boto3: awswrangler makes no native Delta table, wants pyarrow<26 and takes 2 s to import.
@dataclass
class GlueCatalog:
    """A database of the Glue Data Catalog, and in it the tables that this project made.

    Attributes:
        database: The Glue database; it must exist.
    """

    database: str

    def name_of(self, table: Table) -> str:
        """A table's full name in the catalog."""
        return f"{self.database}.{table.name}"

    def require_usable(self, lakehouse: str) -> None:
        """Makes sure that what the settings say of catalog and lakehouse goes together.

        Args:
            lakehouse: The lakehouse's URI.

        Raises:
            LakehouseError: If Athena could not read a table there by its name.
        """
        if not re.fullmatch(r"[a-z0-9_]+", self.database):
            raise LakehouseError(
                f"STEDI_GLUE_DATABASE={self.database} cannot be used. "
                "Name a database in lower-case letters, digits and _ only."
            )
        if not lakehouse.startswith(S3):
            raise LakehouseError(
                f"STEDI_GLUE_DATABASE={self.database} is set, but the lakehouse {lakehouse} is a "
                "folder, which Athena cannot read. Set STEDI_LAKEHOUSE_URI to s3://bucket/prefix, "
                "or STEDI_GLUE_DATABASE to nothing."
            )

    def register(self, table: Table, uri: str, figures: dict[str, str]) -> None:
        """Creates a table in the catalog, or updates it where it differs.

        Glue keeps the earlier version of a table whose columns, place or meaning changed; not one
        of which only the figures of the last write did, else it would run out of versions.

        Args:
            table: The declaration.
            uri: Where the table is.
            figures: The figures of the last write, as parameters.

        Raises:
            LakehouseError: If Glue refuses or does not answer, or the table is another's.
        """
        wanted = table_input(table, uri, figures)
        with self._faults(table, "registered", f"Then run the job {REGISTER_JOB}"):
            for attempt in range(1, ATTEMPTS + 1):
                try:
                    self._create_or_update(table, wanted)
                    break
                except self._glue.exceptions.ClientError as error:
                    # Another run registers it at the same time: look again.
                    if attempt == ATTEMPTS or error.response["Error"]["Code"] not in RACES:
                        raise

    def find(self, table: Table) -> dict[str, Any] | None:
        """A table as Glue's `GetTable` returns it; None where the catalog has none.

        Raises:
            LakehouseError: If Glue refuses or does not answer.
        """
        with self._faults(table, "looked up", "Then run the check again"):
            return self._get(table)

    def _create_or_update(self, table: Table, wanted: dict[str, Any]) -> None:
        found = self._get(table)
        if found is None:
            self._glue.create_table(DatabaseName=self.database, TableInput=wanted)
            return
        parameters = found.get("Parameters", {})
        if parameters.get(CREATED_BY) != PROJECT:
            raise LakehouseError(
                f"Glue has a table {self.name_of(table)} that this project did not make (it lacks "
                f"the parameter {CREATED_BY}={PROJECT}), so it was left alone. Rename or drop it, "
                f"or set STEDI_GLUE_DATABASE to another database, then run the job {REGISTER_JOB}; "
                f"{table.name} itself is written.",
                Code.FOREIGN_TABLE,
            )
        changed = differences(wanted, found)
        if changed:
            self._glue.update_table(
                DatabaseName=self.database,
                TableInput={**wanted, "Parameters": {**parameters, **wanted["Parameters"]}},
                SkipArchive=set(changed) <= CHANGES_WITH_EVERY_WRITE,
                VersionId=found["VersionId"],
            )

    def _get(self, table: Table) -> dict[str, Any] | None:
        try:
            answer = self._glue.get_table(DatabaseName=self.database, Name=table.name)
        except self._glue.exceptions.EntityNotFoundException:
            return None
        found: dict[str, Any] = answer["Table"]
        return found

    @functools.cached_property
    def _glue(self) -> Any:
        # It brings boto3, which takes half a second to import.
        from stedi_assets.storage import aws_settings

        return aws_settings.found().client("glue")

    def _faults(self, table: Table, done: str, then: str) -> AbstractContextManager[None]:
        return service_faults(
            f"{self.name_of(table)} cannot be {done} in the Glue Data Catalog",
            f"{then}; {table.name} itself is written.",
        )
