"""One erasure of a lakehouse: of tables, quarantine and landing, with the proof."""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Iterator, Set
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from stedi_assets import storage
from stedi_assets.erasure import rewrite
from stedi_assets.erasure.people import People, Remainder, remainder_of
from stedi_assets.erasure.record import Record
from stedi_assets.erasure.stored import RECORDS_IN_MEMORY, Stored, people_of
from stedi_assets.erasure.whom import Whom, people_who_landed
from stedi_assets.errors import Code, LakehouseError
from stedi_assets.lakehouse import lookups, maintenance
from stedi_assets.lakehouse.lakehouse import Lakehouse
from stedi_assets.pseudonyms import Pseudonyms
from stedi_assets.storage.faults import storage_faults
from stedi_assets.tables import (
    DELTA_TABLES,
    LANDING_TABLES,
    QUARANTINE_TABLES,
    Table,
    consent,
    quarantine_of,
    records_of,
)
from stedi_assets.tables.machine_learning import TRAINING_SET
from stedi_assets.tables.schema import Device, Person
from stedi_assets.training import published

if TYPE_CHECKING:
    import pyarrow as pa

JOB = "erase_withdrawn"
AGAIN = f"Materialise the lakehouse, then run {JOB} again."


class Erasure:
    """One erasure of a lakehouse.

    Args:
        lakehouse: Where the tables are.
        pseudonyms: Makes the pseudonyms.
        asked: Pseudonyms of people to erase from landing too.
        record: Collects what is done.

    Raises:
        LakehouseError: If one of the people asked for is found nowhere.
    """

    def __init__(
        self,
        lakehouse: Lakehouse,
        pseudonyms: Pseudonyms,
        asked: frozenset[str],
        record: Record,
    ) -> None:
        self.lakehouse = lakehouse
        self.pseudonyms = pseudonyms
        self.record = record
        self.record.people = sorted(asked)
        self.stored = Stored(lakehouse)
        self.whom = Whom(lakehouse, pseudonyms, asked, record.began)
        others = (people_who_landed(lakehouse), self.stored.addresses())
        self.whom.require_known(others, self.stored.quarantined())

    def stale(self) -> str | None:
        """One sentence that names a table with rows of people who left; None if there is none."""
        for table in self.stored.tables(DELTA_TABLES):
            rows = self.lakehouse.read(table)
            count = max(self.whom.rows_left(table, each, rows).count() for each in table.subjects)
            if count:
                return (
                    f"{table.name} still has {count:,} rows of people who left."
                    f"{self._clock_of(table)}"
                )
        return None

    def erase_landing(self, table: Table) -> None:
        """Erases the people asked for from a table's landing files, superseded ones too."""
        folder = storage.open_folder(self.lakehouse.uri_of(table))
        with storage_faults(folder.uri):
            erased = rewrite.erase(folder, self.whom.asked_people(), table)
        self.record.landing_lines[table.name] = erased.lines
        self.record.files_renamed[table.name] = erased.renamed
        self.record.ambiguous[table.name] = erased.ambiguous
        self.record.read[table.name] = erased.read
        self._delete_other_copies(table)
        self._erase_records(table)

    def _erase_records(self, landed: Table) -> None:
        """Has the records of a landing table follow it, and deletes what they were before.

        Raises:
            LakehouseError: If someone asked for is in what stays, or another run has written it.
        """
        table = records_of(landed)
        uri = self.lakehouse.uri_of(table)
        self.lakehouse.look_again(landed)
        if storage.open_folder(self.lakehouse.uri_of(landed)).json_lines():
            self.lakehouse.take_in(landed)
        elif self.lakehouse.state(table):
            self.lakehouse.write(table, None)
        maintenance.delete_old_versions(uri)
        self._delete_other_copies(table)
        if why := maintenance.why_old_files_remain(uri):
            raise LakehouseError(f"{table.name} {why}, then run {JOB} again.", Code.PEOPLE_LEFT)
        files = self.stored.data_files(uri)
        for person in people_of(table) if files and self.whom.addresses else []:
            who = consent.person(person.column).isin(*self.whom.addresses)
            if count := self.stored.read(person, files).where(who).count():
                raise LakehouseError(
                    f"{table.name} has {count:,} rows of people to erase. {AGAIN}", Code.PEOPLE_LEFT
                )

    def record_people(self) -> bool:
        """Records who has left and is in old files; returns whether there are old files."""
        found = set(self.record.people)
        any_files = False
        for table in self.stored.tables(DELTA_TABLES):
            files = maintenance.superseded_files(self.lakehouse.uri_of(table))
            any_files |= bool(files)
            for person in people_of(table) if files else []:
                left = self.whom.rows_left(table, person, self.stored.read(person, files))
                who = left.dropna().distinct()
                found |= {row[0] for row in self.pseudonyms.of(who, person.column).collect()}
        self.record.people = sorted(found)
        return any_files

    def erase_quarantine(self, landed: Table) -> None:
        """Empties the malformed records, or the parts of them, of people who have left.

        Args:
            landed: The landing table whose quarantine it is.

        Raises:
            LakehouseError: If the quarantine table was made by another release.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        table = quarantine_of(landed)
        state = self.lakehouse.state(table)
        assert state is not None
        if set(state.columns) != set(table.column_names):
            raise LakehouseError(
                f"{table.name} was made by another release. {AGAIN}", Code.OTHER_RELEASE
            )
        schema = table.arrow_schema
        count = ambiguous = 0
        found = set(self.record.people)
        with tempfile.TemporaryDirectory() as scratch:
            # Through a file, since delta-rs cannot read a table while it writes it.
            path = Path(scratch, "erased.parquet")
            with pq.ParquetWriter(path, schema) as erased:
                for batch, left, people in self._judged(landed):
                    changed = [line for each, line in _beside(left, batch) if each.line != line]
                    count += len(changed)
                    found |= {each for line in changed for each in people.pseudonyms_in(line)}
                    ambiguous += sum(each.ambiguous for each in left)
                    columns = {name: batch[name] for name in table.column_names}
                    columns["line"] = pa.array([each.line for each in left], pa.string())
                    erased.write_batch(pa.RecordBatch.from_pydict(columns, schema))
            if count:
                with pq.ParquetFile(path) as rows:
                    batches = functools.partial(rows.iter_batches, RECORDS_IN_MEMORY)
                    self.lakehouse.write(table, batches, state.commit)
        self.record.people = sorted(found)
        emptied = self.record.quarantined
        emptied[table.name] = emptied.get(table.name, 0) + count
        self.record.ambiguous[table.name] = ambiguous

    def delete_history(self, table: Table) -> None:
        """Deletes a table's old versions, and proves that no one who left is in what stays.

        Raises:
            LakehouseError: If someone still is, or another run has written the table meanwhile.
        """
        uri = self.lakehouse.uri_of(table)
        spared = published.spared(uri) if table == TRAINING_SET else frozenset[str]()
        self.record.tables[table.name] = asdict(maintenance.delete_old_versions(uri, spared))
        self._delete_other_copies(table)
        if why := maintenance.why_old_files_remain(uri, spared):
            raise LakehouseError(f"{table.name} {why}, then run {JOB} again.", Code.PEOPLE_LEFT)
        if count := self._count_left(table, uri, spared):
            raise LakehouseError(
                f"{table.name} has {count:,} rows of people who left. {AGAIN}", Code.PEOPLE_LEFT
            )
        state = self.lakehouse.state(table)
        self.record.read[table.name] = state.rows if state else 0

    def erase_published(self) -> None:
        """Erases the published versions of the training set in which someone who left is.

        Raises:
            LakehouseError: If someone still is.
        """
        uri, people = self.lakehouse.uri_of(TRAINING_SET), self.whom.staying.select("email")
        found = published.to_erase(self.lakehouse, people)
        if not found:
            return
        for reason, versions in found.items():
            published.erase(uri, versions, self.record.began, reason)
            self.record.published += [each.version for each in versions]
        if published.to_erase(self.lakehouse, people):
            raise LakehouseError(
                f"Published versions of training_set have rows of people who left. {AGAIN}",
                Code.PEOPLE_LEFT,
            )

    def write_record(self) -> None:
        """Writes the record as it is now, over what was written before."""
        self.record.write(self.lakehouse.uri)

    def _count_left(self, table: Table, uri: str, spared: Set[str]) -> int:
        """How many rows of people who left are in any stored file of a table but those spared."""
        if table in QUARANTINE_TABLES:
            landed = LANDING_TABLES[QUARANTINE_TABLES.index(table)]
            judged = self._judged(landed)
            return sum(
                each.line != line
                for batch, left, _ in judged
                for each, line in _beside(left, batch)
            )
        files = [f for f in self.stored.data_files(uri) if f.rpartition("/")[2] not in spared]
        if not files:
            return 0
        named = [each for each in table.subjects if isinstance(each, Person | Device)]
        counts = [
            self.whom.rows_left(table, each, self.stored.read(each, files)).count()
            for each in named
        ]
        return max(counts)

    def _judged(self, landed: Table) -> Iterator[tuple[pa.RecordBatch, list[Remainder], People]]:
        """The quarantine of a landing table in batches, each record's remainder, and the people.

        The people are looked up for each batch, so that memory stays bounded.
        """
        for batch in self.stored.batches(quarantine_of(landed)):
            lines = [line or "" for line in batch["line"].to_pylist()]
            people = self.whom.people_in(lines)
            yield batch, [remainder_of(line, people, landed) for line in lines], people

    def _clock_of(self, table: Table) -> str:
        """A sentence if a table was made by a clock ahead of this one; else empty."""
        state = self.lakehouse.state(table)
        made = state.commit.as_of if state else None
        if made is None or made <= self.record.began:
            return ""
        return (
            f" It was made by a clock that showed {_utc(made)}, later than now: that one was fast, "
            "or this one is slow."
        )

    def _delete_other_copies(self, table: Table) -> None:
        """Deletes the counts of a table, and what the store keeps of replaced files."""
        lookups.delete_counts(self.lakehouse, table)
        with storage_faults(uri := self.lakehouse.uri_of(table)):
            if not storage.open_folder(uri).delete_noncurrent_versions():
                self.record.store_versions_kept.append(table.name)


def _beside(left: list[Remainder], batch: pa.RecordBatch) -> Iterator[tuple[Remainder, str]]:
    return zip(left, (line or "" for line in batch["line"].to_pylist()), strict=True)


def _utc(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")
