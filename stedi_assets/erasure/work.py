"""One erasure of a lakehouse: who, from where, and the proof that no one is left."""

from __future__ import annotations

import functools
import json
import operator
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as F

from stedi_assets import consent
from stedi_assets.erasure import landing
from stedi_assets.errors import LakehouseError
from stedi_assets.lakehouse import address, storage, upkeep
from stedi_assets.lakehouse.faults import storage_faults
from stedi_assets.lakehouse.io_manager import LakehouseIOManager
from stedi_assets.resources.pseudonyms import Pseudonyms
from stedi_assets.tables import (
    ACCELEROMETER_TRUSTED,
    CUSTOMER_LANDING,
    DELTA_TABLES,
    MACHINE_LEARNING_CURATED,
    Table,
)

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

JOB = "erase_withdrawn"
RECORDS = "customer/erasures"
AGAIN = f"Materialise the lakehouse, then run {JOB} again."


@dataclass
class Record:
    """What is kept of an erasure: whom, when and how much, without personal data.

    Attributes:
        run: The run's id.
        began: When it began (epoch milliseconds, UTC).
        finished: When everything was erased and proved to be; None if it never came to that.
        people: Pseudonyms of the people who were found and erased, or were asked for.
        landing_lines: Lines taken out of landing, by table.
        quarantined: Pieces blanked in quarantine, by table.
        tables: Data files and versions that are gone, by table.
        store_versions_kept: Tables of which a versioned bucket keeps what was deleted.
    """

    run: str
    began: int
    finished: int | None = None
    people: list[str] = field(default_factory=list)
    landing_lines: dict[str, int] = field(default_factory=dict)
    quarantined: dict[str, int] = field(default_factory=dict)
    tables: dict[str, dict[str, int]] = field(default_factory=dict)
    store_versions_kept: list[str] = field(default_factory=list)

    @property
    def erased_anything(self) -> bool:
        """Whether there was anything to erase."""
        counts = [*self.landing_lines.values(), *self.quarantined.values()]
        return any(counts) or any(any(each.values()) for each in self.tables.values())


class Erasure:
    """One erasure of a lakehouse.

    Args:
        io_manager: Where the tables are.
        pseudonyms: Makes the pseudonyms.
        requested: Pseudonyms of people to erase from landing too.
        record: Takes down what is done.
    """

    def __init__(
        self,
        io_manager: LakehouseIOManager,
        pseudonyms: Pseudonyms,
        requested: frozenset[str],
        record: Record,
    ) -> None:
        self.io_manager = io_manager
        self.pseudonyms = pseudonyms
        self.record = record
        self.record.people = sorted(requested)
        self.requested = self._whom(requested)

    @functools.cached_property
    def agreeing(self) -> DataFrame:
        """The e-mail and serial number of each device of the people who agree and stay."""
        customers = self.io_manager.read(CUSTOMER_LANDING)
        found = consent.consenting_customers(customers, self.record.began)
        if self.requested.addresses:
            found = found.where(~F.col("email").isin(*self.requested.addresses))
        return found.select("email", "serialNumber")

    def stale(self) -> str | None:
        """Which table was not made anew since someone left, in a sentence, if one is."""
        for table in self.tables(DELTA_TABLES):
            rows = self.io_manager.read(table)
            count = self._left_in(table, rows).count()
            if table == MACHINE_LEARNING_CURATED and not count:
                # A phone may be paired with another's device. The phones' table has passed by now.
                phones = self.io_manager.read(ACCELEROMETER_TRUSTED)
                count = rows.join(phones, ["timestamp", "x", "y", "z"], "left_anti").count()
            if count:
                return f"{table.name} still has {count:,} rows of people who left."
        return None

    def clear_landing(self, table: Table) -> None:
        """Takes the requested people out of a table's landing files."""
        folder = storage.open_folder(self.io_manager.uri_of(table))
        with storage_faults(folder.uri):
            lines = sum(landing.erase(folder, file, self.requested) for file in folder.json_lines())
        self.record.landing_lines[table.name] = lines
        self._forget_versions(table)

    def note_people(self) -> bool:
        """Takes down who is in old files and has left, and tells whether there are old files."""
        found = set(self.record.people)
        any_files = False
        for table in self.tables(DELTA_TABLES):
            name = _identifies(table)
            files = upkeep.superseded_files(self.io_manager.uri_of(table))
            any_files |= bool(files)
            if name != "serialNumber" and files:
                left = self._left_in(table, self._data_files(table, files)).dropna().distinct()
                found |= {row[0] for row in self.pseudonyms.of(left, name).collect()}
        self.record.people = sorted(found)
        return any_files

    def quarantine(self, table: Table) -> None:
        """Blanks the pieces that tell of someone who has left."""
        pieces = self.io_manager.read(table)
        told = self._telling(pieces).toDF("_told")
        marked = pieces.join(told, pieces.line == told._told, "left")
        count = marked.where("_told is not null").count()
        if count:
            state = self.io_manager.state(table)
            assert state is not None
            line = F.when(F.col("_told").isNull(), F.col("line")).otherwise("")
            blanked = marked.withColumn("line", line).select(*table.column_names)
            self.io_manager.write(table, blanked, state.commit)
        self.record.quarantined[table.name] = count

    def forget(self, table: Table) -> None:
        """Leaves a table its current version alone, and proves that no one is in it who left.

        Raises:
            LakehouseError: If someone still is, or the table was written meanwhile.
        """
        uri = self.io_manager.uri_of(table)
        self.record.tables[table.name] = asdict(upkeep.forget_history(uri))
        self._forget_versions(table)
        if upkeep.superseded_files(uri):
            raise LakehouseError(
                f"{table.name} was written meanwhile, or by a run that was killed within the hour. "
                f"When nothing writes it, run {JOB} again."
            )
        with storage_faults(uri):
            stored = [file.uri for file in storage.open_folder(uri).files()]
        files = [name for name in stored if name.endswith(".parquet")]
        if not files:
            return
        if count := self._left_in(table, self._data_files(table, files)).count():
            raise LakehouseError(f"{table.name} has {count:,} rows of people who left. {AGAIN}")

    def keep_record(self) -> None:
        """Writes what has been taken down, in place of what was written before."""
        folder = storage.open_folder(f"{address.as_uri(self.io_manager.uri)}/{RECORDS}")
        name = f"{self.record.began}-{self.record.run}.json"
        with tempfile.TemporaryDirectory() as scratch:
            path = Path(scratch, name)
            path.write_text(json.dumps(asdict(self.record)) + "\n")
            folder.upload(path, name, storage.sha256_of(path))

    def tables(self, among: Sequence[Table]) -> list[Table]:
        """Those that the lakehouse has."""
        return [table for table in among if self.io_manager.state(table)]

    def _whom(self, pseudonyms: frozenset[str]) -> landing.Erased:
        if not pseudonyms:
            return landing.Erased(pseudonyms, self.pseudonyms)
        customers = self.io_manager.read(CUSTOMER_LANDING)
        people = customers.select(consent.person("email").alias("email")).distinct()
        named = self.pseudonyms.of(people.withColumn("_of", people.email), "_of")
        theirs = named.where(named._of.isin(*pseudonyms)).select("email")
        landed = customers.withColumn("email", consent.person("email"))
        records = landed.join(theirs, "email", "left_semi")
        devices = consent.devices(records)
        others = consent.devices(landed.join(theirs, "email", "left_anti"))
        own = devices.join(others, "serialNumber", "left_anti").select("serialNumber").distinct()
        told = records.select("email", "customerName", "phone").distinct().collect()
        return landing.Erased(
            pseudonyms,
            self.pseudonyms,
            addresses=frozenset(row.email for row in told),
            devices=frozenset(row.serialNumber for row in own.collect()),
            words=frozenset(word for row in told for word in row[1:] if word),
        )

    def _data_files(self, table: Table, uris: list[str]) -> DataFrame:
        # Only the column that tells, since older files may lack others.
        schema = f"`{_identifies(table)}` string"
        return self.io_manager.spark_session.read.schema(schema).parquet(*uris)

    def _left_in(self, table: Table, rows: DataFrame) -> DataFrame:
        """The rows of people who have left: by their person, device or quarantined text."""
        name = _identifies(table)
        if name == "line":
            return rows.join(self._telling(rows), "line", "left_semi")
        of_device = name == "serialNumber"
        known = self.agreeing.select(name if of_device else "email").dropna().distinct()
        if of_device and self._options(table).get("pseudonymise_devices"):
            known = self.pseudonyms.of(known, name)
        who = rows.select(rows[name] if of_device else consent.person(name).alias(name))
        return who.join(known.toDF("_known"), who[name] == F.col("_known"), "left_anti")

    def _options(self, table: Table) -> dict[str, Any]:
        state = self.io_manager.state(table)
        return dict(state.commit.get("config", {})) if state else {}

    def _telling(self, pieces: DataFrame) -> DataFrame:
        """The different lines of quarantine that tell of someone who has left."""
        text = F.regexp_replace("line", landing.ESCAPED_AT.pattern, "@")
        addresses = F.regexp_extract_all(text, F.lit(landing.ADDRESS.pattern), F.lit(0))
        told = pieces.select("line", F.explode(addresses).alias("email"))
        told = told.select("line", consent.person("email").alias("email"))
        customers = self.io_manager.read(CUSTOMER_LANDING)
        words = consent.last_words(customers, self.record.began)
        left = told.join(words.where(f"not {consent.AGREES}"), "email", "left_semi").select("line")
        if self.requested.people:
            asked = self.pseudonyms.of(told, "email").where(
                F.col("email").isin(*self.requested.people)
            )
            named = [F.col("line").rlike(landing.word(word)) for word in self.requested.words]
            mentions = pieces.where(functools.reduce(operator.or_, named, F.lit(False)))
            left = left.union(asked.select("line")).union(mentions.select("line"))
        return left.distinct()

    def _forget_versions(self, table: Table) -> None:
        with storage_faults(uri := self.io_manager.uri_of(table)):
            if not storage.open_folder(uri).forget_versions():
                self.record.store_versions_kept.append(table.name)


def _identifies(table: Table) -> str:
    """The column that tells whose a row is."""
    return next(n for n in ("email", "user", "serialNumber", "line") if n in table.column_names)
