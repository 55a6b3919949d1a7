"""Whom an erasure is about: who has left, who was asked for, and what identifies them."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from stedi_assets import storage
from stedi_assets.erasure import text
from stedi_assets.erasure.people import People
from stedi_assets.erasure.record import records
from stedi_assets.errors import LakehouseError
from stedi_assets.lakehouse.lakehouse import Lakehouse
from stedi_assets.pseudonyms import Pseudonyms
from stedi_assets.tables import LANDING_TABLES, TABLES, Table, consent, subjects
from stedi_assets.tables.customer import CUSTOMER_LANDING
from stedi_assets.tables.schema import Person, Subject

if TYPE_CHECKING:
    from pyspark.sql import Column as Expression
    from pyspark.sql import DataFrame

# Other personal values, as a date of birth, are no one's alone.
ADDRESS, PHONE, DEVICE, NAME, OTHER = "address", "phone", "device", "name", "other"


@dataclass
class Whom:
    """The people of one erasure.

    Attributes:
        lakehouse: Where the tables are.
        pseudonyms: Makes the pseudonyms.
        asked: Pseudonyms of people to erase from landing too.
        as_of: The time by which consent is judged (epoch milliseconds, UTC).
    """

    lakehouse: Lakehouse
    pseudonyms: Pseudonyms
    asked: frozenset[str]
    as_of: int

    @property
    def customers(self) -> DataFrame:
        """The customer records that landed."""
        return self.lakehouse.scan(CUSTOMER_LANDING)

    @functools.cached_property
    def addresses(self) -> frozenset[str]:
        """The e-mail addresses of those of the asked who landed as customers."""
        people = self.customers.select(consent.person("email").alias("email"))
        return frozenset(self._asked_among(people, "email"))

    @property
    def staying(self) -> DataFrame:
        """The e-mail and serial number of each device of the people who agree and stay."""
        found = consent.consenting_customers(self.customers, self.as_of)
        if self.addresses:
            found = found.where(~F.col("email").isin(*self.addresses))
        return found.select("email", "serialNumber")

    def asked_people(self) -> People:
        """The people asked for, known by all that landed of them."""
        asked = self.customers.select(consent.person("email").alias("email"))
        theirs = asked.where(F.col("email").isin(*self.addresses))
        return self._people(_identifiers(self.customers, theirs) if self.addresses else None)

    def people_in(self, lines: Iterable[str]) -> People:
        """Those of the people who have left, or were asked for, of whom lines may be.

        Args:
            lines: So few that what they mention fits into memory.
        """
        mentioned = {
            value for line in lines for each in text.mentions(line) for value in _forms(each)
        }
        if not mentioned:
            return self._people(None)
        session = self.lakehouse.spark_session
        found = session.createDataFrame([(each,) for each in sorted(mentioned)], "value string")
        return self._people(self._left.join(found, "value", "left_semi"))

    def rows_left(self, table: Table, subject: Subject, rows: DataFrame) -> DataFrame:
        """Of some rows of a table those of people who have left, by one of its subjects."""
        staying = self.staying
        [(columns, known)] = subjects.known(
            replace(table, subjects=(subject,)),
            staying,
            staying,
            TABLES.__getitem__,
            lambda name: self.lakehouse.read(TABLES[name]),
        )
        state = self.lakehouse.state(table)
        hidden = state is not None and state.commit.config.pseudonymise_devices
        if hidden and set(columns) <= set(table.pseudonymised):
            known = self.pseudonyms.of(known, columns[0])
        values = known.toDF(*columns)
        who = rows.select(*columns)
        if isinstance(subject, Person):
            who = who.withColumn(subject.column, consent.person(subject.column))
        return who.join(values, list(columns), "left_anti")

    def require_known(
        self, others: Iterable[Iterable[DataFrame]], malformed: Iterable[str]
    ) -> None:
        """Finds everyone who was asked for, wherever they may be known from.

        Args:
            others: Frames of a column of addresses, besides those of landing.
            malformed: The text of every malformed record.

        Raises:
            LakehouseError: If there is no trace of one of them.
        """
        unknown = set(self.asked)
        for known in self._known(others, malformed):
            unknown -= known
            if not unknown:
                return
        raise LakehouseError(
            f"{len(unknown):,} of the {len(self.asked):,} pseudonyms in erase_from_landing match "
            "no person who landed, is in a table or quarantine, or was erased before. Nothing was "
            "done. Make them by `make pseudonyms` with the STEDI_PSEUDONYM_KEY that this job has; "
            "of someone who has only just arrived, materialise the lakehouse first."
        )

    def _known(
        self, others: Iterable[Iterable[DataFrame]], malformed: Iterable[str]
    ) -> Iterator[set[str]]:
        """Pseudonyms of the asked, by where they are known from, the cheapest first."""
        yield set(map(self.pseudonyms.of_text, self.addresses))
        yield {person for record in records(self.lakehouse.uri) for person in record["people"]}
        for frames in others:
            for frame in frames:
                found = self._asked_among(frame, frame.columns[0])
                yield set(map(self.pseudonyms.of_text, found))
        people = People(self.pseudonyms, self.asked)
        for record in malformed:
            yield people.pseudonyms_in(record)

    def _asked_among(self, frame: DataFrame, name: str) -> list[str]:
        """The addresses of the asked in a column of addresses."""
        if not self.asked:
            return []
        people = frame.select(consent.person(name).alias("email")).dropna().distinct()
        named = self.pseudonyms.of(people.withColumn("_of", F.col("email")), "_of")
        return [row.email for row in named.where(F.col("_of").isin(*self.asked)).collect()]

    @functools.cached_property
    def _left(self) -> DataFrame:
        """What identifies the people who have left or were asked for, cached for the run."""
        latest = consent.latest_records(self.customers, self.as_of)
        asked = F.col("email").isin(*self.addresses) if self.addresses else F.lit(False)
        left = latest.where(~F.col(consent.AGREES) | asked).select("email")
        return self.lakehouse.spark.cached(_identifiers(self.customers, left))

    def _people(self, identifiers: DataFrame | None) -> People:
        rows = identifiers.collect() if identifiers is not None else []

        def of(kind: str, *, shared: bool) -> frozenset[str]:
            return frozenset(r.value for r in rows if r.kind == kind and bool(r.others) is shared)

        def everyone_s(kind: str) -> frozenset[str]:
            return of(kind, shared=False) | of(kind, shared=True)

        return People(
            self.pseudonyms,
            self.asked,
            addresses=of(ADDRESS, shared=False),
            phones=of(PHONE, shared=False),
            devices=of(DEVICE, shared=False),
            shared=of(PHONE, shared=True) | of(DEVICE, shared=True) | everyone_s(OTHER),
            names=everyone_s(NAME),
        )


def people_who_landed(lakehouse: Lakehouse) -> Iterator[DataFrame]:
    """The people whose records landed, by each source but the customers, which has some."""
    for table in LANDING_TABLES:
        for subject in table.subjects:
            if table == CUSTOMER_LANDING or not isinstance(subject, Person):
                continue
            if storage.open_folder(lakehouse.uri_of(table)).json_lines():
                yield lakehouse.read(table).select(subject.column)


def _identifiers(customers: DataFrame, people: DataFrame) -> DataFrame:
    """What identifies people.

    Args:
        customers: The customer records.
        people: A column `email` of the people, as `consent.person` has it.

    Returns:
        `kind`, `value` (an address as `consent.person`, a phone as `text.phone_of`, others in lower
        case) and `others`, 1 if it is also that of someone else and 0 if not.
    """
    marked = people.distinct().withColumn("_theirs", F.lit(1))
    landed = customers.withColumn("email", consent.person("email")).where("email is not null")
    kinds = {
        ADDRESS: F.col("email"),
        PHONE: _phone(F.col("phone")),
        DEVICE: F.trim("serialNumber"),
        NAME: F.lower(F.trim("customerName")),
    }
    values = [F.struct(F.lit(k).alias("kind"), v.alias("value")) for k, v in kinds.items()]
    known = ("email", "phone", "customerName")
    values += [
        F.struct(F.lit(OTHER).alias("kind"), F.lower(F.trim(column.name)).alias("value"))
        for column in CUSTOMER_LANDING.columns
        if column.personal and column.name not in known
    ]
    return (
        landed.join(marked, "email", "left")
        .select("_theirs", F.explode(F.array(*values)).alias("each"))
        .select("_theirs", F.col("each.kind").alias("kind"), F.col("each.value").alias("value"))
        .where("value <> ''")
        .groupBy("kind", "value")
        .agg(
            F.max("_theirs").alias("theirs"),
            F.max(F.when(F.col("_theirs").isNull(), 1).otherwise(0)).alias("others"),
        )
        .where("theirs = 1")
        .select("kind", "value", "others")
    )


def _phone(number: Expression) -> Expression:
    """A phone number as `text.phone_of` has it; null where it is too short to be anyone's."""
    digits = F.regexp_replace(number, text.NOT_A_DIGIT.pattern, "")
    is_phone = number.rlike(f"^{text.PHONE.pattern}$") & (F.length(digits) >= text.PHONE_DIGITS)
    return F.when(is_phone, digits)


def _forms(part: str) -> set[str]:
    """A part of a text in each form that an identifier has."""
    forms = {part, text.phone_of(part), consent.person_of(part), part.lower()}
    return {each for each in forms if each and _is_text(each)}


def _is_text(part: str) -> bool:
    try:
        part.encode()
    except UnicodeEncodeError:
        return False
    return True
