"""Readings are counted by the size of their acceleration, in equal spans of time and distance."""

from __future__ import annotations

import pytest

from stedi_assets.pictures import movement
from stedi_assets_tests.rows import NOON, PAIRS, Frame

SLIGHT, STEADY, STRONG = movement.CLASSES


def reading(time: int, distance: int, x: float, y: float = 0.0, z: float = 0.0) -> tuple:
    """A row of machine_learning_curated."""
    return (time, "device-1", distance, time, x, y, z)


@pytest.mark.parametrize(
    ("x", "y", "z", "expected"),
    [
        (0.0, 0.0, 0.0, SLIGHT),
        (0.89, 0.0, 0.0, SLIGHT),
        (0.9, 0.0, 0.0, STEADY),
        (0.0, 0.0, -1.0, STEADY),
        (0.6, 0.8, 0.0, STEADY),
        (-1.1, 0.0, 0.0, STEADY),
        (0.0, -1.11, 0.0, STRONG),
        (1.0, -1.0, 1.0, STRONG),
    ],
)
def test__figures__class_of_a_reading(
    x: float, y: float, z: float, expected: str, frame: Frame
) -> None:
    over_time, _ = movement.figures(frame(PAIRS, [reading(NOON, 200, x, y, z)]))
    assert {name: over_time[0][name] for name in movement.CLASSES} == {
        **dict.fromkeys(movement.CLASSES, 0),
        expected: 1,
    }


def test__figures__spans_cover_first_to_last(frame: Frame) -> None:
    """They begin at whole ten seconds and a whole ten, so that no bound is a single reading."""
    hour = 3_600_000
    readings = [reading(NOON + 7 + i * hour, 203 if i < 20 else 321, 1.0) for i in range(24)]
    over_time, by_distance = movement.figures(frame(PAIRS, readings))
    assert [row[STEADY] for row in over_time] == [2] * 12
    assert [row["from (UTC)"] for row in over_time][:2] == [
        "2023-11-14 22:13:20",
        "2023-11-15 00:08:30",
    ]
    assert [(row["distance from"], row[STEADY]) for row in by_distance] == [
        (200 + 20 * i, {0: 20, 6: 4}.get(i, 0)) for i in range(12)
    ]


def test__figures__of_a_sample(frame: Frame) -> None:
    """All readings of a millisecond are in it or none, and each counts for as many as are left."""
    readings = [reading(NOON + i // 2, 200, 1.0) for i in range(4000)]
    over_time, _ = movement.figures(frame(PAIRS, readings), one_in=5)
    total = sum(row[STEADY] for row in over_time)
    assert total % 10 == 0
    assert total != len(readings)
    assert total == pytest.approx(len(readings), rel=0.2)


def test__figures__no_readings(frame: Frame) -> None:
    assert movement.figures(frame(PAIRS, [])) == ([], [])


def test__pictures__say_what_they_show(frame: Frame) -> None:
    end = NOON + 11 * 10_000
    readings = [reading(NOON, 200, 0.0), reading(end, 319, 0.0), reading(NOON, 200, 2.0)]
    over_time, by_distance = movement.figures(frame(PAIRS, readings))
    [counts], [shares] = (
        movement.pictures_over_time(over_time),
        movement.pictures_by_distance(by_distance),
    )
    assert ">from (UTC)<" in counts.svg and ">readings<" in counts.svg
    assert ">% of the class<" in shares.svg
    nothing = ", 0" * 10
    assert f"{SLIGHT}: 1{nothing}, 1; {STEADY}: 0{nothing}, 0; {STRONG}: 1{nothing}, 0" in (
        counts.alternative
    )
    assert "from 200 to 310" in shares.alternative
    assert f"{SLIGHT}: 50.0" in shares.alternative
    assert f"{STRONG}: 100.0" in shares.alternative
