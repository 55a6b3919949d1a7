"""Versions of the training set that remain, and those that do not."""

from __future__ import annotations

import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stedi_assets.errors import Code, LakehouseError
from stedi_assets.training import load, manifest
from stedi_assets_tests.training.conftest import SCHEMA, erase, publish, readings, write


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Five versions of 1 to 5 devices: 0, 1 and 3 are published, and 1 is erased since."""
    folder = str(tmp_path_factory.mktemp("versions") / "lakehouse")
    for version in range(5):
        write(folder, readings(version + 1))
        if version in (0, 1, 3):
            made = publish(folder)
        if version == 1:
            erase(folder, made)
    return folder


def devices(lakehouse: str, version: int | None = None) -> int:
    return len(set(load(lakehouse, version=version).pandas().serialNumber))


def test__version__is_loaded_as_it_was(published: str) -> None:
    assert {each: devices(published, each) for each in (0, 3, 4, None)} == {
        0: 1,
        3: 4,
        4: 5,
        None: 5,
    }
    training = load(published, version=3)
    assert training.version == 3
    assert training.manifest
    assert training.manifest.rows == len(training) == sum(b["mask"].sum() for b in training.numpy())


def test__version__whose_texts_are_views_has_texts(tmp_path: Path) -> None:
    write(str(tmp_path), readings(1))
    made = publish(str(tmp_path))
    views = [pa.field(f.name, pa.string_view()) if f.type == pa.string() else f for f in SCHEMA]
    table = load(str(tmp_path)).arrow().cast(pa.schema(views))
    pq.write_table(table, tmp_path / manifest.LOCATION / made.files[0].name)

    assert load(str(tmp_path), version=0).arrow().schema.equals(SCHEMA)


def test__version__is_loaded_without_the_log_of_delta(published: str, tmp_path: Path) -> None:
    shutil.copytree(published, tmp_path / "copy")
    shutil.rmtree(tmp_path / "copy" / manifest.LOCATION / "_delta_log")

    assert devices(str(tmp_path / "copy"), 3) == 4


def test__version__that_is_erased_says_why(tmp_path: Path) -> None:
    for reason in manifest.Reason:
        write(str(tmp_path), readings(1))
        made = publish(str(tmp_path))
        erase(str(tmp_path), made, reason)
        with pytest.raises(LakehouseError) as raised:
            load(str(tmp_path), version=made.version)
        assert f"is erased {reason}." in str(raised.value)


@pytest.mark.parametrize(
    ("version", "named", "nearest"),
    [(1, "is erased", 0), (2, "is not published", 3), (9, "is not published", 3)],
)
def test__version__that_is_gone_names_the_nearest_that_remains(
    published: str, version: int, named: str, nearest: int
) -> None:
    with pytest.raises(LakehouseError, match=named) as raised:
        load(published, version=version)
    assert raised.value.code is Code.VERSION_GONE
    assert f"load version={nearest}." in str(raised.value)


def test__version__that_is_gone_names_the_newest_where_none_remains(tmp_path: Path) -> None:
    write(str(tmp_path), readings(1))
    erase(str(tmp_path), publish(str(tmp_path)))
    write(str(tmp_path), readings(2))

    with pytest.raises(LakehouseError, match="the newest state is version 1") as raised:
        load(str(tmp_path), version=0)
    assert raised.value.code is Code.VERSION_GONE


@pytest.mark.parametrize("at", [0, -4])
def test__version__whose_file_is_damaged_says_so(at: int, tmp_path: Path) -> None:
    """At its head, where the file is cut short, or in its pages."""
    write(str(tmp_path), readings(1))
    made = publish(str(tmp_path))
    path = tmp_path / manifest.LOCATION / made.files[0].name
    content = bytearray(path.read_bytes())
    if at:
        content = content[: len(content) // 2]
    else:
        content[4:200] = bytes(reversed(content[4:200]))
    path.write_bytes(content)

    with pytest.raises(LakehouseError) as raised:
        load(str(tmp_path), version=0).pandas()
    assert raised.value.code is Code.DATA_FILE_DAMAGED


def test__version__whose_files_are_lost_is_gone(tmp_path: Path) -> None:
    write(str(tmp_path), readings(1))
    made = publish(str(tmp_path))
    (tmp_path / manifest.LOCATION / made.files[0].name).unlink()

    for version in (None, 0):
        with pytest.raises(LakehouseError, match="data file") as raised:
            load(str(tmp_path), version=version)
        assert raised.value.code is Code.VERSION_GONE


def test__version__is_found_in_a_bucket(s3_lakehouse_uri: str) -> None:
    write(s3_lakehouse_uri, readings(1))
    publish(s3_lakehouse_uri)
    write(s3_lakehouse_uri, readings(2))

    assert {each: devices(s3_lakehouse_uri, each) for each in (0, None)} == {0: 1, None: 2}
    with pytest.raises(LakehouseError, match="load version=0") as raised:
        load(s3_lakehouse_uri, version=7)
    assert raised.value.code is Code.VERSION_GONE


def test__lakehouse__without_a_training_set_says_so(tmp_path: Path, s3_lakehouse_uri: str) -> None:
    for uri in (str(tmp_path), s3_lakehouse_uri):
        with pytest.raises(LakehouseError, match="not in the lakehouse yet") as raised:
            load(uri)
        assert raised.value.code is Code.NOT_MATERIALISED
