"""A source's landing folder as one run sees it, read as a declared table."""

from __future__ import annotations

import functools
import operator
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from stedi_assets.engine.spark import SparkResource
from stedi_assets.errors import Code, LakehouseError
from stedi_assets.landing import conforming, json_text, lines, quarantine, reader
from stedi_assets.landing.conforming import is_conforming, read_conforming
from stedi_assets.landing.files import LandingFiles
from stedi_assets.landing.lines import GROUP, Fault, Lines, by_kind, grouped, united
from stedi_assets.landing.profile import LandingProfile
from stedi_assets.storage import faults
from stedi_assets.storage.folder import StoredFile
from stedi_assets.tables import Table, code, plausible
from stedi_assets.tables.columns import REPLACED, SUPERSEDED

if TYPE_CHECKING:
    from pyarrow import RecordBatch
    from pyspark.sql import DataFrame, SparkSession


# How many groups of files one query distinguishes: to find malformed lines, and to find the times
# in files, which every first read does.
GROUPS, TIMED_GROUPS = 64, 16


def reader_version(table: Table) -> str:
    """A digest of the code and the declaration by which a landing table is read."""
    return code.version(
        __name__, json_text, lines, conforming, reader, besides=[repr(table.columns)]
    )


class Judged(NamedTuple):
    """What is in some files: objects, malformed ones, whether every line conforms, faulty ids."""

    objects: int
    malformed: int
    conforming: bool
    not_utf8: list[str]
    unreadable: list[str]


@dataclass
class LandingFolder(LandingFiles):
    """The files of one source, and the records in them; `spark` has the run's session."""

    spark: SparkResource
    _records: DataFrame | None = field(default=None, init=False)

    @functools.cached_property
    def _lines(self) -> Lines:
        return Lines(self.folder, self.spark)

    @functools.cached_property
    def profile(self) -> LandingProfile:
        """What one pass over everything finds; it also adds the times in files to the ledger.

        Raises:
            LakehouseError: If a current file is damaged as a whole.
        """
        objects, malformed, all_conform, not_utf8, _ = self._judged(self._groups)
        before = self._judged([self.superseded] if self.superseded else [], skip_unreadable=True)
        found = LandingProfile(
            fingerprint=self.fingerprint,
            reader=reader_version(self.table),
            objects=objects,
            malformed=malformed,
            conforming=all_conform,
            superseded_conforming=before.conforming,
            not_utf8=[*not_utf8, *before.not_utf8],
            unreadable=before.unreadable,
            implausible=0,
            implausible_values={},
        )
        return found.model_copy(update=self._implausible(found))

    @functools.cached_property
    def _groups(self) -> list[list[StoredFile]]:
        """The current files: those whose times are not known in as many groups as possible."""
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

    def _judged(self, groups: list[list[StoredFile]], *, skip_unreadable: bool = False) -> Judged:
        """What is in files; those that are damaged as a whole can be skipped.

        Raises:
            LakehouseError: If a file cannot be read and is not to be skipped.
        """
        from pyspark.errors import PySparkException

        try:
            return Judged(*self._judge(groups, []), [], [])
        except PySparkException as error:
            meant = faults.fault(self.uri, error)
            # JVM Spark calls damaged whatever file it cannot read: the files themselves say why.
            if meant and meant.code is not Code.DATA_FILE_DAMAGED:
                raise meant from None
            checked = ((file, self._lines.fault_of(file)) for group in groups for file in group)
            faulty = {file: fault for file, fault in checked if fault}
            if not faulty:
                raise
        unreadable = [f for f, fault in faulty.items() if fault is Fault.DAMAGED or f.gzipped]
        if unreadable and not skip_unreadable:
            raise LakehouseError(
                f"{self.folder.describe(unreadable[0], self.files)} cannot be read: it is "
                f"{faulty[unreadable[0]].value}. A gzip file is read whole or not at all: put "
                "another in its place, under the same name.",
                Code.LANDING_FILE,
            )
        left = [[file for file in group if file not in unreadable] for group in groups]
        not_utf8 = self._ids(file for file in faulty if file not in unreadable)
        return Judged(*self._judge(left, not_utf8), not_utf8, self._ids(unreadable))

    def _ids(self, files: Iterable[StoredFile]) -> list[str]:
        return [self._landed(file).id for file in files]

    def _judge(self, groups: list[list[StoredFile]], not_utf8: list[str]) -> tuple[int, int, bool]:
        """How many objects there are, how many are malformed, and whether every line conforms."""
        from pyspark.sql import functions as F

        if not any(groups):
            return 0, 0, True
        text = self._lines_of([group for group in groups if group], not_utf8)
        conform = F.count_if(is_conforming(self.table)).alias("conform")
        [found] = text.agg(F.count(F.lit(1)).alias("lines"), conform).collect()
        if found.conform == found.lines:
            return found.lines, 0, True
        return *reader.count(text, self.table), False

    def knows(self, profile: LandingProfile) -> bool:
        """Whether a profile is of these very files, as this code reads them."""
        now = (self.fingerprint, reader_version(self.table))
        ids = {file.id for file in self.ledger.files}
        return now == (profile.fingerprint, profile.reader) and ids.issuperset(profile.not_utf8)

    def records(self, profile: LandingProfile) -> DataFrame:
        """The well-formed records, cached for the run, by what is known of these very files.

        Returns:
            The table's columns; besides, where superseded files count and there are any, the
            boolean `_superseded` and the number `_replaced` (see `tables`).
        """
        besides = [SUPERSEDED, REPLACED] if self._readable_superseded(profile) else []
        return self._cached(profile).select(*self.table.column_names, *besides)

    def _readable_superseded(self, profile: LandingProfile) -> list[StoredFile]:
        return [f for f in self.superseded if self._landed(f).id not in profile.unreadable]

    def _cached(self, profile: LandingProfile) -> DataFrame:
        """As `records`, with the group of each record's file in `_group`."""
        if self._records is None:
            if self._readable_superseded(profile):
                records = self._with_superseded_records(profile)
            else:
                records = self._read(self._groups, profile.conforming, profile.not_utf8)
            self._records = self.spark.cached(records)
        return self._records

    def _with_superseded_records(self, profile: LandingProfile) -> DataFrame:
        """The records of current and of superseded files, each with its replaced file's number."""
        from pyspark.sql import functions as F

        superseded = self._readable_superseded(profile)
        sources = sorted({self._landed(file).source for file in superseded})
        # A plan distinguishes only so many files; where two share a number, more records may count.
        numbers = {source: n % GROUPS for n, source in enumerate(sources)}
        frames = []
        for files, once, conform in (
            (self.current, False, profile.conforming),
            (superseded, True, profile.superseded_conforming),
        ):
            groups = defaultdict[int | None, list[StoredFile]](list)
            for file in files:
                groups[numbers.get(self._landed(file).source)].append(file)
            for number, group in groups.items():
                said = self._read([group], conform, profile.not_utf8)
                of = {SUPERSEDED: F.lit(once), REPLACED: F.lit(number).cast("int")}
                frames.append(said.withColumns(of))
        return united(frames)

    def _read(
        self, groups: list[list[StoredFile]], all_conform: bool, not_utf8: list[str]
    ) -> DataFrame:
        if not all_conform or self._lines.are_cached(groups):
            texts = reader.parse(reader.split(self._lines_of(groups, not_utf8)), self.table)
            records = texts.where(f"{reader.REASON} is null")
            return records.select(*self.table.column_names, GROUP)
        session: SparkSession = self.spark.spark_session
        return grouped(
            [
                united([read_conforming(session, uris, self.table) for uris in by_kind(group)])
                for group in groups
            ]
        )

    def _lines_of(self, groups: list[list[StoredFile]], not_utf8: list[str]) -> DataFrame:
        ids = set(not_utf8)
        names = {file.name for file in self.ledger.files if file.id in ids}
        return self._lines.of(groups, names)

    def malformed(self, profile: LandingProfile) -> Iterator[RecordBatch]:
        """The malformed records of the current files with their places, as quarantine's columns."""
        if not profile.malformed:
            return iter(())
        not_utf8 = set(profile.not_utf8)
        damaged = [f for f in self.current if self._landed(f).id in not_utf8]
        others = [f for f in self.current if self._landed(f).id not in not_utf8]
        suspects = [*damaged, *(self._with_malformed(others) if others else ())]
        files = dict(zip(self._ids(suspects), suspects, strict=True))
        return quarantine.located(self.folder, files, self.table, self.spark.spark_session)

    def _with_malformed(self, files: list[StoredFile]) -> list[StoredFile]:
        """The files with malformed records; others too where most have some: to read is quick."""
        groups = [files[start::GROUPS] for start in range(min(GROUPS, len(files)))]
        texts = reader.parse(reader.split(self._lines_of(groups, [])), self.table)
        found = texts.where(f"{reader.REASON} is not null").select(GROUP).distinct().collect()
        holding = [groups[row[GROUP]] for row in found]
        narrows = len(files) > GROUPS and len(holding) < GROUPS / 2
        narrowed = map(self._with_malformed, holding) if narrows else holding
        return [file for group in narrowed for file in group]


def current(frame: DataFrame) -> DataFrame:
    """Of a landing table's records those of current files."""
    return frame.where(f"not {SUPERSEDED}") if SUPERSEDED in frame.columns else frame
