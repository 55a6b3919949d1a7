"""Compares the tables with what their rules make of the landing files themselves."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stedi_assets.errors import Code, LakehouseError
from stedi_assets.lakehouse import delta, digests, making, trust
from stedi_assets.lakehouse.commit import Landed
from stedi_assets.lakehouse.delta import TableState
from stedi_assets.lakehouse.digests import Comparison
from stedi_assets.lakehouse.lakehouse import Lakehouse
from stedi_assets.policy import NO_OPTION
from stedi_assets.pseudonyms import Pseudonyms
from stedi_assets.storage.faults import storage_faults
from stedi_assets.tables import TABLES, Table, Zone, records_of

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


@dataclass(frozen=True)
class Audited:
    """What the audit found of a table.

    Attributes:
        compared: How its rows compare; None where they were not.
        left_out: Why it cannot be compared until a run has made it, as the end of a sentence.
        fault: What is wrong with it.
    """

    compared: Comparison | None = None
    left_out: str | None = None
    fault: LakehouseError | None = None


class Audit:
    """Makes every table of landing anew, in scratch, and compares it with what is stored.

    Nothing is taken from the lakehouse's own tables but what their commits say: the time by which
    consent was judged, and the options.

    Args:
        lakehouse: Where the tables are.
        pseudonyms: Makes the pseudonyms.
        landed: What landing holds now, by table, of each that was read as it is.
    """

    def __init__(
        self, lakehouse: Lakehouse, pseudonyms: Pseudonyms, landed: Mapping[str, Landed]
    ) -> None:
        self.lakehouse = lakehouse
        self.pseudonyms = pseudonyms
        self.landed = landed
        self._landing: dict[str, DataFrame] = {}
        self._made: dict[tuple[str, int], DataFrame] = {}

    def of(self, table: Table) -> Audited:
        """Compares a table; one that differs, or has damaged files, the next run makes anew.

        Raises:
            LakehouseError: If there is a fault that other tables have too, or that may pass.
        """
        try:
            return self._audited(table)
        except LakehouseError as error:
            if error.code.of_all_steps or error.transient:
                raise
            return Audited(fault=error)

    def _audited(self, table: Table) -> Audited:
        if table.zone is Zone.LANDING:
            return self._audited_records(table)
        state = self.lakehouse.state(table)
        if state is None:
            return Audited(left_out="is not in the lakehouse yet")
        as_of = state.commit.as_of
        if as_of is None:
            return Audited(left_out="does not say at what time it was made")
        if new := sorted(_sources(table) - self.landed.keys()):
            return Audited(left_out=f"was made before {', '.join(new)} changed")
        compared, damaged = self._compared(table, state, self._rows(table, as_of))
        if damaged is None and compared.equal:
            return Audited(compared)
        if damaged is None and (why := self._outdated(table, state)):
            return Audited(compared, left_out=why)
        trust.require_rebuild(self.lakehouse.uri_of(table))
        return Audited(compared, fault=damaged if compared.equal else _fault(table, compared))

    def _audited_records(self, landing: Table) -> Audited:
        """Compares the records that are kept of a landing table with those in its files."""
        table = records_of(landing)
        if self.lakehouse.state(table) is None:
            return Audited(left_out="is not in the lakehouse yet")
        if landing.name not in self.landed:
            return Audited(left_out="has files that no run has read yet")
        columns = landing.column_names
        try:
            with storage_faults(self.lakehouse.uri_of(table)):
                stored = self.lakehouse.read(landing).select(*columns)
                expected = self._landed_records(landing).select(*columns)
                compared = digests.compare(landing, expected, stored)
        except LakehouseError as error:
            if error.code is Code.DATA_FILE_DAMAGED:
                trust.require_rebuild(self.lakehouse.uri_of(table))
            raise
        if compared.equal:
            return Audited(compared)
        trust.require_rebuild(self.lakehouse.uri_of(table))
        return Audited(compared, fault=_fault(table, compared))

    def _compared(
        self, table: Table, state: TableState, expected: DataFrame
    ) -> tuple[Comparison, LakehouseError | None]:
        """How what is stored compares, and what else is wrong with its files."""
        from pyspark.errors import PySparkException

        if state.columns != {column.name: column.type for column in table.columns}:
            rows = expected.count()
            return Comparison(rows, 0, missing=rows, extra=state.rows), None
        uri = self.lakehouse.uri_of(table)
        reader = self.lakehouse.spark_session.read
        try:
            with storage_faults(uri):
                return digests.compare(table, expected, reader.format("delta").load(uri)), None
        except LakehouseError as error:
            if error.code is not Code.DATA_FILE_DAMAGED:
                raise
            damaged = error
        # Files of other sizes than the log has may still hold rows, which say more.
        stored = delta.open_table(uri)
        assert stored is not None
        with contextlib.suppress(LakehouseError, PySparkException), storage_faults(uri):
            files = reader.schema(table.ddl).parquet(*stored.file_uris())
            return digests.compare(table, expected, files), damaged
        return Comparison(expected.count(), 0), damaged

    def _outdated(self, table: Table, state: TableState) -> str | None:
        """Why a table that differs may do so; None where it may not."""
        if state.commit.code != making.code_of_rows(table, self.lakehouse):
            return "was made by other code"
        if made_from := state.commit.made_from:
            for name in table.parents:
                new = self.lakehouse.changes(TABLES[name])
                if new and new[-1].id != made_from.get(name):
                    return f"was made before {name} changed"
                parent = self.lakehouse.state(TABLES[name]) if TABLES[name].rule else None
                if parent and self._outdated(TABLES[name], parent):
                    return f"was made of {name}, which is to be made anew"
            return None
        landed = {name: self.landed[name] for name in _sources(table)}
        if changed := sorted(n for n in landed if landed[n] != state.commit.landing.get(n)):
            return f"was made before {', '.join(changed)} changed"
        return None

    def _rows(self, table: Table, as_of: int) -> DataFrame:
        """The rows of a table as its rule makes them, cached."""
        if table.zone is Zone.LANDING:
            return self._landed_records(table)
        if (table.name, as_of) not in self._made:
            state = self.lakehouse.state(table) if table.has_options else None
            options = state.commit.config if state else NO_OPTION
            split = state.commit.split if state else None

            def read(name: str) -> DataFrame:
                return self._rows(TABLES[name], as_of)

            with storage_faults(self.lakehouse.uri_of(table)):
                frame = making.made(table, read, as_of, options, self.pseudonyms, split)
                self._made[table.name, as_of] = self.lakehouse.spark.cached(frame)
        return self._made[table.name, as_of]

    def _landed_records(self, table: Table) -> DataFrame:
        """The well-formed records of landing, judged and parsed anew."""
        if table.name not in self._landing:
            with storage_faults(self.lakehouse.uri_of(table)):
                read = self.lakehouse.records(table).read_anew()
                self._landing[table.name] = self.lakehouse.spark.cached(read)
        return self._landing[table.name]


def _sources(table: Table) -> set[str]:
    """The names of the landing tables that a table is made of, however indirectly."""
    if table.zone is Zone.LANDING:
        return {table.name}
    return {name for parent in table.parents for name in _sources(TABLES[parent])}


def _fault(table: Table, compared: Comparison) -> LakehouseError:
    when = f", at {digests.shown(compared.ranges)}" if compared.ranges else ""
    return LakehouseError(
        f"{table.name} is not what landing makes of it: {compared.missing:,} rows are "
        f"missing and {compared.extra:,} are extra{when}. Something else has written its files or "
        "its log. Materialise it again, which makes it anew.",
        Code.TABLE_DIFFERS,
    )
