"""A source's landing folder as one run sees it, read as a declared table."""

from __future__ import annotations

import codecs
import functools
import gzip
import hashlib
import inspect
import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from stedi_assets.errors import LakehouseError
from stedi_assets.lakehouse import faults, reader, storage
from stedi_assets.lakehouse.address import S3
from stedi_assets.lakehouse.faults import storage_faults
from stedi_assets.lakehouse.fingerprint import fingerprint
from stedi_assets.lakehouse.storage import Folder, StoredFile
from stedi_assets.resources.spark import SparkResource
from stedi_assets.tables import Table

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


@dataclass(frozen=True)
class LandingProfile:
    """What was found in a landing folder, kept with the quarantine table that came of it.

    Attributes:
        fingerprint: Changes with the files' names and contents.
        reader: The version of the code that read them.
        objects: Records and fragments together.
        malformed: The fragments.
        tidy: Whether every line is one record just as declared, by `reader.is_tidy`.
        content: The fingerprint of the files' names and SHA-256 digests, by which a manifest knows
            them; None where a bucket has no record of those.
        not_utf8: Names of the files that hold bytes which are not UTF-8.
    """

    fingerprint: str
    reader: str
    objects: int
    malformed: int
    tidy: bool
    content: str | None = None
    not_utf8: list[str] = field(default_factory=list)

    @property
    def records(self) -> int:
        """Objects that could be read."""
        return self.objects - self.malformed

    def as_dict(self) -> dict[str, Any]:
        """The profile as plain values."""
        return asdict(self)


def reader_version(table: Table) -> str:
    """A digest of the code and the declaration by which a landing table is read."""
    rules = inspect.getsource(reader) + inspect.getsource(LandingFolder) + repr(table.columns)
    return hashlib.sha256(rules.encode()).hexdigest()[:12]


@dataclass
class LandingFolder:
    """The files of one source as one run sees them: listed once, so that every reader agrees.

    Attributes:
        table: The declaration of what they hold.
        uri: The folder.
        spark: Hands out the run's session.
    """

    table: Table
    uri: str
    spark: SparkResource
    _records: DataFrame | None = field(default=None, init=False)
    _fetched: DataFrame | None = field(default=None, init=False)

    @functools.cached_property
    def files(self) -> list[StoredFile]:
        """The files, by name.

        Raises:
            LakehouseError: If there is none.
        """
        with storage_faults(self.uri):
            files = self.folder.json_lines()
        if not files:
            raise LakehouseError(
                f"The landing folder {self.uri} has no *.json or *.json.gz file. "
                "Let files arrive there, or set STEDI_SOURCE_DATA to a folder that has "
                f"{self.table.location}/*.json."
            )
        return files

    @functools.cached_property
    def reader_version(self) -> str:
        """Changes with the code and the declaration by which the files are read."""
        return reader_version(self.table)

    @functools.cached_property
    def fingerprint(self) -> str:
        """Changes with the files' names and contents."""
        return fingerprint(self.folder.versions(self.files))

    @property
    def _content(self) -> str | None:
        digests = self.folder.recorded_digests(self.files)
        return fingerprint(digests) if digests is not None else None

    @functools.cached_property
    def folder(self) -> Folder:
        """The folder that they are in."""
        return storage.open_folder(self.uri)

    @functools.cached_property
    def profile(self) -> LandingProfile:
        """What one pass over everything finds.

        Raises:
            LakehouseError: If a file is damaged as a whole.
        """
        from pyspark.errors import PySparkException

        not_utf8: list[str] = []
        try:
            objects, malformed, tidy = self._judge(not_utf8)
        except PySparkException as error:
            if meant := faults.fault(self.uri, error):
                raise meant from None
            not_utf8 = [file.name for file in self.files if not self._is_utf8(file)]
            if not not_utf8:
                raise
            objects, malformed, tidy = self._judge(not_utf8)
        return LandingProfile(
            self.fingerprint,
            self.reader_version,
            objects,
            malformed,
            tidy=tidy,
            content=self._content,
            not_utf8=not_utf8,
        )

    def _judge(self, not_utf8: list[str]) -> tuple[int, int, bool]:
        """How many objects and fragments there are, how many fragments, and whether all is tidy."""
        from pyspark.sql import functions as F

        lines = self._lines(not_utf8)
        tidy = F.count_if(reader.is_tidy(self.table)).alias("tidy")
        [found] = lines.agg(F.count(F.lit(1)).alias("lines"), tidy).collect()
        if found.tidy == found.lines:
            return found.lines, 0, True
        return *reader.count(lines, self.table), False

    def _is_utf8(self, file: StoredFile) -> bool:
        """Whether a file is UTF-8 text.

        Raises:
            LakehouseError: If its compression is damaged or holds text that is not UTF-8.
        """
        try:
            for _ in codecs.iterdecode(_decompressed(self.folder, file), "utf-8"):
                pass
        except UnicodeDecodeError:
            if file.gzipped:
                raise LakehouseError(
                    f"{self.folder.tell(file, self.files)} holds bytes that are not UTF-8, which "
                    "can be set aside only in an uncompressed file. Replace it by its "
                    "uncompressed content."
                ) from None
            return False
        except (OSError, EOFError, zlib.error):
            raise LakehouseError(
                f"{self.folder.tell(file, self.files)} cannot be read: it is damaged or was cut "
                "short. Replace it by a whole copy."
            ) from None
        return True

    def knows(self, profile: LandingProfile) -> bool:
        """Whether a profile tells of these very files, as this code reads them."""
        return (profile.fingerprint, profile.reader) == (self.fingerprint, self.reader_version)

    def records(self, profile: LandingProfile) -> DataFrame:
        """The well-formed records, with the table's columns, fetched once a run.

        Args:
            profile: What is known of these very files.
        """
        if self._records is None:
            self._records = self.spark.hold(self._read(profile))
        return self._records

    def _read(self, profile: LandingProfile) -> DataFrame:
        if profile.tidy and self._fetched is None:
            session: SparkSession = self.spark.spark_session
            frames = [reader.read_tidy(session, uris, self.table) for uris in self._readable([])]
            return functools.reduce(lambda one, other: one.unionByName(other), frames)
        return (
            self._parsed(profile).where(f"{reader.REASON} is null").select(*self.table.column_names)
        )

    def malformed(self, profile: LandingProfile) -> DataFrame:
        """The fragments, with the quarantine table's columns."""
        from pyspark.sql import functions as F

        return (
            self._parsed(profile)
            .where(f"{reader.REASON} is not null")
            .select(
                F.col(reader.LINE).alias("line"),
                F.col(reader.REASON).alias("reason"),
                F.current_timestamp().alias("quarantinedAt"),
            )
        )

    def _parsed(self, profile: LandingProfile) -> DataFrame:
        lines = self._lines(profile.not_utf8)
        return reader.parse(reader.fragments(lines), self.table)

    def _lines(self, not_utf8: list[str]) -> DataFrame:
        """The text lines of all files, in a column `value`; a bucket's are fetched once a run."""
        from pyspark.sql import functions as F

        if self._fetched is not None:
            return self._fetched
        spark: SparkSession = self.spark.spark_session
        # JVM Spark hands out bytes that are not UTF-8 as they are; this marks each.
        valid = F.make_valid_utf8("value").alias("value")
        frames = [spark.read.text(uris).select(valid) for uris in self._readable(not_utf8)]
        damaged = [f.uri for f in self.files if f.name in not_utf8]
        if damaged:
            # The embedded engine refuses a text file with such a byte.
            text = F.make_valid_utf8(F.col("content"))
            whole = spark.read.format("binaryFile").load(damaged)
            once = whole.dropDuplicates(["path"])
            frames.append(once.select(F.explode(F.split(text, "\r?\n")).alias("value")))
        lines = functools.reduce(lambda one, other: one.unionByName(other), frames)
        if self.uri.startswith(S3):
            self._fetched = self.spark.hold(lines)
        return lines if self._fetched is None else self._fetched

    def _readable(self, not_utf8: list[str]) -> list[list[str]]:
        """The files of UTF-8 text; the embedded engine reads one kind of compression at a time."""
        plain = [f.uri for f in self.files if not f.gzipped and f.name not in not_utf8]
        gzipped = [f.uri for f in self.files if f.gzipped]
        return [uris for uris in (plain, gzipped) if uris]


def _decompressed(folder: Folder, file: StoredFile) -> Iterator[bytes]:
    with folder.open(file) as stored:
        stream = gzip.GzipFile(fileobj=stored) if file.gzipped else stored
        while chunk := stream.read(storage.CHUNK_BYTES):
            yield chunk
