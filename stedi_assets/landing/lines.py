"""The text lines of landed files, as frames."""

from __future__ import annotations

import codecs
import contextlib
import gzip
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, BinaryIO, cast

from stedi_assets.engine.spark import SparkResource
from stedi_assets.storage.address import S3
from stedi_assets.storage.faults import storage_faults
from stedi_assets.storage.folder import CHUNK_BYTES, Folder, StoredFile
from stedi_assets.tables.columns import BATCH

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

GZIP = zlib.MAX_WBITS | 16  # zlib's number for that format
# Files by the number of their group.
Groups = Mapping[int, Sequence[StoredFile]]
# What Python says of a gzip file that is cut short or altered.
DAMAGED = (EOFError, zlib.error, gzip.BadGzipFile)


class Fault(Enum):
    """What is wrong with a file as a whole: its compression, or the text in it."""

    DAMAGED = "damaged or cut short"
    NOT_UTF8 = "not UTF-8 text"
    PADDED = "followed by zero bytes"


@dataclass
class Lines:
    """Reads the lines of a folder's files in groups, numbered in the column `_batch`."""

    folder: Folder
    spark: SparkResource
    _groups: Groups = field(default_factory=dict, init=False)
    _cached: DataFrame | None = field(default=None, init=False)

    def of(self, groups: Groups, not_utf8: set[StoredFile]) -> DataFrame:
        """The lines, in columns `value` and `_batch`; those of a bucket are cached for the run.

        Args:
            groups: The files.
            not_utf8: Those that hold bytes which are not UTF-8.
        """
        if self._cached is not None and all(self.are_cached(n, groups[n]) for n in groups):
            return self._cached.where(self._cached[BATCH].isin(*groups))
        lines = grouped({n: self._lines(group, not_utf8) for n, group in groups.items()})
        if not self.folder.uri.startswith(S3):
            return lines
        self._groups, self._cached = groups, self.spark.cached(lines)
        return self._cached

    def are_cached(self, number: int, files: Sequence[StoredFile]) -> bool:
        """Whether the lines of a group of files are cached already."""
        return list(self._groups.get(number, ())) == list(files)

    def fault_of(self, file: StoredFile) -> Fault | None:
        """What is wrong with a file as a whole, if anything is.

        Raises:
            LakehouseError: If the storage fails.
        """
        try:
            with storage_faults(self.folder.uri), decompressed(self.folder, file) as stream:
                chunks = iter(lambda: stream.read(CHUNK_BYTES), b"")
                for _ in codecs.iterdecode(chunks, "utf-8"):
                    pass
                padded = file.gzipped and self._is_padded(file)
        except UnicodeDecodeError:
            return Fault.NOT_UTF8
        except DAMAGED:
            return Fault.DAMAGED
        return Fault.PADDED if padded else None

    def _is_padded(self, file: StoredFile) -> bool:
        """Whether zero bytes follow a whole gzip file, which Python ignores and engines refuse."""
        member = zlib.decompressobj(wbits=GZIP)
        with self.folder.open(file) as stored:
            while chunk := stored.read(CHUNK_BYTES):
                while chunk:
                    if member.eof:
                        if chunk.startswith(b"\0"):
                            return True
                        member = zlib.decompressobj(wbits=GZIP)
                    member.decompress(chunk, CHUNK_BYTES)
                    chunk = member.unconsumed_tail or member.unused_data
        return False

    def _lines(self, files: Sequence[StoredFile], not_utf8: set[StoredFile]) -> DataFrame:
        from pyspark.sql import functions as F

        spark: SparkSession = self.spark.spark_session
        damaged = [file for file in files if file in not_utf8]
        readable = [file for file in files if file not in not_utf8]
        # JVM Spark hands out bytes that are not UTF-8 as they are; this marks each.
        valid = F.make_valid_utf8("value").alias("value")
        frames = [spark.read.text(uris).select(valid) for uris in by_kind(readable)]
        if damaged:
            # The embedded engine refuses a text file with such a byte.
            text = F.make_valid_utf8(F.col("content"))
            whole = spark.read.format("binaryFile").load([file.uri for file in damaged])
            once = whole.dropDuplicates(["path"])
            frames.append(once.select(F.explode(F.split(text, "\r\n|\r|\n")).alias("value")))
        return united(frames)


@contextlib.contextmanager
def decompressed(folder: Folder, file: StoredFile) -> Iterator[BinaryIO]:
    """A file's content, as it was before it was compressed."""
    with folder.open(file) as stored:
        yield cast(BinaryIO, gzip.GzipFile(fileobj=stored)) if file.gzipped else stored


def by_kind(files: Sequence[StoredFile]) -> list[list[str]]:
    """The files' URIs; the embedded engine reads one kind of compression at a time."""
    kinds = [[f.uri for f in files if f.gzipped is gzipped] for gzipped in (False, True)]
    return [uris for uris in kinds if uris]


def grouped(frames: Mapping[int, DataFrame]) -> DataFrame:
    """All rows of frames, with the number of each row's frame in `_batch`."""
    from pyspark.sql import functions as F

    numbered = [each.withColumn(BATCH, F.lit(n).cast("bigint")) for n, each in frames.items()]
    return united(numbered)


def united(frames: Sequence[DataFrame]) -> DataFrame:
    """All rows of frames, by a balanced plan: engines limit its depth."""
    if len(frames) == 1:
        return frames[0]
    half = len(frames) // 2
    return united(frames[:half]).unionByName(united(frames[half:]))
