"""A source's landing folder as one run sees it, read as a declared table."""

from __future__ import annotations

import functools
import operator
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from stedi_assets.engine.spark import SparkResource
from stedi_assets.errors import LakehouseError
from stedi_assets.landing import json_text, lines, quarantine, reader
from stedi_assets.landing.files import LandingFiles
from stedi_assets.landing.lines import GROUP, Fault, Lines, by_kind, grouped, united
from stedi_assets.landing.profile import LandingProfile
from stedi_assets.storage import faults
from stedi_assets.storage.folder import StoredFile
from stedi_assets.tables import Table, code, plausible
from stedi_assets.tables.schema import REPLACED, SUPERSEDED

if TYPE_CHECKING:
    from pyarrow import RecordBatch
    from pyspark.sql import DataFrame, SparkSession


# How many groups of files one query tells apart: to look for malformed lines, and to find out the
# times in files, which every first look does.
GROUPS, TIMED_GROUPS = 64, 16


def reader_version(table: Table) -> str:
    """A digest of the code and the declaration by which a landing table is read."""
    return code.version(__name__, json_text, lines, reader, besides=[repr(table.columns)])


@dataclass
class LandingFolder(LandingFiles):
    """The files of one source, and the records and fragments in them.

    Attributes:
        spark: Hands out the run's session.
    """

    spark: SparkResource
    _records: DataFrame | None = field(default=None, init=False)

    @functools.cached_property
    def reader_version(self) -> str:
        """Changes with the code and the declaration by which the files are read."""
        return reader_version(self.table)

    @functools.cached_property
    def _lines(self) -> Lines:
        return Lines(self.folder, self.spark)

    @functools.cached_property
    def profile(self) -> LandingProfile:
        """What one pass over everything finds; it also adds to the ledger the times in files.

        Raises:
            LakehouseError: If a current file is damaged as a whole.
        """
        objects, malformed, tidy, not_utf8 = self._judged(self._groups)
        found = LandingProfile(
            self.fingerprint, self.reader_version, objects, malformed, tidy, not_utf8=not_utf8
        )
        if self.superseded:
            found = self._with_superseded(found)
        return replace(found, **self._implausible(found))

    def _with_superseded(self, profile: LandingProfile) -> LandingProfile:
        """A profile with what is found in superseded files, without those that are damaged."""
        unreadable = list[str]()
        try:
            _, _, tidy, not_utf8 = self._judged([self.superseded])
        except LakehouseError:
            unreadable = [
                self._landed(file).id for file in self.superseded if self._is_unreadable(file)
            ]
            if not unreadable:
                raise
            left = [f for f in self.superseded if self._landed(f).id not in unreadable]
            _, _, tidy, not_utf8 = self._judged([left]) if left else (0, 0, True, [])
        return replace(
            profile,
            superseded_tidy=tidy,
            not_utf8=[*profile.not_utf8, *not_utf8],
            unreadable=unreadable,
        )

    def _is_unreadable(self, file: StoredFile) -> bool:
        fault = self._lines.fault_of(file)
        return fault is Fault.DAMAGED or (fault is Fault.NOT_UTF8 and file.gzipped)

    @functools.cached_property
    def _groups(self) -> list[list[StoredFile]]:
        """The current files: of those whose times are not known, as few as can be together."""
        if self.table.time_column is None:
            return [self.current]
        known = [file for file in self.current if self._landed(file).times]
        unknown = [file for file in self.current if not self._landed(file).times]
        each = range(min(TIMED_GROUPS, len(unknown)))
        return [group for group in (known, *(unknown[n::TIMED_GROUPS] for n in each)) if group]

    def _implausible(self, profile: LandingProfile) -> dict[str, Any]:
        """How many records of the current files have values out of bounds, and in which columns."""
        from pyspark.sql import functions as F

        faults = {column.name: plausible.implausible(column) for column in self.table.columns}
        any_fault = functools.reduce(operator.or_, faults.values())
        counts = [F.count_if(fault).alias(name) for name, fault in faults.items()]
        if time := self.table.time_column:
            counts += [F.min(time).alias("_first"), F.max(time).alias("_last")]
        groups = self._groups
        records = current(self._cached(profile)).groupBy(GROUP)
        found = records.agg(F.count_if(any_fault).alias("_any"), *counts).collect()
        if time:
            times = {
                file.name: (row["_first"], row["_last"])
                for row in found
                for file in groups[row[GROUP]]
                if self._landed(file).times is None
            }
            self.ledger = self.ledger.with_times(times)
        values = {name: sum(row[name] for row in found) for name in faults}
        return {
            "implausible": sum(row["_any"] for row in found),
            "implausible_values": {name: rows for name, rows in values.items() if rows},
        }

    def _judged(self, groups: list[list[StoredFile]]) -> tuple[int, int, bool, list[str]]:
        """As `_judge`, and the ids of the files that are not UTF-8."""
        from pyspark.errors import PySparkException

        try:
            return *self._judge(groups, []), []
        except PySparkException as error:
            if meant := faults.fault(self.uri, error):
                raise meant from None
            not_utf8 = [
                self._landed(file).id for group in groups for file in group if self._not_utf8(file)
            ]
            if not not_utf8:
                raise
            return *self._judge(groups, not_utf8), not_utf8

    def _judge(self, groups: list[list[StoredFile]], not_utf8: list[str]) -> tuple[int, int, bool]:
        """How many objects and fragments there are, how many fragments, and whether all is tidy."""
        from pyspark.sql import functions as F

        text = self._lines_of(groups, not_utf8)
        tidy = F.count_if(reader.is_tidy(self.table)).alias("tidy")
        [found] = text.agg(F.count(F.lit(1)).alias("lines"), tidy).collect()
        if found.tidy == found.lines:
            return found.lines, 0, True
        return *reader.count(text, self.table), False

    def _not_utf8(self, file: StoredFile) -> bool:
        """Whether a file holds bytes that are not UTF-8, among text that can be read.

        Raises:
            LakehouseError: If nothing of it can be read.
        """
        fault = self._lines.fault_of(file)
        if fault is None or (fault is Fault.NOT_UTF8 and not file.gzipped):
            return fault is Fault.NOT_UTF8
        cause = "damaged or cut short" if fault is Fault.DAMAGED else "not UTF-8 text"
        raise LakehouseError(
            f"{self.folder.tell(file, self.files)} cannot be read: it is {cause}. A gzip file is "
            "read whole or not at all: put another in its place, under the same name."
        )

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
            boolean `_superseded` and the number `_replaced` (see `tables`).
        """
        besides = [SUPERSEDED, REPLACED] if self._once(profile) else []
        kept = [*self.table.column_names, *besides]
        return self._cached(profile).select(*kept)

    def _once(self, profile: LandingProfile) -> list[StoredFile]:
        return [f for f in self.superseded if self._landed(f).id not in profile.unreadable]

    def _cached(self, profile: LandingProfile) -> DataFrame:
        """As `records`, with the group of the file that each is of in `_group`."""
        if self._records is None:
            if self._once(profile):
                records = self._with_said_before(profile)
            else:
                records = self._read(self._groups, profile.tidy, profile.not_utf8)
            self._records = self.spark.cached(records)
        return self._records

    def _with_said_before(self, profile: LandingProfile) -> DataFrame:
        """The records of current and of superseded files, each with the file that it is of."""
        from pyspark.sql import functions as F

        once = self._once(profile)
        sources = sorted({self._landed(file).source for file in once})
        # As many as one plan can tell apart. Of two that share a number more records may count.
        numbers = {source: n % GROUPS for n, source in enumerate(sources)}
        frames = []
        for files, superseded, tidy in (
            (self.current, False, profile.tidy),
            (once, True, profile.superseded_tidy),
        ):
            groups = defaultdict[int | None, list[StoredFile]](list)
            for file in files:
                groups[numbers.get(self._landed(file).source)].append(file)
            for number, group in groups.items():
                said = self._read([group], tidy, profile.not_utf8)
                of = {SUPERSEDED: F.lit(superseded), REPLACED: F.lit(number).cast("int")}
                frames.append(said.withColumns(of))
        return united(frames)

    def _read(self, groups: list[list[StoredFile]], tidy: bool, not_utf8: list[str]) -> DataFrame:
        if not tidy or self._lines.are_fetched(groups):
            pieces = reader.parse(reader.fragments(self._lines_of(groups, not_utf8)), self.table)
            records = pieces.where(f"{reader.REASON} is null")
            return records.select(*self.table.column_names, GROUP)
        session: SparkSession = self.spark.spark_session
        return grouped(
            [
                united([reader.read_tidy(session, uris, self.table) for uris in by_kind(group)])
                for group in groups
            ]
        )

    def _lines_of(self, groups: list[list[StoredFile]], not_utf8: list[str]) -> DataFrame:
        ids = set(not_utf8)
        names = {file.name for file in self.ledger.files if file.id in ids}
        return self._lines.of(groups, names)

    def malformed(self, profile: LandingProfile) -> Iterator[RecordBatch]:
        """The fragments of the current files, each with its place, as the quarantine's columns.

        Args:
            profile: What is known of these very files.
        """
        if not profile.malformed:
            return iter(())
        not_utf8 = set(profile.not_utf8)
        damaged = [f for f in self.current if self._landed(f).id in not_utf8]
        others = [f for f in self.current if self._landed(f).id not in not_utf8]
        suspects = [*damaged, *(self._with_malformed(others) if others else ())]
        files = {self._landed(file).id: file for file in suspects}
        return quarantine.located(self.folder, files, self.table, self.spark.spark_session)

    def _with_malformed(self, files: list[StoredFile]) -> list[StoredFile]:
        """Those of files that hold fragments; more where most do, since all are quick to read."""
        groups = [files[start::GROUPS] for start in range(min(GROUPS, len(files)))]
        pieces = reader.parse(reader.fragments(self._lines_of(groups, [])), self.table)
        found = pieces.where(f"{reader.REASON} is not null").select(GROUP).distinct().collect()
        holding = [groups[row[GROUP]] for row in found]
        narrows = len(files) > GROUPS and len(holding) < GROUPS / 2
        narrowed = map(self._with_malformed, holding) if narrows else holding
        return [file for group in narrowed for file in group]


def current(frame: DataFrame) -> DataFrame:
    """Of a landing table's records those of current files."""
    return frame.where(f"not {SUPERSEDED}") if SUPERSEDED in frame.columns else frame
