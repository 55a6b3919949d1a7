"""A sample delivered as time goes by, and the files that arrive after it has been loaded."""

from __future__ import annotations

import itertools
import shutil
from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from stedi_assets.sample.cohort import CONSENTED, PEOPLE, Cohort, Moment, Person, make_cohort
from stedi_assets.sample.recipes import RECIPES
from stedi_assets.sample.spec import SampleSpec
from stedi_assets.tables import DELTA_TABLES, LANDING_TABLES, Table
from stedi_assets.tables.accelerometer import ACCELEROMETER_LANDING
from stedi_assets.tables.customer import CUSTOMER_LANDING

FILES = 1_000
WITHDRAWING = 0.001
# Of a cohort, what arrives after the load: 1/1000 of scale 300, the same at every scale, so that
# only the history differs between scales.
NEW = 0.3
DAY = 24 * 60 * 60 * 1_000


@dataclass(frozen=True)
class Event:
    """What happens to the source before a run.

    Attributes:
        name: What the results call it.
        meaning: What it is, in a sentence.
    """

    name: str
    meaning: str


FIRST_LOAD = Event("first load", "All files of the source but the last of each, into no lakehouse.")
NOTHING = Event("nothing new", "No file has changed.")
NEW_FILES = Event(
    "one new file a source",
    "The last file of each source arrives, with as many records at every scale: 1/1000 of those "
    "of scale 300.",
)
ONE_WITHDRAWS = Event(
    "one person withdraws", "A customer file arrives with the later record of a person."
)
SOME_WITHDRAW = Event(
    "0.1 % withdraw", "A customer file arrives with later records of people all over the history."
)
REPLACED = Event(
    "one reading file replaced",
    "An accelerometer file in the middle of the history, about 1/1000 of the readings, has other "
    "content at its source: of each moment with several readings, one less.",
)
EVENTS = (FIRST_LOAD, NOTHING, NEW_FILES, ONE_WITHDRAWS, SOME_WITHDRAW, REPLACED)
# What takes turns with them.
BEFORE = Event(
    "first load, before", "The first load by the version of the project to compare with."
)
REBUILD = Event("DuckDB's rebuild", "DuckDB makes all tables of the source with the new files.")


@dataclass(frozen=True)
class Delivery:
    """What arrives after the load, and what the tables have then.

    Attributes:
        arriving: Has what an event adds or replaces, in a folder of the event's name.
        rows: Event to derived table to its rows after the event.
        readings: How many accelerometer readings are loaded.
    """

    arriving: Path
    rows: dict[Event, dict[str, int]]
    readings: int

    def arrive(self, event: Event, source: Path) -> None:
        """Makes an event happen to a copy of the source, now by its files' times."""
        arriving = self.arriving / event.name
        if arriving.exists():
            shutil.copytree(arriving, source, copy_function=shutil.copyfile, dirs_exist_ok=True)


def deliver(source: Path, arriving: Path, spec: SampleSpec, files: int = FILES) -> Delivery:
    """Writes a sample with each source in so many files, the readings in slices of time.

    People are in the order in which their recordings begin. One cohort at a time is in memory.
    The last files have `NEW` of a cohort; the others are equal in size.

    Args:
        source: Where to write what is loaded, a folder without files.
        arriving: Where to write what arrives later, a folder without files.
        spec: What determines the sample.
        files: How many files a source has; of customers fewer, if there are fewer people.
    """
    middle = files // 2
    withdrawing = max(1, round(PEOPLE * spec.scale * WITHDRAWING))
    withdraw_in = {
        ONE_WITHDRAWS: {spec.scale // 2},
        SOME_WITHDRAW: {number * spec.scale // withdrawing for number in range(withdrawing)},
    }
    rows = {event: Counter[str]() for event in EVENTS}
    readings = 0
    for number in range(spec.scale):
        cohort = make_cohort(spec, number)
        people = _in_files(cohort, files, sorted(cohort.people, key=lambda p: p.moments[0].time))
        moments = [p._replace(moments=[moment]) for p in cohort.people for moment in p.moments]
        each = _in_files(cohort, files, sorted(moments, key=lambda p: p.moments[0].time))
        for table in LANDING_TABLES:
            parts = each if table.time_column else people
            for index, part in itertools.groupby(parts, key=lambda part: part[0]):
                to = arriving / NEW_FILES.name if index == files - 1 else source
                _append(to, table, index, replace(cohort, people=[p for _, p in part]))
        loaded = _loaded(cohort, files, people, each)
        readings += sum(len(p.moments[0].vectors) for index, p in each if index < files - 1)
        after = dict.fromkeys(EVENTS, loaded) | {NEW_FILES: cohort}
        if fewer := [_with_fewer(person) for index, person in each if index == middle]:
            others = [(index, person) for index, person in each if index != middle]
            others += [(middle, person) for person in fewer]
            after[REPLACED] = _loaded(cohort, files, people, others)
            replacing = replace(cohort, people=fewer)
            _append(arriving / REPLACED.name, ACCELEROMETER_LANDING, middle, replacing)
        for event in (event for event, numbers in withdraw_in.items() if number in numbers):
            after[event] = replace(loaded, withdrawals=[_withdrawal(loaded)])
            later = replace(after[event], people=())
            _append(arriving / event.name, CUSTOMER_LANDING, files, later)
        counted = {id(state): _rows(state) for state in after.values()}
        for event, state in after.items():
            rows[event].update(counted[id(state)])
    return Delivery(arriving, {event: dict(rows[event]) for event in EVENTS}, readings)


def _in_files(cohort: Cohort, files: int, people: list[Person]) -> list[tuple[int, Person]]:
    """Each with the number of its file, where every cohort has as many."""
    first = cohort.number * len(people)
    before_last = cohort.spec.scale * len(people) - round(NEW * len(people))
    return [
        (min((first + place) * (files - 1) // before_last, files - 1), person)
        for place, person in enumerate(people)
    ]


def _append(folder: Path, table: Table, index: int, part: Cohort) -> None:
    lines = RECIPES[table.source].lines
    assert lines is not None
    path = folder / table.location / f"{table.source}-{index:06d}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        file.writelines(f"{line}\n" for line in lines(part))


def _loaded(
    cohort: Cohort, files: int, people: list[tuple[int, Person]], each: list[tuple[int, Person]]
) -> Cohort:
    """The people and moments that are not in the last files."""
    moments = defaultdict[str, list[Moment]](list)
    for index, person in each:
        if index < files - 1:
            moments[person.email] += person.moments
    landed = [person for index, person in people if index < files - 1]
    return replace(cohort, people=[p._replace(moments=moments[p.email]) for p in landed])


def _with_fewer(person: Person) -> Person:
    """A person with one moment, which has a reading less if it has several."""
    [moment] = person.moments
    return person._replace(moments=[moment._replace(vectors=moment.vectors[1:] or moment.vectors)])


def _withdrawal(cohort: Cohort) -> dict[str, Any]:
    """The later record of someone who consents and has readings."""
    customers = [person.customer for person in cohort.consenting if person.moments]
    record = dict(customers[len(customers) // 2])
    del record[CONSENTED]
    return record | {"lastUpdateDate": record["lastUpdateDate"] + DAY}


def _rows(cohort: Cohort) -> dict[str, int]:
    rows = Counter[str]()
    for recipe in RECIPES.values():
        rows.update(recipe.rows(cohort))
    # The recipe takes it that everyone who consents has readings.
    rows["customer_curated"] -= sum(not person.moments for person in cohort.consenting)
    return {table.name: rows[table.name] for table in DELTA_TABLES}
