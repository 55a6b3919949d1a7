"""Croissant metadata as its own library reads it."""

from __future__ import annotations

from pathlib import Path

import pytest

from stedi_assets.storage import address
from stedi_assets.tables import TABLES, Column
from stedi_assets.tables.columns import ColumnType
from stedi_assets.training import croissant, manifest
from stedi_assets_tests.training.conftest import Row, publish, readings, write

pytestmark = pytest.mark.training

COLUMNS = (
    *TABLES["machine_learning_curated"].columns,
    Column("split", ColumnType.STRING, "The part that it is for"),
)


def test__mlcroissant__validates_it_and_reads_the_rows_of_the_version(
    tmp_path: Path, rows: list[Row], caplog: pytest.LogCaptureFixture
) -> None:
    import mlcroissant

    write(str(tmp_path), readings(2, seed=8))
    write(str(tmp_path), rows, files=3)
    made = publish(str(tmp_path))
    write(str(tmp_path), readings(3, seed=9))
    folder = manifest.folder_of(
        f"{address.as_uri(str(tmp_path))}/{manifest.LOCATION}", made.version
    )
    path = Path(folder.removeprefix("file://"), "croissant.json")
    path.write_text(croissant.render(made, COLUMNS))

    dataset = mlcroissant.Dataset(path)
    records = list(dataset.records("rows"))

    issues = dataset.metadata.ctx.issues
    assert not issues.errors
    assert not issues.warnings
    assert str(dataset.metadata.ctx.conforms_to.value) == croissant.CONFORMS_TO
    found = [
        {
            name.removeprefix("rows/"): value.decode() if isinstance(value, bytes) else value
            for name, value in record.items()
        }
        for record in records
    ]
    assert sorted(map(str, plain(found))) == sorted(map(str, rows))


def plain(records: list[dict]) -> list[Row]:
    return [
        {name: value.item() if hasattr(value, "item") else value for name, value in each.items()}
        for each in records
    ]
