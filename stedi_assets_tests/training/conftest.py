"""Training sets to load."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from stedi_assets import storage
from stedi_assets.split import DEFAULT_SPLIT, PARTS
from stedi_assets.storage import address
from stedi_assets.training import manifest
from stedi_assets.training.manifest import Counts, DataFile, Manifest, Reason

FIRST = 1_655_197_200_000
SCHEMA = pa.schema(
    {
        "sensorReadingTime": pa.int64(),
        "serialNumber": pa.string(),
        "distanceFromObject": pa.int32(),
        "timestamp": pa.int64(),
        **dict.fromkeys("xyz", pa.float64()),
        "split": pa.string(),
    }
)
SPLITS = ("train", "train", "validation", "test")
Row = dict[str, Any]


def readings(devices: int, moments: int = 30, seed: int = 7) -> list[Row]:
    """Rows by time: each device's moments of 1 to 3 rows, with pauses of a minute now and then."""
    chance = random.Random(seed)
    rows: list[Row] = []
    for device in range(devices):
        time = FIRST + chance.randrange(240_000)
        for _ in range(moments):
            time += 60_000 if chance.random() < 0.1 else chance.randint(500, 4_000)
            distance = chance.randint(201, 300)
            for _ in range(chance.randint(1, 3)):
                x, y, z = (float(chance.randint(-1, 1)) for _ in "xyz")
                row = (time, f"device-{device}", distance, time, x, y, z, SPLITS[device % 4])
                rows.append(dict(zip(SCHEMA.names, row, strict=True)))
    return sorted(rows, key=lambda row: str(row["sensorReadingTime"]))


def write(lakehouse: str, rows: list[Row], files: int = 1) -> None:
    """Writes rows as the training set, one commit a file."""
    size = -(-len(rows) // files) or 1
    for at in range(0, len(rows) or 1, size):
        write_deltalake(
            f"{lakehouse}/{manifest.LOCATION}",
            pa.Table.from_pylist(rows[at : at + size], SCHEMA),
            mode="append" if at else "overwrite",
        )


def publish(lakehouse: str) -> Manifest:
    """Publishes the newest version of the training set."""
    uri = f"{address.as_uri(lakehouse)}/{manifest.LOCATION}"
    folder = storage.open_folder(uri)
    table = DeltaTable(uri, storage_options=folder.delta_options())
    digests = folder.digests(folder.files())
    added = pa.table(table.get_add_actions(flatten=True)).to_pylist()
    files = tuple(
        DataFile(
            name=each["path"],
            size=each["size_bytes"],
            sha256=digests[each["path"]],
            rows=each["num_records"],
            first=each["min.timestamp"],
            last=each["max.timestamp"],
        )
        for each in added
    )
    made = Manifest(
        version=table.version(),
        state=f"state-{table.version()}",
        published_at=FIRST,
        consent_as_of=FIRST,
        code_version="code",
        split=DEFAULT_SPLIT,
        rows=sum(file.rows for file in files),
        counts={part: Counts(rows=1, people=1, devices=1) for part in PARTS},
        files=files,
        digest=hashlib.sha256("".join(file.sha256 for file in files).encode()).hexdigest(),
    )
    manifest.write(uri, made)
    return made


def erase(lakehouse: str, made: Manifest, because: Reason = Reason.LEFT) -> None:
    """Deletes the files of a published version, of which a tombstone stays."""
    uri = f"{address.as_uri(lakehouse)}/{manifest.LOCATION}"
    storage.open_folder(uri).remove([file.name for file in made.files])
    manifest.write(uri, made.erased(FIRST, because))


@pytest.fixture(scope="session")
def rows() -> list[Row]:
    """The rows of a training set of 40 devices, by time."""
    return readings(40)


@pytest.fixture(scope="session")
def lakehouse(rows: list[Row], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A lakehouse with that training set, in five files in order of time."""
    folder = str(tmp_path_factory.mktemp("training") / "lakehouse")
    write(folder, rows, files=5)
    yield folder
