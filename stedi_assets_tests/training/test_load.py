"""A training set as each library has it."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import pytest

from stedi_assets.errors import Code, LakehouseError
from stedi_assets.training import load
from stedi_assets_tests.training.conftest import SCHEMA, Row, readings, write

READ = """
from stedi_assets.training import load
training = load({uri!r}, split="train")
print(sum(batch["mask"].sum() for batch in training.numpy()), len(training.arrow()))
"""


def of(rows: list[Row], split: str) -> list[Row]:
    return [row for row in rows if row["split"] == split]


def by_value(rows: list[Row]) -> list[str]:
    return sorted(map(str, rows))


def test__frames__have_the_rows_of_the_split(lakehouse: str, rows: list[Row]) -> None:
    training = load(lakehouse, split="train")
    frames = {
        "arrow": training.arrow().to_pylist(),
        "pandas": training.pandas().to_dict("records"),
        "polars": training.polars().to_dicts(),
        "duckdb": training.duckdb().to_arrow_table().to_pylist(),
        "batches": [row for batch in training.batches() for row in batch.to_pylist()],
    }

    for name, found in frames.items():
        assert by_value(found) == by_value(of(rows, "train")), name
    assert len(training) == len(of(rows, "train"))
    assert load(lakehouse).arrow().schema.equals(SCHEMA)
    assert len(load(lakehouse)) == len(rows)


def test__columns__come_in_the_order_asked_for(lakehouse: str) -> None:
    training = load(lakehouse, split="test", columns=["z", "serialNumber", "x"])

    assert training.arrow().column_names == ["z", "serialNumber", "x"]
    assert training.duckdb().columns == ["z", "serialNumber", "x"]
    assert training.features == ["z", "x"]
    assert next(training.numpy())["values"].shape[2] == 2


def test__lakehouse__is_that_of_the_setting(
    lakehouse: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STEDI_LAKEHOUSE_URI", lakehouse)

    assert load().version == load(lakehouse).version


def test__import__takes_neither_spark_nor_dagster(lakehouse: str) -> None:
    program = READ.format(uri=lakehouse) + (
        "import sys; assert not {'pyspark', 'dagster', 'boto3', 'pysail'} & set(sys.modules)"
    )

    subprocess.run([sys.executable, "-c", program], check=True, timeout=120)


def test__process__exits_cleanly_after_reading_from_a_bucket(
    s3_lakehouse_uri: str, rows: list[Row]
) -> None:
    write(s3_lakehouse_uri, rows)
    command = [sys.executable, "-c", READ.format(uri=s3_lakehouse_uri)]

    def run(_: int) -> tuple[int, str]:
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        return done.returncode, done.stdout + done.stderr

    with ThreadPoolExecutor(2) as pool:
        ends = set(pool.map(run, range(10)))
    count = len(of(rows, "train"))
    assert ends == {(0, f"{count} {count}\n")}


def test__split__without_rows_is_named(tmp_path: Path) -> None:
    write(str(tmp_path), of(readings(4), "train"))

    with pytest.raises(LakehouseError, match="split test of version 0") as raised:
        load(str(tmp_path), split="test")
    assert raised.value.code is Code.SPLIT_EMPTY
    assert len(load(str(tmp_path), split="train"))


def test__arguments__that_are_wrong_are_named(lakehouse: str) -> None:
    training = load(lakehouse)
    wrong = {
        "split 'dev'": lambda: load(lakehouse, split="dev"),
        "column 'label'": lambda: load(lakehouse, columns=["label"]),
        "window='2 weeks'": lambda: training.numpy("2 weeks"),
        "step=0": lambda: training.numpy("2s", 0),
        "gap='-1s'": lambda: training.numpy("2s", gap="-1s"),
        "batch_size=0": lambda: training.numpy(batch_size=0),
        "batch_size=2.5": lambda: training.numpy(batch_size=cast("Any", 2.5)),
        "window=1.5": lambda: training.numpy(cast("Any", 1.5)),
        "window='99999999999h'": lambda: training.numpy("99999999999h"),
        "seed=-1": lambda: training.numpy(seed=-1),
        "version='latest'": lambda: load(lakehouse, version=cast("Any", "latest")),
        "columns has none": lambda: load(lakehouse, columns=[]),
        "column of numbers": lambda: load(lakehouse, columns=["split"]).numpy(),
    }

    for named, call in wrong.items():
        with pytest.raises(LakehouseError, match=named) as raised:
            call()
        assert raised.value.code is Code.SETTING


def test__library__that_is_not_installed_is_named(
    lakehouse: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)

    with pytest.raises(LakehouseError, match="pip install torch") as raised:
        load(lakehouse).torch()
    assert raised.value.code is Code.NOT_INSTALLED
