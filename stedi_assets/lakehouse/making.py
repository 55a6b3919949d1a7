"""Makes the next version of a table by its rule: as much of it as must be made anew."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from stedi_assets import pseudonyms as pseudonyms_module
from stedi_assets.lakehouse import changes, lookups
from stedi_assets.lakehouse import plan as plans
from stedi_assets.lakehouse.commit import Commit
from stedi_assets.lakehouse.delta import TableState
from stedi_assets.lakehouse.lakehouse import Lakehouse
from stedi_assets.lakehouse.plan import Mode, Plan
from stedi_assets.landing.folder import reader_version
from stedi_assets.policy import Options
from stedi_assets.pseudonyms import Pseudonyms
from stedi_assets.split import Split
from stedi_assets.tables import TABLES, Table, Zone, code, consent
from stedi_assets.tables.columns import YEAR_2000
from stedi_assets.tables.customer import CUSTOMER_LANDING
from stedi_assets.tables.functions import applied
from stedi_assets.tables.schema import Person

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

Read = Callable[[str], "DataFrame"]


@dataclass(frozen=True)
class Moved:
    """How many people a version has that the one before had not, and the other way round.

    Attributes:
        came: How many came.
        left: How many left.
        waited: The longest time from the date of the record by which one of them left until now, in
            milliseconds; None where none has such a date.
    """

    came: int
    left: int
    waited: int | None = None


@dataclass(frozen=True)
class NewVersion:
    """A table's next version.

    Attributes:
        plan: How much of it is made anew.
        id: The id of the state of its rows.
        frame: The rows that are made, cached if there was a version before; None where the table
            keeps all that it has.
        commit: What to keep with them; None where nothing is new.
        people: Who has come and left; None where that is not looked at.
    """

    plan: Plan
    id: str
    frame: DataFrame | None
    commit: Commit | None
    people: Moved | None = None

    def noting(self, **facts: Any) -> NewVersion:
        """The version with further facts to keep with it, if anything is kept."""
        commit = self.commit.model_copy(update=facts) if self.commit else None
        return replace(self, commit=commit)


def next_version(
    lakehouse: Lakehouse,
    table: Table,
    read: Read,
    now: int,
    options: Options,
    pseudonyms: Pseudonyms,
    *,
    split: Split | None = None,
    rebuild: bool = False,
) -> NewVersion:
    """Makes the next version of a table, without writing it.

    Args:
        lakehouse: Where the tables are.
        table: The table.
        read: Gives a table's rows by its name.
        now: The time by which to judge consent (epoch milliseconds, UTC).
        options: The options of the run.
        pseudonyms: Makes the pseudonyms.
        split: How the table is split; None for one that is not.
        rebuild: Whether the run asks for all of it.
    """
    hides = bool(table.pseudonymised and options.pseudonymise_devices)
    wanted = Commit(
        config=options,
        code=code_of_rows(table, lakehouse),
        key=pseudonyms.of_text("")[:12] if hides else None,
        split=split,
    )
    plan = plans.planned(lakehouse, table, wanted, now, rebuild=rebuild)
    last = lakehouse.state(table)
    commit = wanted.model_copy(update={"made_from": plan.made_from, "as_of": now})
    if plan.mode is Mode.UNCHANGED:
        assert last is not None
        known = plan.made_from == last.commit.made_from
        commit = commit.model_copy(update={"valid": last.commit.valid})
        return NewVersion(plan, last.commit.id or "", None, None if known else commit)

    ranges = plan.ranges if plan.mode is Mode.RANGES else None

    def restricted(name: str) -> DataFrame:
        return lookups.seen_by(lakehouse, table, TABLES[name], read(name), ranges)

    frame = plan.restricted(table, made(table, restricted, now, options, pseudonyms, split))
    if last is not None:
        # Compared with the last version before it is written.
        frame = lakehouse.cached(frame)
    commit = commit.model_copy(update={"valid": plans.valid(lakehouse, table, now)})
    if plan.is_known and table.time_column is None:
        assert last is not None
        other = plans.differing(lakehouse.scan(table), frame, table.column_names)
        if not other.limit(1).count():
            same = replace(plan, mode=Mode.UNCHANGED, reason=f"{plan.reason}, but no row differs")
            return NewVersion(same, last.commit.id or "", None, commit)
    people = None
    if last is not None and table.time_column is None and set(last.columns) >= set(frame.columns):
        from pyspark.errors import PySparkException

        # What is made anew because it is damaged need not be readable.
        with contextlib.suppress(PySparkException):
            people = _moved(lakehouse, table, frame, now)
    return NewVersion(plan, changes.new_id(), frame, commit, people)


def _moved(lakehouse: Lakehouse, table: Table, frame: DataFrame, now: int) -> Moved | None:
    """Who has come and left, by the rows that are about to be written; None if it has no people."""
    from pyspark.sql import functions as F

    people = [each.column for each in table.subjects if isinstance(each, Person)]
    if not people:
        return None
    before, after = (rows.select(*people).distinct() for rows in (lakehouse.scan(table), frame))
    each = lakehouse.spark.cached(plans.differing(before, after, people))
    came, left = F.count_if(F.col("_times") < 0), F.count_if(F.col("_times") > 0)
    [found] = each.agg(came.alias("came"), left.alias("left")).collect()
    moved = Moved(found["came"], found["left"])
    if not moved.left or CUSTOMER_LANDING.name not in table.dates:
        return moved
    landed = lakehouse.scan(CUSTOMER_LANDING).select(
        consent.person("email").alias(people[0]), consent.written().alias("_written")
    )
    gone = each.where(F.col("_times") > 0)
    dated = landed.join(gone, people, "left_semi").where(F.col("_written").between(YEAR_2000, now))
    latest = dated.groupBy(*people).agg(F.max("_written").alias("_written"))
    [first] = latest.agg(F.min("_written")).collect()[0]
    return replace(moved, waited=now - first if first is not None else None)


def keep(lakehouse: Lakehouse, table: Table, new: NewVersion) -> TableState:
    """Writes a table's next version, as much as is new, in one atomic commit.

    Raises:
        LakehouseError: If the table cannot be written; it stays at its last good version.
    """
    if new.commit is None:
        state = lakehouse.state(table)
        assert state is not None
        return state
    if new.frame is None:
        return lakehouse.note(table, new.commit)
    if new.plan.mode is Mode.RANGES:
        return lakehouse.replace(table, new.frame, new.commit, new.id, new.plan.ranges)
    return lakehouse.write(table, new.frame, new.commit, new.id)


def made(
    table: Table,
    read: Read,
    as_of: int,
    options: Options,
    pseudonyms: Pseudonyms,
    split: Split | None = None,
) -> DataFrame:
    """The rows of a table by its rule, with pseudonyms where the options hide what is there.

    Args:
        table: The table.
        read: Gives a table's rows by its name.
        as_of: The time by which to judge consent (epoch milliseconds, UTC).
        options: The options of the run.
        pseudonyms: Makes the pseudonyms.
        split: How the table is split; None for one that is not.
    """
    assert table.rule is not None
    frame: DataFrame = applied(table.rule, read, as_of, options, split)
    for column in table.pseudonymised if options.pseudonymise_devices else []:
        frame = pseudonyms.of(frame, column)
    return frame.select(*table.column_names)


def code_of_rows(table: Table, lakehouse: Lakehouse) -> str:
    """A digest of all code that had a part in a table's rows: its own, and that of its parents."""
    parts = [own_code(table)]
    for parent in (TABLES[name] for name in table.parents):
        state = lakehouse.state(parent) if parent.zone is not Zone.LANDING else None
        parts.append(state.commit.code if state else reader_version(parent))
    return code.digest(*parts)


def own_code(table: Table) -> str:
    """A digest of the code of a table's rule."""
    assert table.rule is not None
    hiding = [pseudonyms_module] if table.pseudonymised else []
    return code.version(table.rule.__module__, *hiding)
