"""What a declaration says of a table: its columns, whose its rows are, and how they are made."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from stedi_assets.tables.columns import BATCH_COLUMN, QUARANTINE_COLUMNS, Column
from stedi_assets.tables.functions import AS_OF, GIVEN, OPTIONS, SPLIT, parameters

if TYPE_CHECKING:
    import pyarrow as pa

DATA_TEAM, INGEST_TEAM = "team:data-engineering", "team:ingest"


class DeclarationError(ValueError):
    """A mistake in a declaration, which names the table."""


class Zone(StrEnum):
    """How far a table has come, from raw files to what models train on."""

    LANDING = "landing"
    RECORDS = "records"
    QUARANTINE = "quarantine"
    TRUSTED = "trusted"
    CURATED = "curated"
    TRAINING = "training"


@dataclass(frozen=True)
class InColumn:
    """Whose a row is, by one column of it."""

    column: str

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that say whose a row is."""
        return (self.column,)


@dataclass(frozen=True)
class Person(InColumn):
    """A row is a person's whose e-mail address is in a column."""


@dataclass(frozen=True)
class Device(InColumn):
    """A row is that of the people to whom the device in a column is registered.

    Attributes:
        column: The column of serial numbers.
        pseudonymised: Whether it holds pseudonyms where the option pseudonymise_devices is on.
    """

    pseudonymised: bool = False


@dataclass(frozen=True)
class Through:
    """A row is that of the subject of the row with the same values in a landing table.

    Attributes:
        table: The landing table's name.
        columns: The columns that both have.
    """

    table: str
    columns: tuple[str, ...]


@dataclass(frozen=True)
class FreeText(InColumn):
    """A row may be anyone's: a column has text that could not be read."""


Subject = Person | Device | Through | FreeText


@dataclass(frozen=True)
class Check:
    """A check of a table's rows.

    Attributes:
        name: Its name in Dagster.
        description: What holds where it passes.
        fault: What is wrong with the rows or people that it finds, as the end of a sentence.
        blocking: Whether what follows waits for it.
        warns: Whether it only warns where it fails.
        bound: By how much the share that it finds may change before it fails. What it finds is
            information then, such as what an option would remove. None: it fails where it finds
            any.
        of: What it counts: `rows` of the table, or `people` who landed.
        applies: Which tables have it, of a check that follows from declarations.
        count: A function of frames that counts what is at fault, its parameters named like those of
            a rule, or others of `functions`; None where the recount counts it along, in a
            column by the check's name.
    """

    name: str
    description: str
    fault: str = ""
    blocking: bool = False
    warns: bool = False
    bound: float | None = None
    of: str = "rows"
    applies: Callable[[Table], bool] = lambda _: True
    count: Callable[..., int] | None = None

    @property
    def rule(self) -> str:
        """What holds where it passes, with its bound."""
        if self.bound is None:
            return self.description
        points = f"{100 * self.bound:g} percentage points"
        return f"{self.description} A change by more than {points} is a warning."


@dataclass(frozen=True)
class Table:
    """A table: where it is kept, what its rows are, whose they are and how they are made.

    Attributes:
        source: The source of its rows, the first folder of its location.
        zone: The zone, the second folder of its location.
        description: What one row is.
        columns: Its columns, in order.
        subjects: Whose a row is. All of them must agree to research.
        key: The columns that no two rows share, or empty where rows have no key.
        references: Column name to (table, column) that must hold its value.
        time_column: The column that says when, by which a change is limited in time: a rule makes
            rows of a time from rows of that time, and from rows of tables without a time column to
            which a reference of either leads.
        superseded_count: Whether records of files that their source has replaced still count.
        anonymous: Whether it may name no one: it has no personal column, and none of its values is
            one that identifies a person.
        dates: Parent to the columns of it that the rule compares with `as_of`: the clock alone
            changes rows only as it passes one of their values.
        rule: How rows are made: a function of frames, each parameter the name of a table, or
            `as_of` or `options`. None for landing and quarantine.
        recount: A function like the rule that counts its rows another way: the column `expected`,
            the checks that it counts along and further figures, in one row; of a table with a
            time column in one for each `bucket` of it, and if wanted each `person`. None where it
            follows from `references`: the rule keeps those rows of its first table that refer to
            others.
        checks: The checks that only this table has.
        owner: The team that answers for it.
        version: The version of its data contract, MAJOR.MINOR.PATCH: a change that breaks readers
            raises MAJOR. Before 1.0.0 it is a draft, which may change in any way.
        called: Its name, if that is not made of source and zone.
        strict: The options of its rule that are on whatever a run says.
        derived: Column to the (table, column) that it is made from, where that has another name.
    """

    source: str
    zone: Zone
    description: str
    columns: tuple[Column, ...]
    subjects: tuple[Subject, ...]
    key: tuple[str, ...] = ()
    references: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    time_column: str | None = None
    superseded_count: bool = False
    anonymous: bool = False
    dates: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    rule: Callable[..., Any] | None = None
    recount: Callable[..., Any] | None = None
    checks: tuple[Check, ...] = ()
    owner: str = DATA_TEAM
    version: str = "1.0.0"
    called: str = ""
    strict: tuple[str, ...] = ()
    derived: Mapping[str, tuple[str, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for mistake in _mistakes(self):
            raise DeclarationError(f"The declaration of {self.name} is wrong: {mistake}.")

    @property
    def name(self) -> str:
        """The asset's and the catalog's name for it."""
        return self.called or f"{self.source}_{self.zone}"

    @property
    def location(self) -> str:
        """The table's folder, relative to the lakehouse."""
        return f"{self.source}/{self.zone}"

    @property
    def personal(self) -> bool:
        """Whether any column is personal data."""
        return any(column.personal for column in self.columns)

    @property
    def column_names(self) -> list[str]:
        """The names of the columns, in order."""
        return [column.name for column in self.columns]

    @property
    def ddl(self) -> str:
        """The columns as a Spark DDL schema."""
        return ", ".join(f"`{column.name}` {column.type}" for column in self.columns)

    @property
    def arrow_schema(self) -> pa.Schema:
        """The columns as Arrow has them."""
        import pyarrow as pa

        return pa.schema([(column.name, column.type.arrow) for column in self.columns])

    @property
    def parents(self) -> list[str]:
        """The names of the tables that it is made of."""
        return [name for name in parameters(self.rule) if name not in GIVEN]

    @property
    def has_options(self) -> bool:
        """Whether a run may choose options of its rule, or hide devices of its rows."""
        return OPTIONS in parameters(self.rule) or bool(self.rule and self.pseudonymised)

    @property
    def is_split(self) -> bool:
        """Whether a run may choose how it is split."""
        return SPLIT in parameters(self.rule)

    @property
    def pseudonymised(self) -> list[str]:
        """The columns that hold pseudonyms where the option pseudonymise_devices is on."""
        return [s.column for s in self.subjects if isinstance(s, Device) and s.pseudonymised]


def quarantine_of(landing: Table) -> Table:
    """The table that holds what of a landing table could not be read."""
    return Table(
        landing.source,
        Zone.QUARANTINE,
        f"Text in {landing.location} that could not be read as a record.",
        QUARANTINE_COLUMNS,
        (FreeText("line"),),
        owner=landing.owner,
    )


def records_of(landing: Table) -> Table:
    """The table that keeps what of a landing table could be read, for the lakehouse alone."""
    return Table(
        landing.source,
        Zone.RECORDS,
        f"A record of {landing.location} as it landed.",
        (*landing.columns, BATCH_COLUMN),
        landing.subjects,
        time_column=landing.time_column,
        owner=landing.owner,
    )


def files_of(landing: Table) -> str:
    """The name of the files that land as a table, which a source makes."""
    return f"{landing.source}_files"


def _mistakes(table: Table) -> Iterator[str]:
    names = table.column_names
    derived = table.zone in (Zone.TRUSTED, Zone.CURATED, Zone.TRAINING)
    if twice := {name for name in names if names.count(name) > 1}:
        yield f"it has two columns {min(twice)}"
    if not table.subjects:
        yield "it has no subjects, so nobody could know whose its rows are"
    if derived and table.rule is None:
        yield "it has no rule"
    if AS_OF in parameters(table.rule) and not table.dates:
        yield "its rule takes as_of, but it has no dates, so no run knows when the clock changes it"
    if table.anonymous and table.personal:
        personal = next(column.name for column in table.columns if column.personal)
        yield f"it may name no one, but its column {personal} is personal data"
    if not re.fullmatch(r"\d+\.\d+\.\d+", table.version):
        yield f"its version {table.version} is not MAJOR.MINOR.PATCH, such as 1.0.0"
    named = {
        "key": table.key,
        "references": tuple(table.references),
        "time_column": (table.time_column,) if table.time_column else (),
        "subjects": tuple(name for each in table.subjects for name in each.columns),
    }
    for part, columns in named.items():
        for name in columns:
            if name not in names:
                yield f"its {part} has a column {name}, which it does not have"
