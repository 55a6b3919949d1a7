"""A source's landing folder as one run sees it, read as a declared table."""

from __future__ import annotations

import codecs
import functools
import gzip
import hashlib
import inspect
import operator
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from stedi_assets import plausible
from stedi_assets.erasure.landing import erased_digests
from stedi_assets.errors import LakehouseError
from stedi_assets.lakehouse import arrival, faults, json_text, quarantine, reader, storage
from stedi_assets.lakehouse import ledger as ledgers
from stedi_assets.lakehouse.address import S3
from stedi_assets.lakehouse.faults import storage_faults
from stedi_assets.lakehouse.fingerprint import fingerprint
from stedi_assets.lakehouse.ledger import LandedFile, Ledger
from stedi_assets.lakehouse.storage import Folder, LocalFolder, StoredFile
from stedi_assets.resources.spark import SparkResource
from stedi_assets.tables import SUPERSEDED, Table

if TYPE_CHECKING:
    from pyarrow import RecordBatch
    from pyspark.sql import DataFrame, SparkSession


# How many groups of files one query tells apart.
GROUPS = 64


@dataclass(frozen=True)
class LandingProfile:
    """What was found in a landing folder, kept with the quarantine table that came of it.

    Attributes:
        fingerprint: Changes with the contents of the files that count.
        reader: The version of the code that read them.
        objects: Records and fragments of the current files together.
        malformed: The fragments.
        tidy: Whether every line of the current files is one record just as declared, by
            `reader.is_tidy`.
        superseded_tidy: The same of the superseded files, where their records count.
        not_utf8: Ids of the files that hold bytes which are not UTF-8.
        implausible: The records of the current files with a value out of its column's bounds.
        implausible_values: Column to the records whose value in it is out of bounds.
    """

    fingerprint: str
    reader: str
    objects: int
    malformed: int
    tidy: bool
    superseded_tidy: bool = True
    not_utf8: list[str] = field(default_factory=list)
    implausible: int = 0
    implausible_values: dict[str, int] = field(default_factory=dict)

    @property
    def records(self) -> int:
        """Objects of the current files that could be read."""
        return self.objects - self.malformed

    def as_dict(self) -> dict[str, Any]:
        """The profile as plain values."""
        return asdict(self)


def reader_version(table: Table) -> str:
    """A digest of the code and the declaration by which a landing table is read."""
    parts = (json_text, reader, LandingFolder, plausible)
    rules = "".join(inspect.getsource(part) for part in parts) + repr(table.columns)
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
    _fetched: dict[tuple[str, ...], DataFrame] = field(default_factory=dict, init=False)

    def ingest(self, source: LocalFolder | None, settle_seconds: float) -> arrival.Ingested:
        """Uploads what is new, and keeps the ledger of all that is there then.

        Args:
            source: The folder to upload from; None where files arrive by themselves.
            settle_seconds: Source files that changed less than this long ago are left.

        Raises:
            LakehouseError: If a file cannot be read or landing cannot be written.
        """
        ingested = arrival.ingest(source, self.folder, settle_seconds)
        self.stored, self.ledger = ingested.stored, ingested.ledger
        return ingested

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
            erased = erased_digests(self.folder, self.stored)
            return ledgers.read(self.folder, self.stored, erased)

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
                f"{self.table.location}/*.json."
            )
        return files

    @property
    def current(self) -> list[StoredFile]:
        """The files that say what the source says now."""
        return [file for file in self.files if self._landed(file).current]

    @property
    def superseded(self) -> list[StoredFile]:
        """Earlier versions of current files, where their records count."""
        if not self.table.superseded_count:
            return []
        return [file for file in self.files if not self._landed(file).current]

    @functools.cached_property
    def _by_name(self) -> dict[str, LandedFile]:
        return self.ledger.by_name

    def _landed(self, file: StoredFile) -> LandedFile:
        return self._by_name[file.name]

    @functools.cached_property
    def reader_version(self) -> str:
        """Changes with the code and the declaration by which the files are read."""
        return reader_version(self.table)

    @functools.cached_property
    def fingerprint(self) -> str:
        """Changes with the source's files, their names and contents, as far as they count."""
        now = {f.source: f.sha256 or f.version for f in map(self._landed, self.current)}
        before = {f"{f.id} once": f.sha256 or f.version for f in map(self._landed, self.superseded)}
        return fingerprint(now | before)

    @functools.cached_property
    def profile(self) -> LandingProfile:
        """What one pass over everything finds.

        Raises:
            LakehouseError: If a file is damaged as a whole.
        """
        objects, malformed, tidy, not_utf8 = self._judged(self.current)
        superseded_tidy = True
        if self.superseded:
            _, _, superseded_tidy, further = self._judged(self.superseded)
            not_utf8 += further
        found = LandingProfile(
            self.fingerprint,
            self.reader_version,
            objects,
            malformed,
            tidy=tidy,
            superseded_tidy=superseded_tidy,
            not_utf8=not_utf8,
        )
        return replace(found, **self._implausible(found))

    def _implausible(self, profile: LandingProfile) -> dict[str, Any]:
        """How many records of the current files have values out of bounds, and in which columns."""
        from pyspark.sql import functions as F

        faults = {column.name: plausible.implausible(column) for column in self.table.columns}
        any_fault = functools.reduce(operator.or_, faults.values())
        counts = [F.count_if(fault).alias(name) for name, fault in faults.items()]
        records = current(self.records(profile))
        [found] = records.agg(F.count_if(any_fault).alias("_any"), *counts).collect()
        values = {name: found[name] for name in faults if found[name]}
        return {"implausible": found["_any"], "implausible_values": values}

    def _judged(self, files: list[StoredFile]) -> tuple[int, int, bool, list[str]]:
        """As `_judge`, and the ids of the files that are not UTF-8."""
        from pyspark.errors import PySparkException

        try:
            return *self._judge(files, []), []
        except PySparkException as error:
            if meant := faults.fault(self.uri, error):
                raise meant from None
            not_utf8 = [self._landed(file).id for file in files if not self._is_utf8(file)]
            if not not_utf8:
                raise
            return *self._judge(files, not_utf8), not_utf8

    def _judge(self, files: list[StoredFile], not_utf8: list[str]) -> tuple[int, int, bool]:
        """How many objects and fragments there are, how many fragments, and whether all is tidy."""
        from pyspark.sql import functions as F

        lines = self._lines(files, not_utf8)
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
        same = (profile.fingerprint, profile.reader) == (self.fingerprint, self.reader_version)
        return same and {file.id for file in self.ledger.files}.issuperset(profile.not_utf8)

    def records(self, profile: LandingProfile) -> DataFrame:
        """The well-formed records, cached for the run.

        Args:
            profile: What is known of these very files.

        Returns:
            The table's columns; besides, where superseded files count and there are any, the
            boolean `_superseded`.
        """
        from pyspark.sql import functions as F

        if self._records is None:
            records = self._read(self.current, profile.tidy, profile.not_utf8)
            if self.superseded:
                once = self._read(self.superseded, profile.superseded_tidy, profile.not_utf8)
                records = records.withColumn(SUPERSEDED, F.lit(False)).unionByName(
                    once.withColumn(SUPERSEDED, F.lit(True))
                )
            self._records = self.spark.hold(records)
        return self._records

    def _read(self, files: list[StoredFile], tidy: bool, not_utf8: Sequence[str]) -> DataFrame:
        if tidy and _names(files) not in self._fetched:
            session: SparkSession = self.spark.spark_session
            frames = [reader.read_tidy(session, uris, self.table) for uris in _by_kind(files)]
            return _united(frames)
        return (
            reader.parse(reader.fragments(self._lines(files, not_utf8)), self.table)
            .where(f"{reader.REASON} is null")
            .select(*self.table.column_names)
        )

    def malformed(self, profile: LandingProfile) -> Iterator[RecordBatch]:
        """The fragments of the current files, each with its place, as the quarantine's columns.

        Args:
            profile: What is known of these very files.
        """
        if not profile.malformed:
            return iter(())
        damaged = [f for f in self.current if self._landed(f).id in profile.not_utf8]
        others = [file for file in self.current if file not in damaged]
        suspects = [*damaged, *(self._with_malformed(others) if others else ())]
        files = {self._landed(file).id: file for file in suspects}
        return quarantine.located(self.folder, files, self.table, self.spark.spark_session)

    def _with_malformed(self, files: list[StoredFile]) -> list[StoredFile]:
        """Those of files that hold fragments; more where most do, since all are quick to read."""
        from pyspark.sql import functions as F

        groups = [files[start::GROUPS] for start in range(min(GROUPS, len(files)))]
        lines = [
            self._text(group).withColumn("group", F.lit(number))
            for number, group in enumerate(groups)
        ]
        pieces = reader.parse(reader.fragments(_united(lines)), self.table)
        found = pieces.where(f"{reader.REASON} is not null").select("group").distinct().collect()
        holding = [groups[row.group] for row in found]
        narrows = len(files) > GROUPS and len(holding) < GROUPS / 2
        narrowed = map(self._with_malformed, holding) if narrows else holding
        return [file for group in narrowed for file in group]

    def _lines(self, files: list[StoredFile], not_utf8: Sequence[str]) -> DataFrame:
        """The text lines of files, in a column `value`; a bucket's are fetched once a run."""
        from pyspark.sql import functions as F

        if _names(files) in self._fetched:
            return self._fetched[_names(files)]
        damaged = [file for file in files if self._landed(file).id in not_utf8]
        readable = [file for file in files if file not in damaged]
        frames = [self._text(readable)] if readable else []
        if damaged:
            # The embedded engine refuses a text file with such a byte.
            spark: SparkSession = self.spark.spark_session
            text = F.make_valid_utf8(F.col("content"))
            whole = spark.read.format("binaryFile").load([file.uri for file in damaged])
            once = whole.dropDuplicates(["path"])
            frames.append(once.select(F.explode(F.split(text, "\r?\n")).alias("value")))
        lines = _united(frames)
        if self.uri.startswith(S3):
            self._fetched[_names(files)] = lines = self.spark.hold(lines)
        return lines

    def _text(self, files: list[StoredFile]) -> DataFrame:
        """The lines of files of UTF-8 text."""
        from pyspark.sql import functions as F

        spark: SparkSession = self.spark.spark_session
        # JVM Spark hands out bytes that are not UTF-8 as they are; this marks each.
        valid = F.make_valid_utf8("value").alias("value")
        frames = [spark.read.text(uris).select(valid) for uris in _by_kind(files)]
        return _united(frames)


def current(frame: DataFrame) -> DataFrame:
    """Of a landing table's records those of current files."""
    return frame.where(f"not {SUPERSEDED}") if SUPERSEDED in frame.columns else frame


def _united(frames: Sequence[DataFrame]) -> DataFrame:
    """All rows of frames, by a plan that is not as deep as there are frames: depth is limited."""
    if len(frames) == 1:
        return frames[0]
    half = len(frames) // 2
    return _united(frames[:half]).unionByName(_united(frames[half:]))


def _names(files: Sequence[StoredFile]) -> tuple[str, ...]:
    return tuple(file.name for file in files)


def _by_kind(files: Sequence[StoredFile]) -> list[list[str]]:
    """The files' URIs; the embedded engine reads one kind of compression at a time."""
    kinds = [[f.uri for f in files if f.gzipped is gzipped] for gzipped in (False, True)]
    return [uris for uris in kinds if uris]


def _decompressed(folder: Folder, file: StoredFile) -> Iterator[bytes]:
    with folder.open(file) as stored:
        stream = gzip.GzipFile(fileobj=stored) if file.gzipped else stored
        while chunk := stream.read(storage.CHUNK_BYTES):
            yield chunk
