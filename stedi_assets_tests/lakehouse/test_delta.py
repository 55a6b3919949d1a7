"""Delta tables read as Arrow, without an engine: exact, and without an abort at Python's exit."""

from __future__ import annotations

import datetime
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import CommitProperties, DeltaTable, write_deltalake
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
README = (PROJECT / "README.md").read_text()
READS = 4


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


def test__readme__reads_a_table_and_exits(tmp_path: Path) -> None:
    for _ in range(3):
        said = CommitProperties(custom_metadata={"a": "b"})
        write_deltalake(tmp_path, ROWS, mode="append", commit_properties=said)
    [code] = re.findall(r"To read a table from Python:\n\n```python\n(.*?)```", README, re.DOTALL)
    script = code.replace("lakehouse/machine_learning/curated", str(tmp_path))

    def read(_: int) -> tuple[int, str]:
        done = subprocess.run(
            [sys.executable, "-c", f"{script}\nprint(readings.num_rows)"],
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(read, range(READS))) == {(0, f"{3 * ROWS.num_rows}\n")}


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
    pandas = r"DeltaTable\([^\n]*\)\.to_pandas\("
    assert not [file for file, text in texts.items() if re.search(f"{reads}|{pandas}", text)]
