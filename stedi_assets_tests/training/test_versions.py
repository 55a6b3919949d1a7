"""Versions of the training set that remain, and those that do not."""

from __future__ import annotations

from pathlib import Path

import pytest
from deltalake import DeltaTable

from stedi_assets.errors import Code, LakehouseError
from stedi_assets.training import load, versions
from stedi_assets_tests.training.conftest import publish, readings, write


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five versions of 1 to 5 devices: 0 and 3 are published, 1 is erased, of 2 files are gone."""
    folder = tmp_path_factory.mktemp("versions") / "lakehouse"
    for version in range(5):
        write(str(folder), readings(version + 1))
        if version < 2:
            publish(folder, version)
        if version in (1, 2):
            old = DeltaTable(folder / versions.LOCATION)
            for file in old.file_uris():
                Path(file.removeprefix("file://")).unlink()
    publish(folder, 1, erased_at="2026-01-01T00:00:00Z")
    publish(folder, 3)
    return folder


def test__version__is_loaded_as_it_was(published: Path) -> None:
    devices = {
        version: len(set(load(str(published), version=version).pandas().serialNumber))
        for version in (0, 3, 4, None)
    }

    assert devices == {0: 1, 3: 4, 4: 5, None: 5}
    assert load(str(published), version=3).version == 3


@pytest.mark.parametrize(
    ("version", "named", "nearest"),
    [
        (1, "is erased", 0),
        (2, "never published", 3),
        (9, "never made", 3),
        (-1, "never made", 0),
    ],
)
def test__version__that_is_gone_names_the_nearest_that_remains(
    published: Path, version: int, named: str, nearest: int
) -> None:
    with pytest.raises(LakehouseError, match=named) as raised:
        load(str(published), version=version)
    assert raised.value.code is Code.VERSION_GONE
    assert f"load version={nearest}." in str(raised.value)


def test__version__that_is_gone_names_the_newest_where_none_is_published(tmp_path: Path) -> None:
    write(str(tmp_path), readings(1))

    with pytest.raises(LakehouseError, match="Load the newest without version=") as raised:
        load(str(tmp_path), version=1)
    assert raised.value.code is Code.VERSION_GONE


def test__version__is_found_in_a_bucket(s3_lakehouse_uri: str) -> None:
    for devices in (1, 2):
        write(s3_lakehouse_uri, readings(devices))

    assert len(set(load(s3_lakehouse_uri, version=0).pandas().serialNumber)) == 1
    with pytest.raises(LakehouseError) as raised:
        load(s3_lakehouse_uri, version=7)
    assert raised.value.code is Code.VERSION_GONE


def test__lakehouse__without_a_training_set_says_so(tmp_path: Path, s3_lakehouse_uri: str) -> None:
    for uri in (str(tmp_path), s3_lakehouse_uri):
        with pytest.raises(LakehouseError, match="not in the lakehouse yet") as raised:
            load(uri)
        assert raised.value.code is Code.NOT_MATERIALISED
