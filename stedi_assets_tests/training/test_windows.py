"""Sequences and windows as arrays, beside a plain way to make them of the same rows."""

from __future__ import annotations

import random
import tracemalloc
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from deltalake import write_deltalake

from stedi_assets.errors import Code, LakehouseError
from stedi_assets.training import load, manifest, sequences
from stedi_assets.training.windows import Batch
from stedi_assets_tests.training.conftest import FIRST, SCHEMA, Row, readings, write

GAP = 10_000
# What a sequence or window is: when it begins, and the times and values of its rows.
Item = tuple[int, list[tuple]]


def plain_sequences(rows: list[Row]) -> list[list[tuple]]:
    of_device = defaultdict(list)
    for row in rows:
        values = [row[name] for name in ("distanceFromObject", "x", "y", "z")]
        of_device[row["serialNumber"]].append((row["sensorReadingTime"], *values))
    found: list[list[tuple]] = []
    for readings_of_device in of_device.values():
        last = -GAP
        for reading in sorted(readings_of_device):
            if reading[0] - last > GAP:
                found.append([])
            found[-1].append(reading)
            last = reading[0]
    return found


def plain_windows(rows: list[Row], window: int, step: int) -> list[Item]:
    found = []
    for sequence in plain_sequences(rows):
        first, last = sequence[0][0], sequence[-1][0]
        for start in range(first, last - window + 1, step):
            inside = [each for each in sequence if start <= each[0] < start + window]
            if inside:
                found.append((start, inside))
    return sorted(found)


def items(batches: Iterable[Batch]) -> list[Item]:
    found = []
    for batch in batches:
        assert batch["values"].dtype == np.float32
        assert not batch["values"][~batch["mask"]].any()
        assert not batch["time"][~batch["mask"]].any()
        arrays = (batch[name] for name in ("start", "mask", "time", "values"))
        for start, mask, time, values in zip(*arrays, strict=True):
            rows = zip(time[mask], values[mask], strict=True)
            found.append((int(start), sorted((int(t + start), *map(float, v)) for t, v in rows)))
    return sorted(found)


def shuffled(rows: list[Row]) -> list[Row]:
    return random.Random(1).sample(rows, len(rows))


@pytest.fixture(params=["in order of time", "in no order"])
def written(
    request: pytest.FixtureRequest, tmp_path: Path, rows: list[Row], monkeypatch: pytest.MonkeyPatch
) -> str:
    """The training set in many files, read in spans of about 50 rows."""
    monkeypatch.setattr(sequences, "SPAN_ROWS", 50)
    write(str(tmp_path), rows if request.param == "in order of time" else shuffled(rows), files=8)
    return str(tmp_path)


@pytest.mark.parametrize("seed", [None, 1])
def test__sequences__are_whole_and_unique(written: str, rows: list[Row], seed: int | None) -> None:
    expected = sorted((each[0][0], each) for each in plain_sequences(rows))

    assert items(load(written).numpy(seed=seed, batch_size=7)) == expected


@pytest.mark.parametrize("split", [None, "test"])
@pytest.mark.parametrize(("window", "step"), [("2s", "500ms"), ("2s", None), ("7s", "1s")])
def test__windows__are_those_within_sequences(
    written: str, rows: list[Row], window: str, step: str | None, split: str | None
) -> None:
    used = [row for row in rows if split in (None, row["split"])]
    length = int(window[:-1]) * 1000
    every = {None: length, "500ms": 500, "1s": 1000}[step]

    found = items(load(written, split=split).numpy(window, step, batch_size=64))

    assert found == plain_windows(used, length, every)


def test__seed__decides_the_order(written: str) -> None:
    def starts(seed: int | None) -> list[int]:
        batches = load(written).numpy("2s", "500ms", seed=seed)
        return [int(start) for batch in batches for start in batch["start"]]

    assert starts(1) == starts(1) != starts(2)
    assert sorted(starts(1)) == sorted(starts(None)) != starts(1)


def test__sequence__longer_than_many_spans_stays_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sequences, "SPAN_ROWS", 20)
    names = readings(1, 1)[0]
    rows = [names | {"timestamp": FIRST + 1000 * second} for second in range(500)]
    write(str(tmp_path), rows, files=10)

    [batch] = load(str(tmp_path)).numpy()

    assert batch["mask"].shape == (1, 500)
    assert batch["time"][0].tolist() == list(range(0, 500_000, 1000))


def test__window__longer_than_any_sequence_says_how_long_they_are(tmp_path: Path) -> None:
    first, second = readings(1, 1)[0], readings(1, 1)[0]
    second["timestamp"] = first["timestamp"] + 1_234
    write(str(tmp_path), [first, second])

    with pytest.raises(LakehouseError, match="the longest takes 1,234 ms") as raised:
        load(str(tmp_path)).numpy("2s", "500ms")
    assert raised.value.code is Code.SETTING
    assert len(list(load(str(tmp_path)).numpy(1_234))) == 1


def test__memory__does_not_grow_with_the_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sequences, "SPAN_ROWS", 5_000)
    hour = pa.Table.from_pylist(readings(100), SCHEMA)
    peaks = []
    for hours in (4, 32):
        for number in range(hours):
            time = pc.add(hour["timestamp"], pa.scalar(number * 3_600_000))
            column = hour.schema.get_field_index("timestamp")
            later = hour.set_column(column, "timestamp", time)
            write_deltalake(f"{tmp_path}/{hours}/{manifest.LOCATION}", later, mode="append")
        training = load(f"{tmp_path}/{hours}")
        usual = pa.default_memory_pool()
        pool = pa.proxy_memory_pool(usual)
        pa.set_memory_pool(pool)
        tracemalloc.start()
        try:
            rows = sum(int(batch["mask"].sum()) for batch in training.numpy(seed=1))
            peaks.append(tracemalloc.get_traced_memory()[1] + pool.max_memory())
        finally:
            tracemalloc.stop()
            pa.set_memory_pool(usual)
        assert rows == hours * hour.num_rows
    assert peaks[1] < 1.5 * peaks[0]
