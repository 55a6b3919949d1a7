"""Files that arrive, change or go are noticed, in a bounded number of requests."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import islice
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import boto3
import pytest

from stedi_assets.landing.watch import PAGES_A_LOOK, SETTLE_SECONDS, Seen, look
from stedi_assets.storage.folder import Folder
from stedi_assets.storage.local import LocalFolder
from stedi_assets.storage.s3 import S3Folder

NOW = 1_700_000_000.0
LONG_AGO = NOW - 1000
PAGE = 50  # a server may give fewer keys than the thousand it may give at most
KEYS = 12 * PAGE
LOOKS_A_SWEEP = -(-KEYS // (PAGE * PAGES_A_LOOK))


def put(folder: Path, name: str, content: str = "{}", modified: float = LONG_AGO) -> None:
    (folder / name).write_text(content)
    os.utime(folder / name, (modified, modified))


@pytest.fixture
def local(tmp_path: Path) -> LocalFolder:
    return LocalFolder(f"file://{tmp_path}")


# A disk


def test__look__again_and_nothing_has_changed(local: LocalFolder, tmp_path: Path) -> None:
    put(tmp_path, "a.json")
    seen = look(local, Seen(), NOW)

    assert seen.known.files == 1
    assert look(local, seen, NOW + 1) == seen


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: put(folder, "b.json"),
        lambda folder: put(folder, "0.json.gz"),
        lambda folder: put(folder, "a.json", modified=LONG_AGO + 1),
        lambda folder: put(folder, "a.json", content="{}\n"),
        lambda folder: (folder / "a.json").rename(folder / "c.json"),
        lambda folder: (folder / "a.json").unlink(),
    ],
    ids=["arrived", "arrived before others", "rewritten", "grown", "renamed", "removed"],
)
def test__look__sees_a_change(
    local: LocalFolder, tmp_path: Path, change: Callable[[Path], None]
) -> None:
    put(tmp_path, "a.json")
    before = look(local, Seen(), NOW)
    change(tmp_path)

    assert look(local, before, NOW).known.digest != before.known.digest


def test__look__passes_over_what_landing_does_not_read(local: LocalFolder, tmp_path: Path) -> None:
    put(tmp_path, "a.json")
    before = look(local, Seen(), NOW)
    for name in (".a.json.1f.part", ".b.json", "_b.json", "b.txt", "b.json.tmp"):
        put(tmp_path, name)

    assert look(local, before, NOW).known == before.known


def test__look__passes_over_a_file_just_modified(local: LocalFolder, tmp_path: Path) -> None:
    put(tmp_path, "a.json", modified=NOW)

    at_once = look(local, Seen(), NOW + SETTLE_SECONDS - 1)
    later = look(local, at_once, NOW + SETTLE_SECONDS)

    assert (at_once.known.files, later.known.files) == (0, 1)


@pytest.mark.parametrize(("ahead", "files"), [(SETTLE_SECONDS - 1, 0), (3600, 1)])
def test__look__file_from_a_clock_that_is_ahead(
    local: LocalFolder, tmp_path: Path, ahead: float, files: int
) -> None:
    """A little: it may still be being written. Much: waiting would leave it out for long."""
    put(tmp_path, "a.json", modified=NOW + ahead)

    assert look(local, Seen(), NOW).known.files == files


def test__look__folder_that_is_not_there(tmp_path: Path) -> None:
    assert look(LocalFolder(f"file://{tmp_path}/none"), Seen(), NOW) == Seen()


# A bucket


class Bucket:
    """An S3 server that only lists, from memory."""

    endpoint = ""

    def __init__(self) -> None:
        self.etags = {f"file-{number:06}.json": "first" for number in range(KEYS)}
        self.requests = 0

    def page(self, start_after: str) -> str:
        self.requests += 1
        names = sorted(f"landing/{name}" for name in self.etags)
        after = [name for name in names if name > start_after]
        listed = list(islice(after, PAGE))
        entries = "".join(
            f"<Contents><Key>{name}</Key><Size>2</Size>"
            "<LastModified>2026-01-01T00:00:00.000Z</LastModified>"
            f"<ETag>{self.etags[name.removeprefix('landing/')]}</ETag></Contents>"
            for name in listed
        )
        more = len(after) > PAGE
        token = f"<NextContinuationToken>{listed[-1]}</NextContinuationToken>" if more else ""
        return (
            f"<ListBucketResult><IsTruncated>{str(more).lower()}</IsTruncated>{token}{entries}"
            "</ListBucketResult>"
        )


@pytest.fixture
def bucket() -> Iterator[Bucket]:
    bucket = Bucket()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = {name: value for name, [value] in parse_qs(urlsplit(self.path).query).items()}
            page = bucket.page(asked.get("continuation-token") or asked.get("start-after", ""))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(page.encode())

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
        bucket.endpoint = f"http://127.0.0.1:{server.server_port}"
        yield bucket
        server.shutdown()


@pytest.fixture
def folder(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> Folder:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "any")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "any")
    folder = S3Folder("s3://bucket/landing")
    folder.client = boto3.client(
        "s3",
        endpoint_url=bucket.endpoint,
        region_name="us-east-1",
    )
    return folder


def test__look__at_a_bucket_that_does_not_change(folder: Folder, bucket: Bucket) -> None:
    """The first takes in all of it, the others ask a bounded number of requests."""
    first = seen = look(folder, Seen(), NOW)
    assert (seen.known.files, seen.last, seen.position) == (KEYS, f"file-{KEYS - 1:06}.json", "")
    for _ in range(2 * LOOKS_A_SWEEP + 1):
        bucket.requests = 0
        seen = look(folder, seen, NOW)
        assert 0 < bucket.requests <= PAGES_A_LOOK + 1
        assert seen.known == first.known


def changes(folder: Folder, seen: Seen, looks: int) -> list[int]:
    """After which looks another digest was known."""
    found = []
    for number in range(1, looks + 1):
        before, seen = seen, look(folder, seen, NOW)
        if seen.known.digest != before.known.digest:
            found.append(number)
    return found


def test__look__key_after_all_others_is_seen_at_once_and_only_once(
    folder: Folder, bucket: Bucket
) -> None:
    seen = look(folder, Seen(), NOW)
    bucket.etags["file-9.json"] = "first"

    assert changes(folder, seen, 2 * LOOKS_A_SWEEP + 1) == [1]


@pytest.mark.parametrize("name", ["file-000000.json", f"file-{KEYS - 1:06}.json"])
def test__look__changed_key_is_seen_within_a_sweep(
    folder: Folder, bucket: Bucket, name: str
) -> None:
    seen = look(folder, Seen(), NOW)
    bucket.etags[name] = "second"

    assert changes(folder, seen, 2 * LOOKS_A_SWEEP + 1) == [LOOKS_A_SWEEP]


def test__look__key_before_others_and_removed_key_are_seen(folder: Folder, bucket: Bucket) -> None:
    seen = look(folder, Seen(), NOW)
    bucket.etags["before.json"] = "first"
    assert changes(folder, seen, LOOKS_A_SWEEP) == [LOOKS_A_SWEEP]
    del bucket.etags["before.json"], bucket.etags["file-000001.json"]
    assert changes(folder, seen, LOOKS_A_SWEEP) == [LOOKS_A_SWEEP]


def test__look__key_that_changes_behind_the_sweep_is_seen_by_the_next(
    folder: Folder, bucket: Bucket
) -> None:
    seen = look(folder, look(folder, Seen(), NOW), NOW)
    bucket.etags["file-000000.json"] = "second"

    assert changes(folder, seen, 2 * LOOKS_A_SWEEP) == [2 * LOOKS_A_SWEEP - 1]


def test__look__many_keys_at_once_are_all_known_after_a_while(
    folder: Folder, bucket: Bucket
) -> None:
    seen = look(folder, Seen(), NOW)
    bucket.etags |= {f"next-{number:06}.json": "first" for number in range(KEYS)}

    for _ in range(3 * LOOKS_A_SWEEP):
        seen = look(folder, seen, NOW)
    assert seen.known == look(folder, Seen(), NOW).known
