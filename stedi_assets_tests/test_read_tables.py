"""The lines of docs/READ_TABLES.md read the current rows, from a folder and from S3, and exit."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
import sqlglot
from deltalake import write_deltalake
from pyspark.sql import SparkSession

from stedi_assets_tests.conftest import PROJECT

PAGE = (PROJECT / "docs" / "READ_TABLES.md").read_text()
README = (PROJECT / "README.md").read_text()
PLACE = "lakehouse/machine_learning/curated"
ROWS = pa.table({"serialNumber": ["a", "b", None], "timestamp": [1, 2, 3]})
VERSIONS = 3
# With the file system of delta-rs, an exit in four or so aborted.
READS = 2


def line(tool: str) -> str:
    """The code of one tool."""
    return re.findall(rf"^##+ {tool}\n.*?^```\w+\n(.*?)^```", PAGE, re.M | re.S)[0]


def write(place: str) -> str:
    """Writes a table whose old versions have rows of their own."""
    for version in range(VERSIONS):
        write_deltalake(place, ROWS.slice(0, ROWS.num_rows - version), mode="overwrite")
    write_deltalake(place, ROWS, mode="overwrite")
    return place


def reads(tool: str, place: str) -> set[tuple[int, str]]:
    """How processes that run the line of a tool exit, and what they print."""
    script = f"{line(tool).replace(PLACE, place)}\nprint(len(rows))"

    def read(_: int) -> tuple[int, str]:
        done = subprocess.run(
            [sys.executable, "-c", script],
            env=dict(os.environ),
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr

    with ThreadPoolExecutor(READS) as pool:
        return set(pool.map(read, range(READS)))


TOOLS = pytest.mark.parametrize("tool", ["pandas", "Polars", "PyArrow", "DuckDB"])


@TOOLS
def test__line__reads_a_folder(tool: str, tmp_path: Path) -> None:
    assert PLACE in line(tool)
    assert reads(tool, write(str(tmp_path / "table"))) == {(0, f"{ROWS.num_rows}\n")}


@TOOLS
def test__line__reads_from_s3(tool: str, s3_lakehouse_uri: str) -> None:
    assert reads(tool, write(s3_lakehouse_uri)) == {(0, f"{ROWS.num_rows}\n")}


def test__options__are_those_of_both_readers(
    s3_lakehouse_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(s3_lakehouse_uri)
    options = {name: text for name, text in os.environ.items() if name.startswith("AWS_")}
    for name in options:
        monkeypatch.delenv(name)
    names: dict[str, Any] = {}
    script = re.sub(
        r'^place = "s3:.*"$', f"place = {s3_lakehouse_uri!r}", line("On S3"), flags=re.M
    )

    exec(re.sub(r"^options = .*$", f"options = {options!r}", script, flags=re.M), names)

    assert names["place"] == s3_lakehouse_uri and names["options"] == options
    assert names["table"].count() == len(names["frame"].collect()) == ROWS.num_rows


def test__warning__folder_has_old_versions_too(tmp_path: Path) -> None:
    assert len(pd.read_parquet(write(str(tmp_path)))) > ROWS.num_rows


def test__line__spark(tmp_path: Path, spark: SparkSession) -> None:
    names: dict[str, Any] = {"spark": spark}
    exec(line("Spark").replace(PLACE, write(str(tmp_path / "table"))), names)
    assert names["rows"].count() == ROWS.num_rows


def test__readme__lines_read_the_same_rows(tmp_path: Path, spark: SparkSession) -> None:
    [code] = re.findall(r"^```python\n(.*?)^```", README, re.M | re.S)
    names: dict[str, Any] = {"spark": spark}
    exec(code.replace(PLACE, write(str(tmp_path / "table"))), names)
    counted = {
        *(len(names["frame"]), len(names["lazy"].collect()), len(names["relation"].fetchall())),
        *(len(names["table"]), names["rows"].count()),
    }
    assert counted == {ROWS.num_rows}


def test__line__athena_parses() -> None:
    [statement] = sqlglot.parse(line("Athena"), dialect="athena")
    assert statement is not None and statement.sql("athena").startswith("SELECT")
