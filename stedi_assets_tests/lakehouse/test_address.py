"""Where a lakehouse may be, and what is said of where it may not."""

from __future__ import annotations

from pathlib import Path

import pytest

from stedi_assets.engine.spark import SparkResource
from stedi_assets.errors import LakehouseError
from stedi_assets.lakehouse.lakehouse import Lakehouse
from stedi_assets_tests.lakehouse.conftest import READINGS, TABLE
from stedi_assets_tests.rows import DEVICE_READINGS, Frame, rows


@pytest.mark.parametrize("name", ["my lakehouse", "100%", "a?b", "lake#1", "straße"])
def test__address__has_characters_that_cannot_be_written_to(
    name: str, tmp_path: Path, spark_resource: SparkResource, frame: Frame
) -> None:
    lakehouse = Lakehouse(str(tmp_path / name), spark_resource)
    with pytest.raises(LakehouseError, match=r"STEDI_LAKEHOUSE_URI.*letters, digits"):
        lakehouse.write(TABLE, frame(DEVICE_READINGS, READINGS), {})
    with pytest.raises(LakehouseError, match=r"STEDI_LAKEHOUSE_URI.*letters, digits"):
        lakehouse.read(TABLE)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("uri", ["gs://bucket/lake", "s3a://bucket", "https://example.com/lake"])
def test__address__has_an_unknown_scheme(
    uri: str, spark_resource: SparkResource, frame: Frame
) -> None:
    lakehouse = Lakehouse(uri, spark_resource)
    with pytest.raises(LakehouseError, match=f"STEDI_LAKEHOUSE_URI={uri} is neither a folder nor"):
        lakehouse.write(TABLE, frame(DEVICE_READINGS, READINGS), {})


@pytest.mark.parametrize("where", ["lakehouse", "lakehouse/step_trainer"])
def test__address__a_file_stands_there(
    where: str, lakehouse: Lakehouse, frame: Frame, tmp_path: Path
) -> None:
    file = tmp_path / where
    file.parent.mkdir(exist_ok=True)
    file.write_text("kept")
    with pytest.raises(LakehouseError, match=r"a file stands where a folder belongs"):
        lakehouse.write(TABLE, frame(DEVICE_READINGS, READINGS), {})
    with pytest.raises(LakehouseError):
        lakehouse.read(TABLE)
    assert file.read_text() == "kept"


@pytest.mark.parametrize("form", ["{}", "{}/", "file://{}"])
def test__address__in_any_form_of_a_folder(
    form: str, tmp_path: Path, spark_resource: SparkResource, frame: Frame
) -> None:
    lakehouse = Lakehouse(form.format(tmp_path / "lake"), spark_resource)
    lakehouse.write(TABLE, frame(DEVICE_READINGS, READINGS), {})
    assert rows(lakehouse.read(TABLE)) == READINGS
    assert (tmp_path / "lake" / "step_trainer" / "trusted" / "_delta_log").is_dir()


def test__address__relative_to_the_working_folder(
    tmp_path: Path,
    spark_resource: SparkResource,
    frame: Frame,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    lakehouse = Lakehouse("lake", spark_resource)
    lakehouse.write(TABLE, frame(DEVICE_READINGS, READINGS), {})
    assert rows(lakehouse.read(TABLE)) == READINGS
    assert (tmp_path / "lake" / "step_trainer" / "trusted" / "_delta_log").is_dir()
