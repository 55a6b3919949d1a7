"""Delta tables read as Arrow, without an engine: exact, and without an abort at Python's exit."""

from __future__ import annotations

import datetime
import re
import subprocess
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake
from pyspark.sql import SparkSession

from stedi_assets.errors import LakehouseError
from stedi_assets.lakehouse import delta
from stedi_assets_tests.conftest import PROJECT

ROWS = pa.table(
    {
        "name": ["x y", "é%20", "a/b", None],
        "number": [1, 2, 3, 4],
        "at": pa.array([1, 2, 3, 4], pa.timestamp("us", "UTC")),
    }
)


@pytest.mark.parametrize("partitions", [None, ["name"]], ids=["plain", "partitioned"])
def test__dataset__is_what_was_written(partitions: list[str] | None, tmp_path: Path) -> None:
    uri = f"file://{tmp_path}/a place é"
    (tmp_path / "a place é").mkdir()
    write_deltalake(f"{tmp_path}/a place é", ROWS, partition_by=partitions)
    found = delta.dataset(uri, DeltaTable(f"{tmp_path}/a place é"))
    assert found.schema.equals(ROWS.schema)
    assert found.to_table().sort_by("number").equals(ROWS)
    assert found.to_table(["at"]).sort_by("at")["at"][0].as_py() == datetime.datetime(
        1970, 1, 1, 0, 0, 0, 1, tzinfo=datetime.UTC
    )


def test__dataset__on_s3(s3_lakehouse_uri: str) -> None:
    write_deltalake(s3_lakehouse_uri, ROWS, partition_by=["name"])
    opened = delta.open_table(s3_lakehouse_uri)
    assert opened is not None
    assert delta.dataset(s3_lakehouse_uri, opened).to_table().sort_by("number").equals(ROWS)


def test__dataset__without_rows(tmp_path: Path) -> None:
    write_deltalake(tmp_path, ROWS.slice(0, 0))
    found = delta.dataset(f"file://{tmp_path}", DeltaTable(tmp_path)).to_table()
    assert found.equals(ROWS.slice(0, 0))


def test__dataset__with_deletion_vectors(tmp_path: Path, spark: SparkSession) -> None:
    place = f"{tmp_path}/t"
    options = {"delta.enableDeletionVectors": "true"}
    frame = spark.createDataFrame([(1,), (2,)], "number int")
    frame.write.format("delta").options(**options).save(place)
    assert "deletionVectors" in (DeltaTable(place).protocol().reader_features or [])
    with pytest.raises(LakehouseError, match=r"cannot be read without Spark.*deletionVectors"):
        delta.dataset(f"file://{place}", DeltaTable(place))


def test__project__names_the_file_system_wherever_it_reads_a_table() -> None:
    """delta-rs's own, the default, aborts the interpreter at its exit now and then."""
    listed = subprocess.run(
        ["git", "ls-files", "*.py", "*.md"], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    files = [
        PROJECT / name for name in listed.stdout.split() if Path(name).name != Path(__file__).name
    ]
    texts = {file: file.read_text() for file in files if file.exists()}
    assert texts
    reads = r"\.to_pyarrow_(?:table|dataset)\((?!\s*filesystem=)"
    pandas = r"DeltaTable\((?:[^()\n]|\([^()\n]*\))*\)\.to_pandas\("
    assert not [file for file, text in texts.items() if re.search(f"{reads}|{pandas}", text)]
