"""The training set in PyTorch."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from stedi_assets.training import load, sequences
from stedi_assets_tests.training.conftest import Row, write

pytestmark = pytest.mark.training

EXITS = 200
# Spawned workers import the program, so that it is a file with a main part.
READ = """
from torch.utils.data import DataLoader
from stedi_assets.training import load

if __name__ == "__main__":
    dataset = load({uri!r}).torch("2s", "500ms", shuffle=True)
    loader = DataLoader(
        dataset, batch_size=None, num_workers={workers}, multiprocessing_context={context!r}
    )
    print(sum(len(batch["start"]) for batch in loader))
"""
# As most processes end that load the training set: without PyTorch.
READ_ARRAYS = """
from stedi_assets.training import load
print(sum(len(batch["start"]) for batch in load({uri!r}).numpy("2s", "500ms")))
"""


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spans of time of about 50 rows."""
    monkeypatch.setattr(sequences, "SPAN_ROWS", 50)


def windows(lakehouse: str) -> list[tuple]:
    batches = load(lakehouse).numpy("2s", "500ms")
    return sorted(key for batch in batches for key in keys(batch))


def keys(batch: Any) -> list[tuple]:
    return [
        (int(start), values[mask].tolist())
        for start, mask, values in zip(batch["start"], batch["mask"], batch["values"], strict=True)
    ]


@pytest.mark.parametrize("workers", [0, 1, 3])
@pytest.mark.parametrize("shuffle", [False, True])
def test__workers__share_the_windows(
    lakehouse: str, spans: None, workers: int, shuffle: bool
) -> None:
    from torch.utils.data import DataLoader

    dataset = load(lakehouse).torch("2s", "500ms", shuffle=shuffle)
    loader = DataLoader(dataset, batch_size=None, num_workers=workers)

    epochs = [[key for batch in loader for key in keys(batch)] for _ in range(2)]

    assert [sorted(epoch) for epoch in epochs] == [windows(lakehouse)] * 2
    assert (epochs[0] != epochs[1]) == shuffle


def test__shuffling__follows_the_seed_of_pytorch(lakehouse: str, spans: None) -> None:
    import torch

    dataset = load(lakehouse).torch("2s", "500ms", shuffle=True)

    def epoch(seed: int) -> list[tuple]:
        torch.manual_seed(seed)
        return [key for batch in dataset for key in keys(batch)]

    assert epoch(1) == epoch(1) != epoch(2)


def test__tensors__have_the_types_that_are_documented(lakehouse: str) -> None:
    batch = next(iter(load(lakehouse).torch(batch_size=5)))

    longest = batch["mask"].shape[1]
    assert {name: (str(each.dtype), tuple(each.shape)) for name, each in batch.items()} == {
        "values": ("torch.float32", (5, longest, 4)),
        "time": ("torch.int64", (5, longest)),
        "mask": ("torch.bool", (5, longest)),
        "start": ("torch.int64", (5,)),
    }


@pytest.mark.parametrize(("workers", "context"), [(0, None), (2, "spawn")])
def test__bucket__is_read_by_workers_that_are_spawned(
    s3_lakehouse_uri: str,
    lakehouse: str,
    rows: list[Row],
    workers: int,
    context: str | None,
    tmp_path: Path,
) -> None:
    write(s3_lakehouse_uri, rows)
    program = tmp_path / "read.py"
    program.write_text(READ.format(uri=s3_lakehouse_uri, workers=workers, context=context))

    done = subprocess.run(
        [sys.executable, program], capture_output=True, text=True, timeout=120, check=True
    )

    assert int(done.stdout) == len(windows(lakehouse))


@pytest.mark.timeout(1800)
def test__process__exits_cleanly(
    s3_lakehouse_uri: str, lakehouse: str, rows: list[Row], tmp_path: Path
) -> None:
    write(s3_lakehouse_uri, rows)
    programs = [
        made.format(uri=uri, workers=0, context=None)
        for made in (READ, READ_ARRAYS)
        for uri in (lakehouse, s3_lakehouse_uri)
    ]

    def run(number: int) -> tuple[int, str]:
        command = [sys.executable, "-c", programs[number % len(programs)]]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300)
        return done.returncode, done.stdout + done.stderr

    with ThreadPoolExecutor(2) as pool:
        ends = set(pool.map(run, range(EXITS)))
    assert ends == {(0, f"{len(windows(lakehouse))}\n")}
