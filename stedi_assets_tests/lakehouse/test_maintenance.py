"""A table loses its old versions and nothing else, on a disk and in a bucket, killed or not."""

from __future__ import annotations

import json
import os
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import pyarrow as pa
import pytest
from deltalake import CommitProperties, DeltaTable, write_deltalake

from stedi_assets import storage
from stedi_assets.lakehouse import delta, maintenance
from stedi_assets.lakehouse.commit import Commit
from stedi_assets.lakehouse.maintenance import Deleted
from stedi_assets.storage.local import LocalFolder


def make(uri: str) -> None:
    """Three versions; the second names Ann, the last is of maintenance."""
    for email in ("bob@example.com", "ann@example.com", "bob@example.com"):
        write_deltalake(
            uri,
            pa.table({"email": [email]}),
            mode="overwrite",
            storage_options=storage.open_folder(uri).delta_options(),
            commit_properties=CommitProperties(
                custom_metadata={"userMetadata": Commit(run=email[:3]).text}
            ),
        )
    table = delta.open_table(uri)
    assert table is not None
    table.optimize.compact()


def require_current_version(uri: str) -> None:
    """Makes sure that the last version is there, and what its writer kept."""
    table, state = delta.open_table(uri), delta.state(uri)
    assert table is not None
    assert state is not None
    assert delta.dataset(uri, table).to_table()["email"].to_pylist() == ["bob@example.com"]
    assert (state.rows, state.commit) == (1, Commit(run="bob"))


@pytest.fixture(params=["disk", "bucket"])
def uri(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where the table is."""
    if request.param == "disk":
        return f"file://{tmp_path}/customer/trusted"
    return f"{request.getfixturevalue('s3_lakehouse_uri')}/customer/trusted"


def content(uri: str) -> bytes:
    """All bytes that are stored."""
    folders = [storage.open_folder(place) for place in (uri, f"{uri}/_delta_log")]
    return b"".join(folder.open(file).read() for folder in folders for file in folder.files())


def test__delete_old_versions__leaves_the_current_version(uri: str) -> None:
    make(uri)
    assert b"ann@example.com" in content(uri)
    assert len(maintenance.superseded_files(uri)) == 2

    assert maintenance.delete_old_versions(uri) == Deleted(files=2, versions=2)

    assert b"ann@example.com" not in content(uri)
    assert maintenance.superseded_files(uri) == []
    require_current_version(uri)

    state = delta.state(uri)
    assert maintenance.delete_old_versions(uri) == Deleted()
    assert delta.state(uri) == state
    make(uri)
    require_current_version(uri)


def test__delete_old_versions__keeps_what_another_writer_is_about_to_commit(tmp_path: Path) -> None:
    make(f"file://{tmp_path}/t")
    names = {"young.parquet": 0, "old.parquet": 2 * 3600}
    for name, age in names.items():
        (tmp_path / "t" / name).write_bytes(b"PAR1")
        os.utime(tmp_path / "t" / name, (time.time() - age, time.time() - age))

    maintenance.delete_old_versions(f"file://{tmp_path}/t")

    assert [(tmp_path / "t" / name).exists() for name in names] == [True, False]
    assert len(maintenance.superseded_files(f"file://{tmp_path}/t")) == 1


def test__delete_old_versions__clock_was_fast_when_it_was_written(tmp_path: Path) -> None:
    """A day ahead, by what the log and the disk say of when files were written and replaced."""
    uri = f"file://{tmp_path}/t"
    make(uri)
    tomorrow = time.time() + 24 * 3600
    (tmp_path / "t" / "left-by-a-killed-run.parquet").write_bytes(b"PAR1")
    for path in (tmp_path / "t").rglob("*"):
        if path.suffix == ".json":
            actions = [json.loads(line) for line in path.read_text().splitlines()]
            for action in actions:
                for times in action.values():
                    for name in ("deletionTimestamp", "modificationTime", "timestamp"):
                        if name in times:
                            times[name] = int(tomorrow * 1000)
            path.write_text("".join(json.dumps(action) + "\n" for action in actions))
        if path.is_file():
            os.utime(path, (tomorrow, tomorrow))

    assert maintenance.delete_old_versions(uri).files == 3

    assert b"ann@example.com" not in content(uri)
    assert maintenance.superseded_files(uri) == []
    assert maintenance.why_old_files_remain(uri) is None
    require_current_version(uri)


def test__why_old_files_remain__says_until_when(tmp_path: Path) -> None:
    uri = f"file://{tmp_path}/t"
    make(uri)
    maintenance.delete_old_versions(uri)
    path = tmp_path / "t" / "young.parquet"
    path.write_bytes(b"PAR1")
    os.utime(path, (time.time(), time.time() - 1200))
    until = datetime.fromtimestamp(path.stat().st_mtime + 3600, UTC)

    maintenance.delete_old_versions(uri)
    assert f"{until:%Y-%m-%d %H:%M} UTC" in (maintenance.why_old_files_remain(uri) or "")
    path.unlink()
    make(uri)
    assert "UTC" not in (maintenance.why_old_files_remain(uri) or "UTC")


def test__delete_old_versions__of_no_table(tmp_path: Path) -> None:
    assert maintenance.delete_old_versions(f"file://{tmp_path}/none") == Deleted()


@pytest.mark.parametrize(
    "moment",
    ["remove", "remove_half", "vacuum", "create_write_transaction", "create_checkpoint", "trim"],
)
def test__delete_old_versions__dies_then_goes_on(
    moment: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = f"file://{tmp_path}/t"
    make(uri)

    def die(*given: Any, **_: Any) -> None:
        if moment in ("remove_half", "trim"):
            folder, names = given
            if moment == "trim" and not folder.uri.endswith("_delta_log"):
                return really(folder, names)
            really(folder, names[: len(names) // 2])
        raise SystemExit

    really = LocalFolder.remove
    with monkeypatch.context() as patched:
        if moment.startswith("remove") or moment == "trim":
            patched.setattr(LocalFolder, "remove", die)
        else:
            patched.setattr(DeltaTable, moment, die)
        with pytest.raises(SystemExit):
            maintenance.delete_old_versions(uri)
    require_current_version(uri)

    maintenance.delete_old_versions(uri)

    assert b"ann@example.com" not in content(uri)
    require_current_version(uri)


def test__delete_noncurrent_versions__of_a_bucket(aws: dict[str, str]) -> None:
    client = boto3.client("s3")
    client.create_bucket(Bucket="versioned")
    client.put_bucket_versioning(Bucket="versioned", VersioningConfiguration={"Status": "Enabled"})
    for key, contents in {"l/t/a": b"12", "l/t/b/c": b"3", "l/u/a": b"45"}.items():
        for byte in contents:
            client.put_object(Bucket="versioned", Key=key, Body=bytes([byte]))
    client.delete_object(Bucket="versioned", Key="l/t/b/c")

    assert storage.open_folder("s3://versioned/l/t").delete_noncurrent_versions()

    listed = client.list_object_versions(Bucket="versioned")
    left = [(each["Key"], each["IsLatest"]) for each in listed["Versions"]]
    assert sorted(left) == [("l/t/a", True), ("l/u/a", False), ("l/u/a", True)]
    assert "DeleteMarkers" not in listed
    assert client.get_object(Bucket="versioned", Key="l/t/a")["Body"].read() == b"2"
