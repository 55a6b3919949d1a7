"""What is stored of people: in which files, of whatever version, and in which text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stedi_assets import storage
from stedi_assets.lakehouse import delta, maintenance
from stedi_assets.lakehouse.lakehouse import Lakehouse
from stedi_assets.storage.faults import storage_faults
from stedi_assets.tables import DELTA_TABLES, QUARANTINE_TABLES, Table
from stedi_assets.tables.schema import Device, Person

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame

RECORDS_IN_MEMORY = 1024


@dataclass(frozen=True)
class Stored:
    """The tables of a lakehouse, with all that they still have of old versions."""

    lakehouse: Lakehouse

    def tables(self, among: Sequence[Table]) -> list[Table]:
        """Those of some tables that exist."""
        return [table for table in among if self.lakehouse.state(table)]

    def batches(self, table: Table) -> Iterator[pa.RecordBatch]:
        """The rows of a table as it is, a few at a time."""
        uri = self.lakehouse.uri_of(table)
        found = delta.open_table(uri)
        assert found is not None
        yield from delta.dataset(uri, found).to_batches(batch_size=RECORDS_IN_MEMORY)

    def quarantined(self) -> Iterator[str]:
        """The text of every malformed record."""
        for table in self.tables(QUARANTINE_TABLES):
            for batch in self.batches(table):
                yield from filter(None, batch["line"].to_pylist())

    def addresses(self) -> Iterator[DataFrame]:
        """The e-mail addresses of each table that has some, old versions included."""
        for table in self.tables(DELTA_TABLES):
            for person in people_of(table):
                yield self.lakehouse.read(table).select(person.column)
                if files := maintenance.superseded_files(self.lakehouse.uri_of(table)):
                    yield self.read(person, files)

    def data_files(self, uri: str) -> list[str]:
        """The URIs of all data files of a table, of whatever version."""
        with storage_faults(uri):
            stored = [file.uri for file in storage.open_folder(uri).files()]
        return [name for name in stored if name.endswith(".parquet")]

    def read(self, subject: Person | Device, uris: list[str]) -> DataFrame:
        """The column of data files that says whose a row is; older ones may lack others."""
        schema = f"`{subject.column}` string"
        return self.lakehouse.spark_session.read.schema(schema).parquet(*uris)


def people_of(table: Table) -> list[Person]:
    """The columns of a table that say which person a row is of."""
    return [each for each in table.subjects if isinstance(each, Person)]
