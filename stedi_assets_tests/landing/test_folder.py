"""Which files in landing are read, how damage is told, and what is kept of what was found."""

from __future__ import annotations

import gzip
import os
from pathlib import Path
from typing import BinaryIO

import pytest

from stedi_assets import storage
from stedi_assets.errors import Code, LakehouseError
from stedi_assets.lakehouse.lakehouse import Lakehouse
from stedi_assets.landing.fingerprint import fingerprint
from stedi_assets.landing.profile import LandingProfile
from stedi_assets.storage.folder import StoredFile
from stedi_assets.storage.local import LocalFolder
from stedi_assets.tables import quarantine_of
from stedi_assets.tables.accelerometer import ACCELEROMETER_LANDING
from stedi_assets_tests.faults import raises
from stedi_assets_tests.landing.conftest import read, write
from stedi_assets_tests.lines import ANN, ANN_READ, BEN, BEN_READ

QUARANTINE = quarantine_of(ACCELEROMETER_LANDING)


def profile(lakehouse: Lakehouse) -> LandingProfile:
    return lakehouse.records(ACCELEROMETER_LANDING).profile


def quarantined(lakehouse: Lakehouse) -> list[tuple]:
    rows = lakehouse.arrow(QUARANTINE, ["line", "reason"]).to_pylist()
    return [(row["line"], row["reason"]) for row in rows]


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
    profile(lakehouse)
    assert quarantined(lakehouse) == [(cut, "not a JSON object")]
    assert read(lakehouse) == [ANN_READ, BEN_READ]


@pytest.mark.parametrize(
    ("until", "expected"),
    [
        pytest.param(-1, [(f'{BEN[:-1]},"of":"é"', "not a JSON object")], id="between_letters"),
        pytest.param(-3, [(f'{BEN[:-1]},"of":"\ufffd', "not UTF-8")], id="within_a_letter"),
    ],
)
def test__profile__file_cut_in_the_middle(lakehouse, folder, until, expected):
    """It costs the record in which it ends, and none of the file that is read after it."""
    content = f'{ANN}\n{BEN[:-1]},"of":"é"}}'.encode()
    write(folder, {"a.json": content[:until], "b.json": BEN})
    profile(lakehouse)
    assert quarantined(lakehouse) == expected
    assert read(lakehouse) == [ANN_READ, BEN_READ]


def test__read__two_thousand_files(lakehouse, folder):
    write(
        folder,
        {f"{n:04}.json": ANN.replace("1655564376361", str(1655564370000 + n)) for n in range(2000)},
    )
    assert [row[1] for row in read(lakehouse)] == [1655564370000 + n for n in range(2000)]


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
    """The bad line is quarantined with its reason; the rest is read, now and in later runs."""
    caf = ANN.replace("ann", "caf\xe9").encode("latin-1")
    write(folder, {"a.json": b"\n".join([ANN.encode(), caf, b""]), "b.json": BEN})

    found = profile(lakehouse)
    assert quarantined(lakehouse) == [(ANN.replace("ann", "caf\ufffd"), "not UTF-8")]
    assert (found.objects, found.malformed) == (3, 1)

    later = Lakehouse(lakehouse.uri, spark_resource)
    assert read(later) == [ANN_READ, BEN_READ]


def test__profile__not_utf8_outside_the_declared_fields(lakehouse, folder):
    note = f'{ANN[:-1]},"note":"caf\xe9"}}'.encode("latin-1")
    write(folder, {"a.json": b"\r\n".join([note, BEN.encode(), b""])})
    found = profile(lakehouse)
    assert (found.objects, found.malformed, found.conforming) == (2, 0, False)
    assert read(lakehouse) == [ANN_READ, BEN_READ]


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
        pytest.param(gzip.compress(f"{ANN}\n".encode()) + bytes(512), id="padded"),
        pytest.param(gzip.compress(f"{ANN}\n".encode()) * 2 + bytes(512), id="padded_members"),
    ],
)
def test__profile__damaged_gzip(lakehouse, folder, content):
    write(folder, {"b.json": BEN})
    (folder / "a.json.gz").write_bytes(content)
    with raises(Code.LANDING_FILE) as error:
        profile(lakehouse)
    assert "file 1 of 2 by name" in str(error.value)
    assert "ann@x.io" not in str(error.value)


def test__profile__hashes_each_file_once(lakehouse, folder, monkeypatch):
    write(folder, {"a.json": ANN, "b.json": BEN})
    opened = []
    whole = LocalFolder.open

    def note(self: LocalFolder, file: StoredFile) -> BinaryIO:
        opened.extend([file.name] if file.is_json_lines and self.uri.endswith("landing") else [])
        return whole(self, file)

    monkeypatch.setattr(LocalFolder, "open", note)
    profile(lakehouse)
    assert sorted(opened) == ["a.json", "b.json"]


def digests_of(folder: Path) -> dict[str, str]:
    stored = storage.open_folder(f"file://{folder}")
    return stored.digests(stored.json_lines())


def fingerprint_of(folder: Path) -> str:
    return fingerprint(digests_of(folder))


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
    assert (found.records, found.malformed, found.conforming) == (1, 0, True)
    later = Lakehouse(lakehouse.uri, spark_resource)
    assert later.landing_profile(ACCELEROMETER_LANDING) == found
    write(folder, {"b.json": BEN})
    later = Lakehouse(lakehouse.uri, spark_resource)
    assert later.landing_profile(ACCELEROMETER_LANDING) is None
