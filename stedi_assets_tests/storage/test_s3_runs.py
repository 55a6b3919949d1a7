"""The whole project on a real S3 server, by settings alone."""

from __future__ import annotations

import shutil
import uuid
from collections import Counter
from pathlib import Path

import pytest

from stedi_assets import storage
from stedi_assets.demo_s3 import BUCKET, S3Server
from stedi_assets.landing.ledger import LEDGER
from stedi_assets.tables import DELTA_TABLES, LANDING_TABLES, QUARANTINE_TABLES
from stedi_assets.tables.accelerometer import ACCELEROMETER_LANDING
from stedi_assets_tests.conftest import Materialize
from stedi_assets_tests.s3_proxy import S3Proxy
from stedi_assets_tests.storage.conftest import GOOD_ROWS, Start, content, row_counts, table_at

pytestmark = pytest.mark.slow

REFERENCE_ROWS = {
    "customer_trusted": 482,
    "accelerometer_trusted": 40_981,
    "customer_curated": 482,
    "customer_training": 482,
    "step_trainer_trusted": 14_460,
    "machine_learning_curated": 43_681,
    "training_set": 32_025,
}


def test__s3__reference_data_as_on_a_disk(
    run: Start,
    materialize: Materialize,
    proxy: S3Proxy,
    uri: str,
    s3_server: S3Server,
    reference_data: Path,
    tmp_path: Path,
) -> None:
    on_s3 = run(AWS_ENDPOINT_URL=proxy.endpoint, STEDI_SOURCE_DATA=str(reference_data))
    assert on_s3.exit_status == 0, on_s3.printed
    assert row_counts(uri, s3_server) == REFERENCE_ROWS
    assert len(proxy.requests) < 80 * len(DELTA_TABLES)
    ours = {each.method for each in proxy.requests if "Boto" in str(each.headers)}
    assert ours == {"GET", "PUT"}  # no landed file is asked for its digest

    assert materialize(reference_data).result.success
    disk = f"file://{tmp_path}/lakehouse"
    for table in DELTA_TABLES:
        assert content(uri, table, s3_server).equals(content(disk, table, s3_server)), table.name
    for table in LANDING_TABLES:
        landed = {file.name for file in storage.open_folder(f"{disk}/{table.location}").files()}
        prefix = f"{uri.removeprefix(f's3://{BUCKET}/')}/{table.location}/"
        listed = s3_server.client().list_objects_v2(Bucket=BUCKET, Prefix=prefix)["Contents"]
        assert {entry["Key"].removeprefix(prefix) for entry in listed} == landed
        for name in landed - {LEDGER}:
            stored = s3_server.client().get_object(Bucket=BUCKET, Key=prefix + name)["Body"].read()
            assert stored == (reference_data / table.location / name).read_bytes()


def test__s3__a_source_that_does_not_conform_is_read_once(
    run: Start, proxy: S3Proxy, small: Path, tmp_path: Path
) -> None:
    source = shutil.copytree(small, tmp_path / "source")
    for file in source.rglob("*.json"):
        file.write_text(f"\n{file.read_text()}")
    done = run(AWS_ENDPOINT_URL=proxy.endpoint, STEDI_SOURCE_DATA=str(source))
    assert done.exit_status == 0, done.printed
    fetched = Counter(
        request.path
        for request in proxy.requests
        if request.method == "GET" and "/landing/" in request.path and "?" not in request.path
    )
    assert set(fetched.values()) == {1}


def test__s3__profile_gives_credentials_region_and_endpoint(
    run: Start, s3_server: S3Server, uri: str, tmp_path: Path
) -> None:
    config = tmp_path / "config"
    settings = {
        "region": s3_server.environment["AWS_REGION"],
        "endpoint_url": s3_server.endpoint,
        "aws_access_key_id": s3_server.access_key,
        "aws_secret_access_key": s3_server.secret_key,
    }
    lines = [f"{name} = {value}" for name, value in settings.items()]
    config.write_text("\n".join(["[profile lake]", *lines, ""]))
    unset = dict.fromkeys(s3_server.environment)
    done = run(**unset, AWS_PROFILE="lake", AWS_CONFIG_FILE=str(config))
    assert done.exit_status == 0, done.printed
    assert row_counts(uri, s3_server) == GOOD_ROWS


def test__s3__malformed_lines_of_any_file_and_run(
    run: Start, uri: str, s3_server: S3Server, small: Path, tmp_path: Path
) -> None:
    """A bucket's lines are cached: which file a line is of must not be lost by that."""
    source = shutil.copytree(small, tmp_path / "source")
    folders = [source / table.location for table in LANDING_TABLES]

    def land(number: int) -> None:
        for folder in folders:
            (folder / f"z{number}.json").write_text("" if number == 1 else "{\n")

    for number in (1, 2, 3):
        land(number)
    for number in (4, 5):
        done = run(STEDI_SOURCE_DATA=str(source))
        assert "objects_accounted_for" not in done.printed
        assert "trying again" not in done.printed
        for table in QUARANTINE_TABLES:
            assert table_at(uri, table, s3_server).count() == number - 2
        land(number)


def test__s3__a_new_file_costs_as_many_requests_whatever_has_landed(
    run: Start, proxy: S3Proxy, small: Path, tmp_path: Path
) -> None:
    """But for the pages of a listing."""

    def requests(landed: int) -> int:
        source = shutil.copytree(small, tmp_path / f"{landed}")
        folder = source / ACCELEROMETER_LANDING.location
        [first] = folder.glob("*.json")
        for number in range(landed):
            (folder / f"{number:03}.json").write_text(first.read_text())
        place = {
            "STEDI_SOURCE_DATA": str(source),
            "STEDI_LAKEHOUSE_URI": f"s3://{BUCKET}/{uuid.uuid4().hex}",
        }
        assert run(**place).exit_status == 0
        (folder / "new.json").write_text(first.read_text().replace('"x": 1.0', '"x": 2.0'))
        proxy.requests.clear()
        done = run(AWS_ENDPOINT_URL=proxy.endpoint, **place)
        assert done.exit_status == 0, done.printed
        assert "accelerometer_trusted: " in done.printed
        assert "(ranges: " in done.printed
        return sum("list-type" not in request.path for request in proxy.requests)

    assert requests(120) == requests(3)
