"""Upload lands files whole, and alters nothing that landed."""

from __future__ import annotations

import gzip
import hashlib
import os
import stat
import time
from pathlib import Path

import pytest

from stedi_assets.errors import Code, LakehouseError
from stedi_assets.landing import upload as arrival
from stedi_assets.landing.ledger import LEDGER
from stedi_assets.storage.folder import StoredFile, sha256_of
from stedi_assets.storage.local import LocalFolder
from stedi_assets_tests.faults import raises
from stedi_assets_tests.landing.conftest import read, write
from stedi_assets_tests.lines import ANN, ANN_READ, BEN, BEN_READ


def upload(source: Path, folder: Path) -> list[str]:
    ingested = arrival.ingest(LocalFolder(f"file://{source}"), LocalFolder(f"file://{folder}"))
    return [file.name for file in ingested.copied]


def contents(folder: Path) -> dict[str, bytes]:
    """What is in a folder, but for its ledger."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != LEDGER}


def test__upload__byte_for_byte(source, folder):
    files = {
        "a.json": b"\xef\xbb\xbf" + ANN.encode() + b"\r\n\r\n\xff",
        "b.json": os.urandom(3 << 20),
        "d.json.gz": gzip.compress(BEN.encode()),
    }
    for name, content in files.items():
        (source / name).write_bytes(content)
    assert upload(source, folder) == ["a.json", "b.json", "d.json.gz"]
    assert contents(folder) == files


@pytest.mark.parametrize(
    ("mode", "umask", "landed"),
    [
        (0o600, 0o022, 0o600),
        (0o640, 0o022, 0o640),
        (0o644, 0o022, 0o644),
        (0o644, 0o077, 0o600),
        (0o755, 0o022, 0o644),
        (0o666, 0o000, 0o666),
        (0o400, 0o022, 0o400),
    ],
)
def test__upload__for_nobody_who_may_not_read_the_source(source, folder, mode, umask, landed):
    write(source, {"a.json": ANN})
    (source / "a.json").chmod(mode)
    before = os.umask(umask)
    try:
        assert upload(source, folder) == ["a.json"]
    finally:
        os.umask(before)
    assert stat.S_IMODE((folder / "a.json").stat().st_mode) == landed


def test__upload__replaces_a_file_for_nobody_who_could_not_read_it(folder, tmp_path):
    """As erasure does."""
    write(folder, {"a.json": ANN + BEN})
    (folder / "a.json").chmod(0o600)
    rewritten = tmp_path / "rewritten"
    rewritten.write_text(BEN)
    rewritten.chmod(0o644)
    landing = LocalFolder(f"file://{folder}")
    landing.upload(rewritten, "a.json", "", replaces=landing.file("a.json"))
    assert contents(folder) == {"a.json": BEN.encode()}
    assert stat.S_IMODE((folder / "a.json").stat().st_mode) == 0o600


def test__upload__makes_folders_for_this_user_only(source, tmp_path):
    write(source, {"a.json": ANN})
    there = tmp_path / "there"
    there.mkdir(mode=0o755)
    upload(source, there / "new" / "landing")
    modes = [each.stat().st_mode & 0o777 for each in (there, there / "new", there / "new/landing")]
    assert modes == [0o755, 0o700, 0o700]


def test__upload__only_what_is_new(source, folder):
    write(source, {"a.json": ANN})
    write(folder, {"there.json": BEN})
    assert upload(source, folder) == ["a.json"]
    os.utime(source / "a.json", (1, 1))
    assert upload(source, folder) == []
    write(source, {"b.json": BEN, ".hidden.json": BEN, "notes.txt": BEN})
    assert upload(source, folder) == ["b.json"]
    assert sorted(contents(folder)) == ["a.json", "b.json", "there.json"]


@pytest.mark.parametrize(
    ("name", "versioned"), [("a.json", "a-{}.json"), ("a.json.gz", "a-{}.json.gz")]
)
def test__upload__changed_file_lands_beside_the_earlier(source, folder, name, versioned):
    (source / name).write_bytes(gzip.compress(ANN.encode(), mtime=0))
    upload(source, folder)
    earlier = (source / name).read_bytes()
    (source / name).write_bytes(gzip.compress(BEN.encode(), mtime=0))
    digest = hashlib.sha256((source / name).read_bytes()).hexdigest()

    assert upload(source, folder) == [name]
    expected = {name: earlier, versioned.format(digest[:12]): (source / name).read_bytes()}
    assert contents(folder) == expected
    assert upload(source, folder) == []
    assert contents(folder) == expected
    # And back: what it said at first has landed already.
    (source / name).write_bytes(earlier)
    assert upload(source, folder) == []


def test__upload__what_a_kill_left_is_not_read_and_goes_in_a_day(lakehouse, source, folder):
    write(source, {"a.json": ANN})
    write(folder, {".a.json.1.part": BEN[:20], ".a.json.2.part": BEN})
    yesterday = time.time() - 25 * 3600
    os.utime(folder / ".a.json.1.part", (yesterday, yesterday))
    upload(source, folder)
    assert sorted(contents(folder)) == [".a.json.2.part", "a.json"]
    assert read(lakehouse) == [ANN_READ]


@pytest.mark.parametrize("where", ["landing", ""], ids=["landing", "its_parent"])
def test__upload__file_where_a_folder_belongs(source, tmp_path, where):
    write(source, {"a.json": ANN})
    place = tmp_path / "accelerometer"
    (place / where).parent.mkdir(exist_ok=True)
    (place / where).write_text("in the way")
    with pytest.raises(LakehouseError) as error:
        upload(source, place / "landing")
    assert str(place / "landing") in str(error.value)
    assert (place / where).read_text() == "in the way"


def test__upload__no_source_folder(tmp_path, folder):
    write(folder, {"a.json": ANN})
    assert upload(tmp_path / "absent", folder) == []
    assert contents(folder) == {"a.json": ANN.encode()}


def test__upload__odd_names_land_and_are_read(lakehouse, source, folder):
    write(source, {"a b#1.json": ANN, "é'.json": BEN})
    assert upload(source, folder) == ["a b#1.json", "é'.json"]
    assert read(lakehouse) == [ANN_READ, BEN_READ]


@pytest.mark.parametrize(
    ("changed", "lands"),
    [
        pytest.param(-60, True, id="a_minute_ago"),
        pytest.param(-1, False, id="just_now"),
        pytest.param(3600, True, id="by_a_clock_that_was_an_hour_ahead"),
    ],
)
def test__upload__of_a_file_that_was_just_modified(source, folder, changed, lands):
    write(source, {"a.json": ANN})
    os.utime(source / "a.json", (time.time() + changed,) * 2)
    arriving, landing_folder = (LocalFolder(f"file://{path}") for path in (source, folder))
    copied = arrival.ingest(arriving, landing_folder, settle_seconds=5).copied
    assert [file.name for file in copied] == (["a.json"] if lands else [])


@pytest.mark.parametrize("links", [True, False], ids=["links", "no_links"])
def test__upload__overwrites_only_what_was_seen(
    links: bool, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not links:

        def refuse(*_: object) -> None:
            raise PermissionError("this file system has no hard links")

        monkeypatch.setattr(os, "link", refuse)
    landing = LocalFolder(f"file://{folder}")
    path = tmp_path / "content"

    def put(content: str, replaces: StoredFile | None = None) -> None:
        path.write_text(content)
        landing.upload(path, "a.json", sha256_of(path), replaces)

    put("one")
    put("one")
    with raises(Code.WRITE_CONFLICT):
        put("another")
    seen = landing.file("a.json")
    put("the second", replaces=seen)
    with raises(Code.WRITE_CONFLICT):
        put("the third", replaces=seen)
    assert (folder / "a.json").read_text() == "the second"
    assert [file.name for file in landing.files()] == ["a.json"]
