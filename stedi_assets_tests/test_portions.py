"""The reference data in portions, with a run after each, gives what it gives in one go."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from stedi_assets.engine.spark import SparkResource
from stedi_assets.lakehouse.plan import Mode
from stedi_assets.tables import DELTA_TABLES, LANDING_TABLES, Table
from stedi_assets_tests.incremental import rows_of, run

pytestmark = pytest.mark.slow

# As a device sends them, or of all times at once.
ORDERS: dict[str, Callable[[Table, list[str]], object]] = {
    "by time": lambda table, lines: (
        lines.sort(key=lambda line: json.loads(line)[table.time_column]) if table.time_column else 0
    ),
    "by chance": lambda _, lines: random.Random(18).shuffle(lines),
}


def portions(source: Path, table: Table, number: int, order: Callable[..., object]) -> list[str]:
    """The lines of a source in as many portions, which come in no order."""
    files = sorted((source / table.location).glob("[!.]*.json"))
    lines = [line for file in files for line in file.read_text().splitlines() if line.strip()]
    order(table, lines)
    size = -(-len(lines) // number)
    found = ["\n".join(lines[n : n + size]) for n in range(0, len(lines), size)]
    random.Random(number).shuffle(found)
    return found


@pytest.mark.parametrize(("order", "number"), [("by time", 20), ("by chance", 6)])
def test__portions__give_what_all_gives_at_once(
    reference_data: Path,
    tmp_path: Path,
    spark_resource: SparkResource,
    order: str,
    number: int,
) -> None:
    if spark_resource.remote:  # which takes ten times as long
        number = 2
    source, lakehouse = tmp_path / "source", tmp_path / "lakehouse"
    delivered = {
        table.location: portions(reference_data, table, number, ORDERS[order])
        for table in LANDING_TABLES
    }
    ranges = set[str]()
    for n, portion in enumerate(zip(*delivered.values(), strict=True)):
        for location, text in zip(delivered, portion, strict=True):
            (source / location).mkdir(parents=True, exist_ok=True)
            (source / location / f"{n:02}.json").write_text(text)
        made = run(lakehouse, source, spark_resource)
        ranges.update(name for name, mode in made.modes.items() if mode is Mode.RANGES)

    at_once = run(tmp_path / "at-once", reference_data, spark_resource)
    assert rows_of(lakehouse) == rows_of(tmp_path / "at-once")
    assert made.figures == at_once.figures
    assert ranges == {table.name for table in DELTA_TABLES if table.time_column}
