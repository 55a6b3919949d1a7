"""A declaration with a mistake is refused at import, in a sentence that names table and mistake."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from stedi_assets.tables import LANDING_TABLES, Table, Zone, in_order, schema
from stedi_assets.tables.accelerometer import ACCELEROMETER_LANDING, ACCELEROMETER_TRUSTED
from stedi_assets.tables.customer import CUSTOMER_TRUSTED
from stedi_assets.tables.machine_learning import MACHINE_LEARNING_CURATED
from stedi_assets.tables.schema import DeclarationError, Device, Person, Through


def of_nothing(nowhere_landing: object) -> object:
    return nowhere_landing


OF_ITSELF: dict[str, tuple[Table, dict[str, Any]]] = {
    "no subject": (ACCELEROMETER_TRUSTED, {"subjects": ()}),
    "no rule": (ACCELEROMETER_TRUSTED, {"rule": None}),
    "key of no column": (ACCELEROMETER_TRUSTED, {"key": ("user", "when")}),
    "reference from no column": (
        ACCELEROMETER_TRUSTED,
        {"references": {"owner": ("customer_trusted", "email")}},
    ),
    "subject in no column": (ACCELEROMETER_LANDING, {"subjects": (Person("owner"),)}),
    "time in no column": (ACCELEROMETER_LANDING, {"time_column": "when"}),
    "column twice": (
        ACCELEROMETER_LANDING,
        {"columns": (*ACCELEROMETER_LANDING.columns, ACCELEROMETER_LANDING.columns[0])},
    ),
    "no version": (ACCELEROMETER_LANDING, {"version": "1.0"}),
    "personal column where no one is named": (
        MACHINE_LEARNING_CURATED,
        {"columns": (*MACHINE_LEARNING_CURATED.columns, ACCELEROMETER_LANDING.columns[0])},
    ),
}
WORDS = {
    "no subject": "no subjects",
    "no rule": "no rule",
    "key of no column": "when",
    "reference from no column": "owner",
    "subject in no column": "owner",
    "time in no column": "when",
    "column twice": "user",
    "no version": "version 1.0",
    "personal column where no one is named": "user",
}


@pytest.mark.parametrize("mistake", OF_ITSELF)
def test__table__with_a_mistake_of_its_own(mistake: str) -> None:
    table, wrong = OF_ITSELF[mistake]
    with pytest.raises(DeclarationError, match=f"{table.name} .*{WORDS[mistake]}"):
        replace(table, **wrong)


OF_OTHERS = {
    "references no table": (
        replace(ACCELEROMETER_TRUSTED, references={"user": ("nobody_trusted", "email")}),
        "nobody_trusted",
    ),
    "references no column": (
        replace(ACCELEROMETER_TRUSTED, references={"user": ("customer_trusted", "mail")}),
        "customer_trusted.mail",
    ),
    "subject through no table": (
        replace(MACHINE_LEARNING_CURATED, subjects=(Through("phone_landing", ("x",)),)),
        "phone_landing",
    ),
    "rule of no table": (replace(ACCELEROMETER_TRUSTED, rule=of_nothing), "nowhere_landing"),
    "neither a recount nor references": (replace(CUSTOMER_TRUSTED, recount=None), "recount"),
}


@pytest.mark.parametrize("mistake", OF_OTHERS)
def test__tables__with_a_mistake_among_them(mistake: str) -> None:
    wrong, said = OF_OTHERS[mistake]
    others = [table for table in ALL if table.name != wrong.name]
    with pytest.raises(DeclarationError, match=f"{wrong.name} .*{said}"):
        in_order([*others, wrong])


def test__tables__two_of_a_name() -> None:
    with pytest.raises(DeclarationError, match="customer_trusted"):
        in_order([*ALL, replace(CUSTOMER_TRUSTED, description="Another.")])


def test__tables__each_comes_after_what_it_is_made_of() -> None:
    names = list(in_order(list(reversed(ALL))))
    assert names[0] == "customer_landing"
    for table in ALL:
        for parent in table.parents:
            assert names.index(parent) < names.index(table.name)


def test__quarantine__is_anyones() -> None:
    for table in LANDING_TABLES:
        quarantine = schema.quarantine_of(table)
        assert (quarantine.zone, quarantine.personal) == (Zone.QUARANTINE, True)
        assert not any(isinstance(each, Person | Device) for each in quarantine.subjects)


def _all() -> list[Table]:
    from stedi_assets.tables import DELTA_TABLES

    return [*LANDING_TABLES, *DELTA_TABLES]


ALL = _all()
