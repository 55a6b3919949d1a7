"""The consent funnel counts the rows and the people of each table, and draws both."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Callable

import pytest
from pyspark.sql import DataFrame

from stedi_assets.pictures import funnel
from stedi_assets.tables import TABLES, Table
from stedi_assets.tables.value_counts import value_counts
from stedi_assets_tests.rows import NOON, Frame, customer, device_reading, phone_reading

Read = Callable[[Table], DataFrame]

ANN, BOB = customer("ann@example.com", "device-1"), customer("bob@example.com", "device-1")
EVE = customer("eve@example.com", "device-eve", None)
ANNS, EVES = phone_reading("ann@example.com"), phone_reading("eve@example.com")
ROWS = {
    "customer_landing": [ANN, ANN, BOB, EVE],
    "accelerometer_landing": [ANNS, ANNS, EVES],
    "step_trainer_landing": [
        device_reading("device-1", NOON),
        device_reading("device-1", NOON + 1),
        device_reading("device-eve"),
        device_reading("device-of-nobody"),
    ],
    "customer_trusted": [ANN, ANN, BOB],
    "accelerometer_trusted": [ANNS, ANNS],
    "step_trainer_trusted": [device_reading("device-1", NOON)],
    "customer_curated": [ANN],
    "machine_learning_curated": [],
}


@pytest.fixture
def read(frame: Frame) -> Read:
    """Hands out the rows above."""
    return lambda table: frame(TABLES[table.name].ddl, ROWS[table.name])


@pytest.mark.parametrize("by_value", [False, True])
def test__figures__rows_and_unique_people(by_value: bool, read: Read) -> None:
    def counted(table: Table) -> DataFrame:
        counts = by_value and table.time_column
        return value_counts(table, read(table)) if counts else read(table)

    found = [
        (row["table"], row["zone"], row["rows"], row["people"]) for row in funnel.figures(counted)
    ]
    assert found == [
        ("customer_landing", "landing", 4, 3),
        ("accelerometer_landing", "landing", 3, 2),
        # A device that two people registered stands for both, one of nobody for none.
        ("step_trainer_landing", "landing", 4, 3),
        ("customer_trusted", "trusted", 3, 2),
        ("accelerometer_trusted", "trusted", 2, 1),
        ("step_trainer_trusted", "trusted", 1, 1),
        ("customer_curated", "curated", 1, 1),
        ("machine_learning_curated", "curated", 0, 0),
    ]


def test__pictures__say_what_they_show(read: Read) -> None:
    people, rows = funnel.pictures(funnel.figures(read))
    assert people.alternative.startswith("People, where their number changes: customer_landing 3; ")
    assert rows.alternative.startswith(
        "Rows on the way to machine_learning_curated: customer_landing 4; "
    )
    for picture in (people, rows):
        for bar in picture.alternative.removesuffix(".").split(": ")[1].split("; "):
            assert f">{bar}<" in picture.svg


def test__pictures__need_nothing_from_elsewhere(read: Read) -> None:
    for picture in funnel.pictures(funnel.figures(read)):
        attributes = [
            name for node in ElementTree.fromstring(picture.svg).iter() for name in node.attrib
        ]
        assert "class" in attributes
        assert not [name for name in attributes if name.endswith(("href", "src"))]
