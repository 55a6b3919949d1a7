"""The records of a source: what is in its landed files, of which each is read once.

They are a Delta table beside landing, which holds what landing does. Which files were read, and
what was found in them, is a list beside the table (see `taken`), complete in itself: neither the
deletion of old versions nor that of old log files takes anything of it. Where it is missing all is
read anew.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stedi_assets.errors import Code
from stedi_assets.lakehouse import batches, changes, delta, malformed, writer
from stedi_assets.lakehouse import taken as lists
from stedi_assets.lakehouse.commit import Commit
from stedi_assets.lakehouse.found import found_in
from stedi_assets.lakehouse.taken import Batch, Found, Taken
from stedi_assets.landing.folder import Judged, LandingFolder, reader_version
from stedi_assets.landing.lines import united
from stedi_assets.landing.profile import LandingProfile
from stedi_assets.storage.faults import table_fault
from stedi_assets.storage.folder import StoredFile
from stedi_assets.tables import Table, records_of
from stedi_assets.tables.columns import BATCH, REPLACED, SUPERSEDED

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


@dataclass
class Records:
    """The records of one source, as one run sees them.

    Attributes:
        folder: The files.
        uri: Where the records are.
        quarantine_uri: Where the malformed ones are.
        files_read: How many files have been read here.
    """

    folder: LandingFolder
    uri: str
    quarantine_uri: str
    files_read: int = 0

    @property
    def table(self) -> Table:
        """The landing table that they are the records of."""
        return self.folder.table

    @functools.cached_property
    def taken(self) -> Taken:
        """What was read, after everything that has landed was.

        Raises:
            LakehouseError: If files are damaged, or cannot be read.
        """
        return self.take_in()

    @functools.cached_property
    def profile(self) -> LandingProfile:
        """What there is in the current files."""
        return self._profile(self.taken)

    def known_profile(self) -> LandingProfile | None:
        """What there is in the current files, if all have been read; reads none."""
        if "taken" in vars(self):
            return self.profile
        taken = self._saved()
        if taken is None or self._is_left(taken) or not all(b.found for b in taken.batches):
            return None
        return self._profile(taken)

    def take_in(self, *, anew: bool = False, run: str | None = None) -> Taken:
        """Reads what has landed and was not read yet, and drops what is no longer in landing.

        Args:
            anew: Whether to read everything, whatever is known of it.
            run: The Dagster run that does.

        Raises:
            LakehouseError: If files are damaged, or cannot be read.
        """
        self.folder.save_ledger()
        taken = None if anew else self._saved()
        if taken is not None:  # by a run that was killed
            taken = self._finished(taken, run)
        while taken is None or self._is_left(taken):
            taken = self._finished(self._read_portion(taken, run), run)
        self.taken = taken
        vars(self).pop("profile", None)
        return taken

    def frame(self) -> DataFrame:
        """The records.

        Returns:
            The table's columns; besides, where superseded files count and there are any, the
            boolean `_superseded` and the number `_replaced` (see `tables`).
        """
        taken = self.taken
        stored = self._session.read.format("delta").load(self.uri)
        return self._told_apart(stored, {b.number: list(b.files) for b in taken.batches})

    def read_anew(self) -> DataFrame:
        """The records, as `frame` has them, read from the files alone and kept nowhere."""
        frames: list[DataFrame] = []
        files = dict[int, list[str]]()
        unread = self.folder.counting
        while unread:
            groups = batches.grouped(self.folder, unread, len(files) + 1)
            frames.append(self.folder.records(groups, self.folder.judged(groups)))
            files |= {n: sorted(self.folder.ids(group)) for n, group in groups.items()}
            read = {file for group in groups.values() for file in group}
            unread = [file for file in unread if file not in read]
        return self._told_apart(united(frames), files)

    def _told_apart(self, records: DataFrame, files: Mapping[int, Sequence[str]]) -> DataFrame:
        """Records of batches, each with its replaced file, if there are any."""
        from pyspark.sql import functions as F

        versions = self.folder.versions
        if not versions:
            return records.select(*self.table.column_names)
        numbers = {source: n for n, source in enumerate(sorted(set(versions.values())))}
        superseded = self.folder.ids(self.folder.superseded)
        rows = [
            (number, id in superseded, numbers[versions[id]])
            for number, ids in files.items()
            for id in ids
            if id in versions
        ]
        of = self._session.createDataFrame(
            rows, f"`{BATCH}` bigint, `{SUPERSEDED}` boolean, `{REPLACED}` int"
        )
        # The embedded engine holds the left side.
        joined = of.join(records, BATCH, "right")
        return joined.select(
            *self.table.column_names,
            F.coalesce(SUPERSEDED, F.lit(False)).alias(SUPERSEDED),
            REPLACED,
        )

    @property
    def _session(self) -> SparkSession:
        session: SparkSession = self.folder.spark.spark_session
        return session

    def _profile(self, taken: Taken) -> LandingProfile:
        current = self.folder.ids(self.folder.current)
        read = [batch for batch in taken.batches if current.issuperset(batch.files)]
        found = [batch.found for batch in read if batch.found]
        values = Counter[str]()
        for each in found:
            values.update(each.implausible_values)
        return LandingProfile(
            fingerprint=self.folder.fingerprint,
            objects=sum(batch.objects for batch in read),
            malformed=sum(batch.malformed for batch in read),
            records=sum(each.records for each in found),
            conforming=all(batch.conforming for batch in read),
            implausible=sum(each.implausible for each in found),
            implausible_values={
                column.name: values[column.name]
                for column in self.table.columns
                if values[column.name]
            },
        )

    def _is_left(self, taken: Taken) -> bool:
        """Whether there is anything to read, or to drop."""
        broken, unread = batches.stale(self.folder, taken)
        return bool(broken or unread)

    def _read_portion(self, taken: Taken | None, run: str | None) -> Taken:
        """Reads as many batches as one query can tell apart, in place of broken ones.

        What was read is listed before it is committed: a list without its commit is of no use.
        """
        broken, unread = batches.stale(self.folder, taken) if taken else ([], self.folder.counting)
        before = taken.batches if taken else ()
        groups = batches.grouped(
            self.folder, unread, 1 + max((b.number for b in before), default=0)
        )
        judged = self.folder.judged(groups)
        self.files_read += sum(map(len, groups.values()))
        read = [self._batch(number, groups[number], judged[number]) for number in groups]
        gone = {batch.number for batch in broken}
        state = delta.state(self.uri)
        version = state.version + 1 if state else 0
        id = changes.new_id()
        commit = Commit(run=run).changed(id, version)
        listed = Taken(
            id=id,
            reader=reader_version(self.table),
            batches=(*(batch for batch in before if batch.number not in gone), *read),
            quarantined=taken.quarantined if taken else None,
            changes=taken.changes if taken else (),
        )
        ranges = None
        if taken and self.table.time_column:
            ranges = changes.covering(
                batch.found.times for batch in broken if batch.found and batch.found.times
            )
        # How the times of what is read change them is found after the commit.
        change = commit.changes[0].model_copy(update={"ranges": ranges})
        listed = listed.model_copy(update={"changes": changes.after(listed.changes, change)})
        lists.save(self.uri, listed)
        rows = self.folder.records(groups, judged)
        table = records_of(self.table)
        if taken is None or state is None:
            writer.overwrite(self.uri, table, rows, commit, version - 1)
        else:
            numbers = sorted(gone | set(groups))
            where = f"`{BATCH}` in ({', '.join(map(str, numbers))})" if gone else None
            writer.update(self.uri, table, rows, commit, version - 1, where)
        return listed

    def _batch(self, number: int, files: Sequence[StoredFile], judged: Judged) -> Batch:
        versions = {each.id: each.version for each in map(self.folder.landed, files)}
        return Batch(
            number=number,
            files=versions,
            objects=judged.objects,
            malformed=judged.malformed,
            conforming=judged.conforming,
            not_utf8=judged.not_utf8,
            unreadable=judged.unreadable,
            superseded=self.folder.ids(self.folder.superseded) & versions.keys(),
        )

    def _finished(self, taken: Taken, run: str | None) -> Taken:
        """Does what follows the commit: quarantine, and a look at the records that were read.

        Raises:
            LakehouseError: If another writer came between (`WRITE_CONFLICT`).
        """
        after = malformed.kept(self.quarantine_uri, self.folder, taken, run)
        unseen = [batch for batch in after.batches if batch.found is None]
        if unseen:
            stored = self._session.read.format("delta").load(self.uri)
            numbers = [batch.number for batch in unseen]
            after = self._with_found(after, found_in(self.table, stored, numbers))
            state = delta.state(self.uri)
            if state is None or state.foreign or state.commit.id != taken.id:
                raise table_fault(self.uri, Code.WRITE_CONFLICT)  # theirs were counted, or both
        if after != taken:
            lists.save(self.uri, after)
            lists.remove_others(self.uri, after)
        return after

    def _with_found(self, taken: Taken, found: Mapping[int, Found]) -> Taken:
        looked_at = tuple(
            batch.model_copy(update={"found": found.get(batch.number, batch.found)})
            for batch in taken.batches
        )
        last = taken.changes[-1]
        if last.ranges is not None:
            times = [each.times for each in found.values() if each.times]
            ranges = changes.covering([*last.ranges, *times])
            last = last.model_copy(update={"ranges": ranges})
        return taken.model_copy(
            update={"batches": looked_at, "changes": (*taken.changes[:-1], last)}
        )

    def _saved(self) -> Taken | None:
        """The list of what was read, if the records are those that came of it."""
        state = delta.state(self.uri)
        if state is None or state.foreign or state.commit.id is None:
            return None
        found = lists.load(self.uri, state.commit.id)
        return found if found and found.reader == reader_version(self.table) else None
