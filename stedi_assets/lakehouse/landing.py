"""A source's landing folder: what arrives there, and reading it as a declared table."""

from __future__ import annotations

import codecs
import functools
import hashlib
import inspect
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from stedi_assets.errors import LakehouseError
from stedi_assets.lakehouse import reader, storage
from stedi_assets.lakehouse.fingerprint import fingerprint
from stedi_assets.lakehouse.storage import StoredFile
from stedi_assets.tables import Table

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


@dataclass(frozen=True)
class LandingProfile:
    """What was found in a landing folder, kept with the quarantine table that came of it.

    Attributes:
        fingerprint: The fingerprint of the files' names and contents.
        reader: The version of the code that read them.
        objects: Records and fragments together.
        malformed: The fragments.
        tidy: Whether every line is one record as declared.
        not_utf8: Names of the files that hold bytes which are not UTF-8.
    """

    fingerprint: str
    reader: str
    objects: int
    malformed: int
    tidy: bool
    not_utf8: list[str] = field(default_factory=list)

    @property
    def records(self) -> int:
        """Objects that could be read."""
        return self.objects - self.malformed

    def as_dict(self) -> dict[str, Any]:
        """The profile as plain values."""
        return asdict(self)


def upload(source_uri: str, landing_uri: str) -> list[StoredFile]:
    """Copies into landing what it does not hold yet, byte for byte.

    What has landed stays as it is: a source file that has changed since lands beside its earlier
    version, as `name-<digest>.json`.

    Args:
        source_uri: The folder to copy from.
        landing_uri: The folder to copy to.

    Returns:
        The source files that were copied.

    Raises:
        LakehouseError: If a file cannot be read or landing cannot be written.
    """
    try:
        storage.remove_abandoned(landing_uri)
        source = storage.list_json_lines(source_uri)
        landed = storage.digests(storage.list_json_lines(landing_uri))
        arriving = storage.digests(source)
        copied = []
        for file in source:
            name = _landing_name(file.name, arriving[file.name], landed)
            if name is not None:
                storage.copy_atomically(file, landing_uri, name)
                copied.append(file)
        return copied
    except OSError as error:
        raise LakehouseError(
            f"Files could not be copied from {source_uri} to {landing_uri}: "
            f"{error.strerror or type(error).__name__}. Check that the first can be read and the "
            "second written, with room on the disk; what had landed is untouched."
        ) from None


def _landing_name(name: str, digest: str, landed: dict[str, str]) -> str | None:
    """The name to land under, or None for a file that has landed already."""
    if name not in landed:
        return name
    stem, dot, suffix = name.partition(".json")
    versioned = f"{stem}-{digest[:12]}{dot}{suffix}"
    return None if digest in (landed[name], landed.get(versioned)) else versioned


def reader_version(table: Table) -> str:
    """A digest of the code and the declaration by which a landing table is read."""
    rules = inspect.getsource(reader) + repr(table.columns)
    return hashlib.sha256(rules.encode()).hexdigest()[:12]


@dataclass(frozen=True)
class LandingFolder:
    """The files of one source as one run sees them: listed once, so that every reader agrees.

    Attributes:
        table: The declaration of what they hold.
        uri: The folder.
        spark: Hands out the run's session.
    """

    table: Table
    uri: str
    spark: Callable[[], SparkSession]

    @functools.cached_property
    def files(self) -> list[StoredFile]:
        """The files, by name.

        Raises:
            LakehouseError: If there is none.
        """
        files = storage.list_json_lines(self.uri)
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
        """The fingerprint of the files' names and contents."""
        return fingerprint(storage.digests(self.files))

    @functools.cached_property
    def profile(self) -> LandingProfile:
        """What one pass over everything finds.

        Raises:
            LakehouseError: If a file is damaged as a whole.
        """
        from pyspark.errors import PySparkException

        not_utf8: list[str] = []
        try:
            found = reader.profile(self._lines(not_utf8), self.table)
        except PySparkException:
            not_utf8 = [file.name for file in self.files if not _is_utf8(file)]
            if not not_utf8:
                raise
            found = reader.profile(self._lines(not_utf8), self.table)
        return LandingProfile(
            self.fingerprint, self.reader_version, **asdict(found), not_utf8=not_utf8
        )

    def knows(self, profile: LandingProfile) -> bool:
        """Whether a profile tells of these very files, as this code reads them."""
        return (profile.fingerprint, profile.reader) == (self.fingerprint, self.reader_version)

    def records(self, profile: LandingProfile) -> DataFrame:
        """The well-formed records, with the table's columns.

        Args:
            profile: What is known of these very files.
        """
        if profile.tidy:
            frames = [
                reader.read_tidy(self.spark(), uris, self.table) for uris in self._readable([])
            ]
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
        """The text lines of all files, in a column `value`."""
        from pyspark.sql import functions as F

        spark = self.spark()
        # JVM Spark hands out bytes that are not UTF-8 as they are; this marks each.
        valid = F.make_valid_utf8("value").alias("value")
        frames = [spark.read.text(uris).select(valid) for uris in self._readable(not_utf8)]
        damaged = [f.uri for f in self.files if f.name in not_utf8]
        if damaged:
            # The embedded engine refuses a text file with such a byte.
            text = F.make_valid_utf8(F.col("content"))
            whole = spark.read.format("binaryFile").load(damaged)
            frames.append(whole.select(F.explode(F.split(text, "\r?\n")).alias("value")))
        return functools.reduce(lambda one, other: one.unionByName(other), frames)

    def _readable(self, not_utf8: list[str]) -> list[list[str]]:
        """The files of UTF-8 text; the embedded engine reads one kind of compression at a time."""
        plain = [f.uri for f in self.files if not f.gzipped and f.name not in not_utf8]
        gzipped = [f.uri for f in self.files if f.gzipped]
        return [uris for uris in (plain, gzipped) if uris]


def _is_utf8(file: StoredFile) -> bool:
    """Whether a file is UTF-8 text.

    Raises:
        LakehouseError: If its compression is damaged or holds text that is not UTF-8.
    """
    try:
        for _ in codecs.iterdecode(_decompressed(file), "utf-8"):
            pass
    except UnicodeDecodeError:
        if file.gzipped:
            raise LakehouseError(
                f"{file.uri} holds bytes that are not UTF-8, which can be set aside only in an "
                "uncompressed file. Replace it by its uncompressed content."
            ) from None
        return False
    return True


def _decompressed(file: StoredFile) -> Iterator[bytes]:
    try:
        yield from storage.chunks(file, decompress=True)
    except OSError:
        raise LakehouseError(
            f"{file.uri} cannot be read: it is damaged or was cut short. "
            "Replace it by a whole copy."
        ) from None
