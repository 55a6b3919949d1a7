"""The malformed records of a source's files, each with its reason and its place.

The engine finds that files hold malformed records, but not where: it reads lines in any order. So
those files are streamed here, and their lines that do not conform go back to it in small batches.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stedi_assets.errors import Code, LakehouseError
from stedi_assets.landing import reader
from stedi_assets.landing.conforming import is_conforming_text
from stedi_assets.landing.lines import DAMAGED, decompressed
from stedi_assets.storage.folder import Folder, StoredFile
from stedi_assets.tables import Table, quarantine_of

if TYPE_CHECKING:
    from pyarrow import RecordBatch
    from pyspark.sql import SparkSession

BATCH_LINES = 10_000
# A line with what ends it.
LINE = re.compile(rb"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")
BATCH_BYTES = 4 << 20


@dataclass(frozen=True)
class Line:
    """A line of a file.

    Attributes:
        file: The file's id.
        number: Its number in the file, from 1.
        offset: Where it begins, in bytes of the uncompressed content.
        content: Its bytes, without the line break.
    """

    file: str
    number: int
    offset: int
    content: bytes

    @property
    def text(self) -> str:
        """Its content as the engine sees it."""
        return self.content.decode("utf-8", "replace")


def located(
    folder: Folder, files: Mapping[str, StoredFile], table: Table, spark: SparkSession
) -> Iterator[RecordBatch]:
    """The malformed records of files (by id), in bounded memory.

    Yields:
        Batches with the quarantine table's columns.

    Raises:
        LakehouseError: If a file is damaged.
    """
    now = int(time.time() * 1_000_000)
    suspects = (
        line
        for id, file in files.items()
        for line in lines(folder, id, file)
        if not is_conforming_text(line.text, table)
    )
    for batch in _batches(suspects):
        yield from _judged(batch, table, spark, now)


def lines(folder: Folder, id: str, file: StoredFile) -> Iterator[Line]:
    """The lines of a file that are not empty; as for engines, each CR ends one too.

    Raises:
        LakehouseError: If its compression is damaged.
    """
    offset = 0
    try:
        with decompressed(folder, file) as content:
            number = 0
            for line in content:
                for part in LINE.findall(line):
                    number += 1
                    if text := part.rstrip(b"\r\n"):
                        yield Line(id, number, offset, text)
                    offset += len(part)
    except DAMAGED:
        raise LakehouseError(
            f"The landing file {id} of {folder.uri} is damaged or cut short. Put a whole copy in "
            "its place, under the same name.",
            Code.LANDING_FILE,
        ) from None


def _batches(lines: Iterable[Line]) -> Iterator[list[Line]]:
    batch = list[Line]()
    size = 0
    for line in lines:
        batch.append(line)
        size += len(line.content)
        if size >= BATCH_BYTES or len(batch) == BATCH_LINES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _judged(batch: list[Line], table: Table, spark: SparkSession, now: int) -> list[RecordBatch]:
    import pyarrow as pa
    from pyspark.sql import functions as F

    suspects = pa.table(
        {
            "value": [line.text for line in batch],
            "file": [line.file for line in batch],
            "lineNumber": [line.number for line in batch],
            "byteOffset": [line.offset for line in batch],
        }
    )
    parsed = reader.parse(reader.split(spark.createDataFrame(suspects)), table)
    found = parsed.where(f"{reader.REASON} is not null").select(
        F.col(reader.LINE).alias("line"),
        F.col(reader.REASON).alias("reason"),
        "file",
        "lineNumber",
        "byteOffset",
    )
    columns = found.toArrow()
    schema = quarantine_of(table).arrow_schema
    quarantined = pa.array([now] * columns.num_rows, schema.field("quarantinedAt").type)
    named = columns.append_column("quarantinedAt", quarantined).select(schema.names)
    return list(named.cast(schema).to_batches())
