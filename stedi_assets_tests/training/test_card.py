"""What is kept beside the manifest of a published version."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from statistics import fmean, median_low

import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from stedi_assets.storage import address
from stedi_assets.tables import TABLES, Column
from stedi_assets.tables.columns import ColumnType
from stedi_assets.training import description, manifest, statistics
from stedi_assets.training.statistics import Statistics
from stedi_assets_tests.training.conftest import SCHEMA, Row, publish, write

COLUMNS = (
    *TABLES["machine_learning_curated"].columns,
    Column("split", ColumnType.STRING, "The part that it is for"),
)
NUMBERS = ("distanceFromObject", "x", "y", "z")
STAGES = {"step_trainer_landing": 28_680, "step_trainer_trusted": 14_460}


@pytest.fixture(scope="module")
def counted(spark: SparkSession, rows: list[Row]) -> Statistics:
    """The figures of the training set, each of whose devices is a person's."""
    frame = spark.createDataFrame(pa.Table.from_pylist(rows, SCHEMA))
    people = frame.groupBy("serialNumber").count().selectExpr("count AS rows")
    return statistics.count(frame, people, STAGES, NUMBERS)


@pytest.fixture(scope="module")
def described(
    counted: Statistics, rows: list[Row], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The folder of a published version that is described."""
    folder = tmp_path_factory.mktemp("card") / "lakehouse"
    write(str(folder), rows, files=3)
    made = publish(str(folder))
    uri = f"{address.as_uri(str(folder))}/{manifest.LOCATION}"
    description.write(uri, made, counted, COLUMNS)
    return folder / manifest.LOCATION / manifest.PUBLISHED / str(made.version)


def test__statistics__are_those_of_the_rows(counted: Statistics, rows: list[Row]) -> None:
    moments = Counter((row["serialNumber"], row["timestamp"]) for row in rows)
    ordered = sorted(moments)
    gaps = [
        later[1] - earlier[1]
        for earlier, later in itertools.pairwise(ordered)
        if earlier[0] == later[0]
    ]
    of_device = sorted(Counter(row["serialNumber"] for row in rows).values())

    assert counted.stages == STAGES
    assert counted.moments == len(moments)
    assert counted.repeated == sum(count > 1 for count in moments.values())
    assert counted.gaps[0] < counted.gaps[1] < counted.gaps[2]
    assert counted.gaps[1] == pytest.approx(median_low(gaps), rel=0.01)
    assert counted.fewest_rows == of_device[0]
    assert counted.median_rows == pytest.approx(median_low(of_device), abs=1)
    for column in NUMBERS:
        values = [float(row[column]) for row in rows]
        found = counted.values[column]
        assert (found.least, found.most) == (min(values), max(values))
        assert found.mean == pytest.approx(fmean(values))


def test__statistics__of_no_rows_are_zero(spark: SparkSession, rows: list[Row]) -> None:
    none = spark.createDataFrame(pa.Table.from_pylist(rows[:1], SCHEMA)).where("x > 9")

    found = statistics.count(none, none.selectExpr("timestamp AS rows"), {}, NUMBERS)

    assert (found.moments, found.gaps, found.fewest_rows) == (0, (0, 0, 0), 0)


def test__card__shows_the_figures(described: Path, counted: Statistics, rows: list[Row]) -> None:
    card = (described / "card.md").read_text()

    for part in (
        f"| `training_set` | {len(rows):,} |",
        "| `step_trainer_trusted` | 14,460 |",
        f"takes {counted.gaps[1]:,} ms in the median",
        f"{counted.repeated:,} have several rows",
        f"{counted.median_rows:,} rows in the median, and {counted.fewest_rows:,} at least",
        'load(split="train", version=',
        "## How to withdraw",
    ):
        assert part in card
    for column in COLUMNS:
        assert f"| `{column.name}` | {column.type} | {column.description}" in card
    assert not any(str(row["serialNumber"]) in card for row in rows)


def test__card__is_a_page_of_the_same_tables(described: Path) -> None:
    class Tags(HTMLParser):
        def __init__(self) -> None:
            super().__init__()
            self.count: Counter[str] = Counter()
            self.links: list[str] = []

        def handle_starttag(self, tag: str, attrs: list) -> None:
            self.count[tag] += 1
            self.links += [value for name, value in attrs if name in ("src", "href")]

    tags = Tags()
    tags.feed((described / "card.html").read_text())
    lines = (described / "card.md").read_text().splitlines()

    assert tags.count["h2"] == sum(line.startswith("## ") for line in lines)
    assert tags.count["tr"] == sum(line.startswith("| ") and "---" not in line for line in lines)
    assert tags.links == []


def test__croissant__names_the_files_and_columns_of_the_version(described: Path) -> None:
    metadata = json.loads((described / "croissant.json").read_text())
    kept = json.loads((described / "manifest.json").read_text())

    [table, files] = metadata["distribution"]
    assert files["includes"] == [file["name"] for file in kept["files"]]
    assert all((described / table["contentUrl"] / name).exists() for name in files["includes"])
    [rows] = metadata["recordSet"]
    assert [field["name"] for field in rows["field"]] == SCHEMA.names
