"""The demo's S3 server: nobody without a key reaches what is in it."""

from __future__ import annotations

import uuid

import psutil
import pytest

from stedi_assets.demo_s3 import BUCKET, S3Server
from stedi_assets_tests import stranger

KEPT = b"of a person"


@pytest.fixture(scope="module")
def listening(s3_server: S3Server) -> list[int]:
    """Every port at which the server's process listens."""
    [server] = [
        process
        for process in psutil.process_iter(["cmdline"])
        if f"-dir={s3_server.folder / 'data'}" in (process.info["cmdline"] or [])
    ]
    ports = [each.laddr.port for each in server.net_connections() if each.status == "LISTEN"]
    assert set(s3_server.ports.values()) <= set(ports)
    return ports


def test__another_user__reads_writes_and_deletes_nothing(
    s3_server: S3Server, listening: list[int]
) -> None:
    key = uuid.uuid4().hex
    s3_server.client().put_object(Bucket=BUCKET, Key=key, Body=KEPT)
    paths = (f"/{BUCKET}/{key}", f"/buckets/{BUCKET}/{key}", f"/buckets/{BUCKET}?recursive=true")
    requests = [(method, path) for path in paths for method in ("GET", "PUT", "POST", "DELETE")]
    volumes = ("/1,0100000000", "/2,0100000000", "/3,0100000000")
    requests += [(method, path) for path in volumes for method in ("GET", "DELETE")]
    requests += [("GET", f"/dir/lookup?volumeId={number}") for number in range(1, 4)]
    requests += [
        *(("GET", "/dir/assign"), ("GET", "/dir/status"), ("POST", "/submit"), ("GET", "/")),
        *(("GET", f"/col/delete?collection={BUCKET}"), ("GET", "/vol/vacuum"), ("GET", "/ui/")),
    ]

    assert stranger.served(listening, requests) == []

    stored = s3_server.client().get_object(Bucket=BUCKET, Key=key)["Body"].read()
    assert stored == KEPT


def test__folder__is_this_users_alone(s3_server: S3Server) -> None:
    assert s3_server.folder.stat().st_mode & 0o777 == 0o700
    assert (s3_server.folder / "key.pem").stat().st_mode & 0o777 == 0o600
