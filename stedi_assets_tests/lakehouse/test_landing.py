"""Files on disk: which are read, how damage is told, and that upload alters nothing."""

from __future__ import annotations

import errno
import gzip
import os
import time
from pathlib import Path
from typing import BinaryIO

import pytest

from stedi_assets.errors import LakehouseError
from stedi_assets.lakehouse import arrival, landing, storage
from stedi_assets.lakehouse.fingerprint import fingerprint
from stedi_assets.lakehouse.io_manager import LakehouseIOManager
from stedi_assets.tables import ACCELEROMETER_LANDING, quarantine_of
from stedi_assets_tests.rows import rows

ANN = '{"user":"ann@x.io","timestamp":1655564376361,"x":1.0,"y":-2.5,"z":0.0}'
ANN_READ = ("ann@x.io", 1655564376361, 1.0, -2.5, 0.0)
BEN = '{"user":"ben@x.io","timestamp":1655564376362,"x":2.0,"y":0.5,"z":3.0}'
BEN_READ = ("ben@x.io", 1655564376362, 2.0, 0.5, 3.0)
QUARANTINE = quarantine_of(ACCELEROMETER_LANDING)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The landing folder of the lakehouse's accelerometer source."""
    folder = tmp_path / "lakehouse" / ACCELEROMETER_LANDING.location
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A folder to upload from, with a space in its path."""
    folder = tmp_path / "new data"
    folder.mkdir()
    return folder


def write(folder: Path, files: dict[str, str | bytes]) -> None:
    for name, content in files.items():
        data = content.encode() if isinstance(content, str) else content
        (folder / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)


def read(lakehouse: LakehouseIOManager) -> list[tuple]:
    return rows(lakehouse.read(ACCELEROMETER_LANDING))


def profile(lakehouse: LakehouseIOManager) -> landing.LandingProfile:
    return lakehouse.landing(ACCELEROMETER_LANDING).profile


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        pytest.param({"a.json": ANN, "b.json": BEN}, [ANN_READ, BEN_READ], id="every_json"),
        pytest.param({"a.json": f"{ANN}\n{BEN}"}, [ANN_READ, BEN_READ], id="no_final_newline"),
        pytest.param({"a.json": f"{ANN}\r\n{BEN}\r\n"}, [ANN_READ, BEN_READ], id="crlf"),
        pytest.param({"a.json": f"\ufeff{ANN}\n{BEN}\n"}, [ANN_READ, BEN_READ], id="bom"),
        pytest.param({"a.json": "", "b.json": ANN}, [ANN_READ], id="an_empty_file"),
        pytest.param({"a.json": ""}, [], id="only_an_empty_file"),
        pytest.param({"a.json": "\n\n"}, [], id="only_blank_lines"),
        pytest.param({"a.json.gz": ANN}, [ANN_READ], id="gzip"),
        pytest.param({"a.json.gz": ""}, [], id="gzip_of_nothing"),
        pytest.param({"a.json": ANN, "b.json.gz": BEN}, [ANN_READ, BEN_READ], id="gzip_and_plain"),
        pytest.param({"a.json": ANN, "b.json": ANN}, [ANN_READ, ANN_READ], id="same_twice"),
        pytest.param(
            {"a.json": ANN, ".b.json": BEN, "_c.json": BEN, ".b.json.0f.part": BEN},
            [ANN_READ],
            id="hidden_files_ignored",
        ),
        pytest.param(
            {"a.json": ANN, "b.txt": BEN, "c.jsonl": BEN, "d.json.bak": BEN, "e.JSON": BEN},
            [ANN_READ],
            id="other_suffixes_ignored",
        ),
        pytest.param(
            {"a b.json": ANN, "c'd.json": BEN}, [ANN_READ, BEN_READ], id="space_and_quote_in_name"
        ),
        pytest.param({'a"b.json': ANN, "é.json": BEN}, [ANN_READ, BEN_READ], id="odd_names"),
        pytest.param({"a#b.json": ANN, "c+d.json": BEN}, [ANN_READ, BEN_READ], id="odder_names"),
    ],
)
def test__read__files(lakehouse, folder, files, expected):
    write(folder, files)
    assert read(lakehouse) == expected
    found = profile(lakehouse)
    assert (found.objects, found.malformed) == (len(expected), 0)


def test__read__folders_are_not_files(lakehouse, folder):
    write(folder, {"a.json": ANN})
    (folder / "2024.json").mkdir()
    write(folder / "2024.json", {"b.json": BEN})
    assert read(lakehouse) == [ANN_READ]


def test__read__line_of_ten_megabytes(lakehouse, folder):
    note = "n" * 10_000_000
    write(folder, {"a.json": f'{ANN[:-1]},"note":"{note}"}}\n{BEN}\n'})
    assert read(lakehouse) == [ANN_READ, BEN_READ]


def test__profile__line_of_ten_megabytes_cut_short(lakehouse, folder):
    cut = f'{BEN[:-1]},"note":"{"n" * 10_000_000}'
    write(folder, {"a.json": f"{ANN}\n{cut}\n{BEN}\n"})
    found = profile(lakehouse)
    [row] = lakehouse.landing(ACCELEROMETER_LANDING).malformed(found).collect()
    assert (row.line, row.reason) == (cut, "not a JSON object")
    assert read(lakehouse) == [ANN_READ, BEN_READ]


@pytest.mark.parametrize(
    ("until", "quarantined"),
    [
        pytest.param(-1, [(f'{BEN[:-1]},"of":"é"', "not a JSON object")], id="between_letters"),
        pytest.param(-3, [(f'{BEN[:-1]},"of":"\ufffd', "not UTF-8")], id="within_a_letter"),
    ],
)
def test__profile__file_cut_in_the_middle(lakehouse, folder, until, quarantined):
    """It costs the record in which it ends, and none of the file that is read after it."""
    content = f'{ANN}\n{BEN[:-1]},"of":"é"}}'.encode()
    write(folder, {"a.json": content[:until], "b.json": BEN})
    found = profile(lakehouse)
    malformed = lakehouse.landing(ACCELEROMETER_LANDING).malformed(found).collect()
    assert [(row.line, row.reason) for row in malformed] == quarantined
    assert read(lakehouse) == [ANN_READ, BEN_READ]


def test__read__two_thousand_files(lakehouse, folder):
    write(
        folder,
        {f"{n:04}.json": ANN.replace("1655564376361", str(1655564370000 + n)) for n in range(2000)},
    )
    assert [row[1] for row in read(lakehouse)] == [1655564370000 + n for n in range(2000)]


@pytest.mark.parametrize("name", ["a*b.json", "a%41.json", "a?.json", "[a].json", "{a}.json"])
def test__read__name_that_spark_takes_for_a_pattern(lakehouse, folder, name):
    write(folder, {name: ANN, "aXb.json": BEN})
    with pytest.raises(LakehouseError, match=r"file . of 2 by name .* cannot be read by its name"):
        read(lakehouse)


def test__read__no_file(lakehouse, folder):
    write(folder, {"a.txt": ANN, ".a.json": ANN})
    with pytest.raises(LakehouseError) as error:
        read(lakehouse)
    assert str(folder) in str(error.value)


def test__read__no_folder(lakehouse, tmp_path):
    with pytest.raises(LakehouseError) as error:
        read(lakehouse)
    assert str(tmp_path / "lakehouse" / "accelerometer" / "landing") in str(error.value)


def test__profile__not_utf8(lakehouse, folder, spark_resource):
    """The bad line is set aside with its reason; the rest is read, now and in later runs."""
    caf = ANN.replace("ann", "caf\xe9").encode("latin-1")
    write(folder, {"a.json": b"\n".join([ANN.encode(), caf, b""]), "b.json": BEN})

    found = profile(lakehouse)
    malformed = lakehouse.landing(ACCELEROMETER_LANDING).malformed(found)
    assert [(row.line, row.reason) for row in malformed.collect()] == [
        (ANN.replace("ann", "caf\ufffd"), "not UTF-8")
    ]
    assert (found.objects, found.malformed) == (3, 1)

    lakehouse.write(QUARANTINE, malformed, {"landing": found.as_dict()})
    later = LakehouseIOManager(uri=lakehouse.uri, spark=spark_resource)
    assert read(later) == [ANN_READ, BEN_READ]


def test__profile__not_utf8_outside_the_declared_fields(lakehouse, folder):
    note = f'{ANN[:-1]},"note":"caf\xe9"}}'.encode("latin-1")
    write(folder, {"a.json": b"\r\n".join([note, BEN.encode(), b""])})
    found = profile(lakehouse)
    assert (found.objects, found.malformed, found.tidy) == (2, 0, False)
    assert rows(lakehouse.landing(ACCELEROMETER_LANDING).records(found)) == [ANN_READ, BEN_READ]


def test__profile__not_utf8_in_a_large_file(lakehouse, folder):
    """The embedded engine hands out a file of some megabytes once for each of its cores."""
    note = f'{ANN[:-1]},"note":"{"n" * 10_000_000}\xe9"}}'.encode("latin-1")
    write(folder, {"a.json": b"\n".join([note, b"\xff", BEN.encode()]), "b.json": b"\xff"})
    found = profile(lakehouse)
    assert (found.objects, found.malformed) == (4, 2)
    assert read(lakehouse) == [ANN_READ, BEN_READ]


def test__read__not_utf8_before_it_was_profiled(lakehouse, folder):
    write(folder, {"a.json": ANN.encode() + b"\n\xff\n"})
    assert read(lakehouse) == [ANN_READ]


def test__profile__gzip_that_is_not_utf8(lakehouse, folder):
    """JVM Spark replaces the byte and sets the line aside; the embedded engine reads none of it."""
    write(folder, {"a.json.gz": ANN.encode() + b"\n\xff\n", "b.json": BEN})
    try:
        found = profile(lakehouse)
    except LakehouseError as error:
        assert "file 1 of 2 by name" in str(error)
        assert "UTF-8" in str(error)
    else:
        assert (found.objects, found.malformed) == (3, 1)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(gzip.compress(f"{ANN}\n".encode() * 1000)[:-20], id="cut_short"),
        pytest.param(gzip.compress(f"{ANN}\n".encode())[:12], id="cut_after_the_header"),
        pytest.param(f"{ANN}\n".encode(), id="not_compressed"),
    ],
)
def test__profile__damaged_gzip(lakehouse, folder, content):
    write(folder, {"b.json": BEN})
    (folder / "a.json.gz").write_bytes(content)
    with pytest.raises(LakehouseError, match=r"file 1 of 2 by name .* damaged or was cut") as error:
        profile(lakehouse)
    assert "ann@x.io" not in str(error.value)


def upload(source: Path, folder: Path) -> list[str]:
    copied = arrival.upload(
        storage.LocalFolder(f"file://{source}"), storage.LocalFolder(f"file://{folder}")
    )
    return [file.name for file in copied]


def digests_of(folder: Path) -> dict[str, str]:
    stored = storage.open_folder(f"file://{folder}")
    return stored.digests(stored.json_lines())


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


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


def test__upload__makes_the_folder(source, tmp_path):
    write(source, {"a.json": ANN})
    assert upload(source, tmp_path / "new" / "landing") == ["a.json"]
    assert contents(tmp_path / "new" / "landing") == {"a.json": ANN.encode()}


def test__upload__only_what_is_new(source, folder):
    write(source, {"a.json": ANN})
    write(folder, {"there.json": BEN})
    assert upload(source, folder) == ["a.json"]
    assert upload(source, folder) == []
    write(source, {"b.json": BEN, ".hidden.json": BEN, "notes.txt": BEN})
    assert upload(source, folder) == ["b.json"]
    assert sorted(contents(folder)) == ["a.json", "b.json", "there.json"]


def test__upload__touched_is_not_changed(source, folder):
    write(source, {"a.json": ANN})
    upload(source, folder)
    landed = (folder / "a.json").stat()
    os.utime(source / "a.json", (1, 1))
    assert upload(source, folder) == []
    assert (folder / "a.json").stat() == landed


@pytest.mark.parametrize(
    ("name", "versioned"), [("a.json", "a-{}.json"), ("a.json.gz", "a-{}.json.gz")]
)
def test__upload__changed_file_lands_beside_the_earlier(source, folder, name, versioned):
    (source / name).write_bytes(gzip.compress(ANN.encode(), mtime=0))
    upload(source, folder)
    earlier = (source / name).read_bytes()
    (source / name).write_bytes(gzip.compress(BEN.encode(), mtime=0))
    [digest] = digests_of(source).values()

    assert upload(source, folder) == [name]
    expected = {name: earlier, versioned.format(digest[:12]): (source / name).read_bytes()}
    assert contents(folder) == expected
    assert upload(source, folder) == []
    assert contents(folder) == expected
    # And back: what it said at first has landed already.
    (source / name).write_bytes(earlier)
    assert upload(source, folder) == []


def fail_in_the_middle(monkeypatch: pytest.MonkeyPatch, fault: BaseException) -> None:
    """Makes the copying of a file fail after its first bytes."""

    def copy(source: Path, target: Path) -> None:
        target.write_bytes(source.read_bytes()[:10])
        raise fault

    monkeypatch.setattr(storage, "copyfile", copy)


def test__upload__killed_in_the_middle(source, folder, monkeypatch):
    write(source, {"a.json": ANN})
    write(folder, {"b.json": BEN})
    with monkeypatch.context() as patch:
        fail_in_the_middle(patch, KeyboardInterrupt())
        with pytest.raises(KeyboardInterrupt):
            upload(source, folder)
    assert contents(folder) == {"b.json": BEN.encode()}
    assert upload(source, folder) == ["a.json"]
    assert contents(folder) == {"a.json": ANN.encode(), "b.json": BEN.encode()}


def test__profile__hashes_each_file_once(lakehouse, folder, monkeypatch):
    write(folder, {"a.json": ANN, "b.json": BEN})
    opened = []
    whole = storage.LocalFolder.open

    def note(self: storage.LocalFolder, file: storage.StoredFile) -> BinaryIO:
        opened.append(file.name)
        return whole(self, file)

    monkeypatch.setattr(storage.LocalFolder, "open", note)
    found = profile(lakehouse)
    assert found.content == found.fingerprint
    assert sorted(opened) == ["a.json", "b.json"]


def test__upload__disk_full(source, folder, monkeypatch):
    write(source, {"a.json": ANN})
    fail_in_the_middle(monkeypatch, OSError(errno.ENOSPC, "No space left on device"))
    with pytest.raises(LakehouseError, match="the disk is full"):
        upload(source, folder)
    assert contents(folder) == {}


def test__upload__what_a_kill_left_is_not_read_and_goes_in_a_day(lakehouse, source, folder):
    write(source, {"a.json": ANN})
    write(folder, {".a.json.1.part": BEN[:20], ".a.json.2.part": BEN})
    yesterday = time.time() - 25 * 3600
    os.utime(folder / ".a.json.1.part", (yesterday, yesterday))
    upload(source, folder)
    assert sorted(contents(folder)) == [".a.json.2.part", "a.json"]
    assert read(lakehouse) == [ANN_READ]


def test__upload__file_where_landing_belongs(source, tmp_path):
    write(source, {"a.json": ANN})
    (tmp_path / "landing").write_text("in the way")
    with pytest.raises(LakehouseError) as error:
        upload(source, tmp_path / "landing")
    assert str(tmp_path / "landing") in str(error.value)
    assert (tmp_path / "landing").read_text() == "in the way"


def test__upload__file_where_a_parent_of_landing_belongs(source, tmp_path):
    write(source, {"a.json": ANN})
    (tmp_path / "accelerometer").write_text("in the way")
    with pytest.raises(LakehouseError) as error:
        upload(source, tmp_path / "accelerometer" / "landing")
    assert str(tmp_path / "accelerometer" / "landing") in str(error.value)


def test__upload__no_source_folder(tmp_path, folder):
    write(folder, {"a.json": ANN})
    assert upload(tmp_path / "absent", folder) == []
    assert contents(folder) == {"a.json": ANN.encode()}


def test__upload__name_that_spark_takes_for_a_pattern(source, folder):
    write(source, {"a.json": ANN, "b*.json": BEN})
    with pytest.raises(LakehouseError, match=r"file 2 of 2 by name .* cannot be read by its name"):
        upload(source, folder)
    assert contents(folder) == {}


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
def test__upload__settled(source, folder, changed, lands):
    write(source, {"a.json": ANN})
    os.utime(source / "a.json", (time.time() + changed,) * 2)
    arriving, landing_folder = (storage.LocalFolder(f"file://{path}") for path in (source, folder))
    copied = arrival.upload(arriving, landing_folder, settle_seconds=5)
    assert [file.name for file in copied] == (["a.json"] if lands else [])


def fingerprint_of(folder: Path) -> str:
    return fingerprint(digests_of(folder))


def test__fingerprint__does_not_depend_on_the_order():
    assert fingerprint({"a": "1", "b": "2"}) == fingerprint({"b": "2", "a": "1"})
    assert fingerprint({"a": "1", "b": "2"}) != fingerprint({"a": "2", "b": "1"})


def test__fingerprint__of_files(folder):
    """It changes with a name or a content, and with nothing else."""
    write(folder, {"a.json": ANN, "b.json": BEN})
    first = fingerprint_of(folder)
    os.utime(folder / "a.json", (1, 1))
    write(folder, {".hidden.json": ANN, "notes.txt": ANN})
    assert fingerprint_of(folder) == first

    (folder / "a.json").rename(folder / "c.json")
    renamed = fingerprint_of(folder)
    write(folder, {"c.json": ANN + "\n"})
    changed = fingerprint_of(folder)
    (folder / "c.json").unlink()
    removed = fingerprint_of(folder)
    assert len({first, renamed, changed, removed}) == 4
    write(folder, {"a.json": ANN})
    assert fingerprint_of(folder) == first


def test__profile__is_known_until_a_file_changes(lakehouse, folder, spark_resource):
    write(folder, {"a.json": ANN})
    found = profile(lakehouse)
    assert (found.records, found.malformed, found.tidy, found.not_utf8) == (1, 0, True, [])
    assert lakehouse.landing(ACCELEROMETER_LANDING).knows(found)
    write(folder, {"b.json": BEN})
    later = LakehouseIOManager(uri=lakehouse.uri, spark=spark_resource)
    assert not later.landing(ACCELEROMETER_LANDING).knows(found)
