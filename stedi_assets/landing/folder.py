"""A source's landing folder as one run sees it, read as a declared table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stedi_assets.engine.spark import SparkResource
from stedi_assets.errors import Code, LakehouseError
from stedi_assets.landing import conforming, json_text, lines, quarantine, reader
from stedi_assets.landing.conforming import is_conforming, read_conforming
from stedi_assets.landing.files import LandingFiles
from stedi_assets.landing.lines import Fault, Groups, Lines, by_kind, grouped, united
from stedi_assets.storage import faults
from stedi_assets.storage.folder import StoredFile
from stedi_assets.tables import Table, code
from stedi_assets.tables.columns import BATCH, SUPERSEDED

if TYPE_CHECKING:
    from pyarrow import RecordBatch
    from pyspark.sql import DataFrame, SparkSession

# How many groups of files one query distinguishes.
GROUPS = 64


def reader_version(table: Table) -> str:
    """A digest of the code and the declaration by which a landing table is read."""
    return code.version(
        __name__, json_text, lines, conforming, reader, besides=[repr(table.columns)]
    )


@dataclass(frozen=True)
class Judged:
    """What is in a group of files.

    Attributes:
        objects: Records and malformed records.
        malformed: The malformed records.
        conforming: Whether every line is one record exactly as declared.
        not_utf8: Ids of the files that hold bytes which are not UTF-8.
        unreadable: Ids of the superseded files that are damaged as a whole, and so not read.
    """

    objects: int = 0
    malformed: int = 0
    conforming: bool = True
    not_utf8: frozenset[str] = frozenset()
    unreadable: frozenset[str] = frozenset()


@dataclass
class LandingFolder(LandingFiles):
    """The files of one source, and the records in them; `spark` has the run's session."""

    spark: SparkResource

    def __post_init__(self) -> None:
        self._lines = Lines(self.folder, self.spark)

    def judged(self, groups: Groups) -> dict[int, Judged]:
        """What is in groups of files, by their numbers, without parsing what conforms.

        Raises:
            LakehouseError: If a current file is damaged as a whole, or files cannot be read.
        """
        from pyspark.errors import PySparkException

        try:
            return self._judged(groups, set())
        except PySparkException as error:
            meant = faults.fault(self.uri, error)
            # JVM Spark calls damaged whatever file it cannot read: the files themselves say why.
            if meant and meant.code is not Code.DATA_FILE_DAMAGED:
                raise meant from None
            checked = ((f, self._lines.fault_of(f)) for group in groups.values() for f in group)
            faulty = {file: fault for file, fault in checked if fault}
            if not faulty:
                raise
        unreadable = [f for f, fault in faulty.items() if fault is Fault.DAMAGED or f.gzipped]
        current = [file for file in unreadable if self.landed(file).current]
        if current:
            raise LakehouseError(
                f"{self.folder.describe(current[0], self.files)} cannot be read: it is "
                f"{faulty[current[0]].value}. A gzip file is read whole or not at all: put "
                "another in its place, under the same name.",
                Code.LANDING_FILE,
            )
        not_utf8 = {file for file in faulty if file not in unreadable}
        left = {n: [f for f in group if f not in unreadable] for n, group in groups.items()}
        found = self._judged(left, not_utf8)
        return {
            n: Judged(
                found[n].objects,
                found[n].malformed,
                found[n].conforming,
                not_utf8=self.ids(not_utf8.intersection(group)),
                unreadable=self.ids(file for file in unreadable if file in group),
            )
            for n, group in groups.items()
        }

    def _judged(self, groups: Groups, not_utf8: set[StoredFile]) -> dict[int, Judged]:
        from pyspark.sql import functions as F

        found = {n: Judged() for n in groups}
        filled = {n: group for n, group in groups.items() if group}
        if not filled:
            return found
        text = self._lines.of(filled, not_utf8).groupBy(BATCH)
        conform = F.count_if(is_conforming(self.table)).alias("conform")
        counted = text.agg(F.count(F.lit(1)).alias("lines"), conform).collect()
        found |= {row[BATCH]: Judged(row.lines) for row in counted if row.lines == row.conform}
        careful = {r[BATCH]: filled[r[BATCH]] for r in counted if r.lines != r.conform}
        if careful:
            for n, objects, malformed in reader.count(
                self._lines.of(careful, not_utf8), self.table
            ):
                found[n] = Judged(objects, malformed, conforming=False)
        return found

    def records(self, groups: Groups, judged: Mapping[int, Judged]) -> DataFrame:
        """The well-formed records of groups of files, with the number of each one's group.

        Args:
            groups: The files.
            judged: What is in them.

        Returns:
            The table's columns, and `_batch`.
        """
        left = {
            n: [file for file in group if self.landed(file).id not in judged[n].unreadable]
            for n, group in groups.items()
        }
        left = {n: group for n, group in left.items() if group}
        fast = {
            n: group
            for n, group in left.items()
            if judged[n].conforming and not self._lines.are_cached(n, group)
        }
        frames = []
        if fast:
            frames.append(grouped({n: self._read_conforming(group) for n, group in fast.items()}))
        if careful := {n: group for n, group in left.items() if n not in fast}:
            ids = {id for each in judged.values() for id in each.not_utf8}
            not_utf8 = {f for group in careful.values() for f in group if self.landed(f).id in ids}
            texts = reader.parse(reader.split(self._lines.of(careful, not_utf8)), self.table)
            frames.append(texts.where(f"{reader.REASON} is null"))
        if not frames:
            session: SparkSession = self.spark.spark_session
            frames = [session.createDataFrame([], f"{self.table.ddl}, `{BATCH}` bigint")]
        columns = [*self.table.column_names, BATCH]
        return united([frame.select(*columns) for frame in frames])

    def _read_conforming(self, files: Sequence[StoredFile]) -> DataFrame:
        session: SparkSession = self.spark.spark_session
        return united([read_conforming(session, uris, self.table) for uris in by_kind(files)])

    def malformed(self, files: Sequence[StoredFile], not_utf8: set[str]) -> Iterator[RecordBatch]:
        """The malformed records of files with their places, as quarantine's columns.

        Args:
            files: The files, most of which may have none.
            not_utf8: Ids of those that hold bytes which are not UTF-8.
        """
        damaged = [file for file in files if self.landed(file).id in not_utf8]
        others = [file for file in files if self.landed(file).id not in not_utf8]
        suspects = [*damaged, *(self._with_malformed(others) if others else ())]
        by_id = {self.landed(file).id: file for file in suspects}
        return quarantine.located(self.folder, by_id, self.table, self.spark.spark_session)

    def _with_malformed(self, files: Sequence[StoredFile]) -> list[StoredFile]:
        """The files with malformed records; others too where most have some: to read is quick."""
        groups = {n: files[n::GROUPS] for n in range(min(GROUPS, len(files)))}
        texts = reader.parse(reader.split(self._lines.of(groups, set())), self.table)
        found = texts.where(f"{reader.REASON} is not null").select(BATCH).distinct().collect()
        holding = [groups[row[BATCH]] for row in found]
        narrows = len(files) > GROUPS and len(holding) < GROUPS / 2
        narrowed = map(self._with_malformed, holding) if narrows else holding
        return [file for group in narrowed for file in group]


def current(frame: DataFrame) -> DataFrame:
    """Of a landing table's records those of current files."""
    return frame.where(f"not {SUPERSEDED}") if SUPERSEDED in frame.columns else frame
