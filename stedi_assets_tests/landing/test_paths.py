"""No name and no link leads out of the lakehouse or the source folder."""

from __future__ import annotations

import os
import time
import uuid
from pathlib import Path

import boto3
import pytest

from stedi_assets import storage
from stedi_assets.demo_s3 import BUCKET, S3Server
from stedi_assets.errors import LakehouseError
from stedi_assets.lakehouse.lakehouse import Lakehouse
from stedi_assets.landing import upload as arrival
from stedi_assets.landing.ledger import LEDGER
from stedi_assets.orchestration.source import SourceData
from stedi_assets.storage.local import LocalFolder
from stedi_assets.tables.accelerometer import ACCELEROMETER_LANDING
from stedi_assets.tables.step_trainer import STEP_TRAINER_TRUSTED
from stedi_assets_tests.lines import ANN, ANN_READ
from stedi_assets_tests.rows import DEVICE_READINGS, device_reading, rows

TABLE = ACCELEROMETER_LANDING
LINE = f"{ANN}\n"
ODD = [
    pytest.param("a\\b.json", id="backslashes"),
    pytest.param("%2e%2e%2fup.json", id="percent_encoded"),
    pytest.param("a\nb.json", id="newline"),
    pytest.param("a\x1b[2Jb.json", id="terminal_control"),
    pytest.param("\u202enosj.json", id="text_direction"),
    *("a*b.json", "a%41.json", "a?.json", "[a].json", "{a}.json"),
]
NOT_UTF8 = pytest.param(os.fsdecode(b"caf\xe9.json"), id="not_utf8")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """The folder of a source that phones write to."""
    folder = tmp_path / "source" / TABLE.location
    folder.mkdir(parents=True)
    (folder / "good.json").write_text(LINE)
    return folder


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A file that is nobody's business."""
    file = tmp_path / "secret.json"
    file.write_text(LINE)
    return file


def upload(tmp_path: Path, folder: Path) -> list[str]:
    arriving = SourceData(path=str(tmp_path / "source")).folder(TABLE)
    assert arriving is not None
    copied = arrival.ingest(arriving, LocalFolder(f"file://{folder}")).copied
    return [file.name for file in copied]


# Names


@pytest.mark.parametrize("name", [*ODD, NOT_UTF8])
def test__name__odd_in_source(name: str, source: Path, folder: Path, tmp_path: Path) -> None:
    (source / name).write_text(LINE)
    with pytest.raises(LakehouseError, match=r"file \d of 2 by name .* Rename it") as error:
        upload(tmp_path, folder)
    assert str(error.value).isprintable()
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("name", [*ODD, NOT_UTF8])
def test__name__odd_in_landing(name: str, folder: Path, lakehouse: Lakehouse) -> None:
    (folder / name).write_text(LINE)
    with pytest.raises(LakehouseError, match=r"file 1 of 1 by name .* Rename it"):
        lakehouse.read(TABLE)


@pytest.mark.parametrize(
    "name",
    ["-rf.json", "~root.json", "$(id);&.json", "day=1.json", "é女.json", "a" * 237 + ".json"],
)
def test__name__odd_yet_harmless(
    name: str, source: Path, folder: Path, tmp_path: Path, lakehouse: Lakehouse
) -> None:
    (source / "good.json").rename(source / name)
    assert upload(tmp_path, folder) == [name]
    (source / name).write_text(LINE * 2)
    assert upload(tmp_path, folder) == [name]
    assert rows(lakehouse.read(TABLE)) == [ANN_READ] * 2


@pytest.mark.parametrize("name", ODD[1:])  # SeaweedFS takes a backslash for a slash
def test__name__odd_in_bucket(name: str, s3_server: S3Server, s3_lakehouse_uri: str) -> None:
    uri = f"{s3_lakehouse_uri}/{TABLE.location}"
    prefix = uri.removeprefix(f"s3://{BUCKET}/")
    s3_server.client().put_object(Bucket=BUCKET, Key=f"{prefix}/{name}", Body=LINE.encode())
    with pytest.raises(LakehouseError, match=r"file 1 of 1 by name .* Rename it"):
        storage.open_folder(uri).json_lines()


@pytest.mark.usefixtures("aws")
def test__key__elsewhere_in_bucket() -> None:
    """Only keys with no further slash are files of the folder, so none leads out of it.

    In moto, since SeaweedFS takes such steps for those of folders, or refuses them.
    """
    client, bucket = boto3.client("s3"), uuid.uuid4().hex
    client.create_bucket(Bucket=bucket)
    for end in ("/good.json", "/deeper/a.json", "//b.json", "/../../c.json", "-archive/d.json"):
        client.put_object(Bucket=bucket, Key=f"lake/{TABLE.location}{end}", Body=LINE.encode())
    folder = storage.open_folder(f"s3://{bucket}/lake/{TABLE.location}")
    assert [file.name for file in folder.json_lines()] == ["good.json"]


def test__name__too_long_for_a_version(source: Path, folder: Path, tmp_path: Path) -> None:
    longest = source / ("a" * 250 + ".json")
    (source / "good.json").rename(longest)
    upload(tmp_path, folder)
    longest.write_text(LINE * 2)
    with pytest.raises(LakehouseError, match=r"a file's name is too long\. Shorten it"):
        upload(tmp_path, folder)
    assert [path.read_text() for path in folder.glob("a*")] == [LINE]


# Links


def test__link__file_in_source(source: Path, folder: Path, secret: Path, tmp_path: Path) -> None:
    (source / "linked.json").symlink_to(secret)
    with pytest.raises(LakehouseError, match=r"file 2 of 2 by name .* is a symbolic link"):
        upload(tmp_path, folder)
    assert list(folder.iterdir()) == []


def test__link__file_in_landing(folder: Path, secret: Path, lakehouse: Lakehouse) -> None:
    (folder / "linked.json").symlink_to(secret)
    with pytest.raises(LakehouseError, match=r"file 1 of 1 by name .* is a symbolic link"):
        lakehouse.read(TABLE)


def test__link__that_leads_nowhere_is_no_file(source: Path, folder: Path, tmp_path: Path) -> None:
    (source / "linked.json").symlink_to(tmp_path / "nowhere")
    abandoned = folder / ".a.json.0f.part"
    abandoned.symlink_to(tmp_path / "nowhere")
    yesterday = time.time() - 25 * 3600
    os.utime(abandoned, (yesterday, yesterday), follow_symlinks=False)
    assert upload(tmp_path, folder) == ["good.json"]
    assert sorted(path.name for path in folder.iterdir()) == [LEDGER, "good.json"]


def test__link__folder_out_of_source(source: Path, folder: Path, tmp_path: Path) -> None:
    source.rename(tmp_path / "elsewhere")
    source.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(LakehouseError, match=r"landing leads out of .*source by a symbolic link"):
        upload(tmp_path, folder)


def test__link__folder_out_of_lakehouse(lakehouse: Lakehouse, tmp_path: Path, frame) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    table = Path(lakehouse.uri) / STEP_TRAINER_TRUSTED.location
    table.parent.mkdir(parents=True)
    table.symlink_to(elsewhere)
    with pytest.raises(LakehouseError, match=r"trusted leads out of .*lakehouse by a symbolic"):
        lakehouse.write(STEP_TRAINER_TRUSTED, frame(DEVICE_READINGS, [device_reading("d-1")]))
    assert list(elsewhere.iterdir()) == []


def test__link__to_the_whole_lakehouse_or_source(
    source: Path, tmp_path: Path, spark_resource
) -> None:
    """Where they are is for who sets them to say."""
    (tmp_path / "set").symlink_to(tmp_path / "source")
    assert SourceData(path=str(tmp_path / "set")).folder(TABLE) is not None
    lakehouse = Lakehouse(str(tmp_path / "set"), spark_resource)
    assert rows(lakehouse.read(TABLE)) == [ANN_READ]
