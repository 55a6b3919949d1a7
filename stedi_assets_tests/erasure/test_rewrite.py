"""People leave landing files, which stay whole, and all others stay byte for byte."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
from pathlib import Path
from typing import Any

import pytest

from stedi_assets import storage
from stedi_assets.erasure import rewrite
from stedi_assets.erasure.people import People
from stedi_assets.erasure.rewrite import Erased
from stedi_assets.errors import Code, LakehouseError
from stedi_assets.landing import ledger
from stedi_assets.landing import upload as arrival
from stedi_assets.storage.local import LocalFolder
from stedi_assets.tables.accelerometer import ACCELEROMETER_LANDING
from stedi_assets_tests.faults import raises
from stedi_assets_tests.rows import PSEUDONYMS

ANN = '{"user":"ann@example.com","timestamp":1655564376361,"x":1.0,"y":0.0,"z":0.0}'
EVE = '{"user": "eve@example.com", "timestamp": 1655564376361, "x": 1.0, "y": 0.0, "z": 0.0}'


TABLE = ACCELEROMETER_LANDING


@pytest.fixture
def eve() -> People:
    """Eve, by her address alone."""
    return People(PSEUDONYMS, frozenset([PSEUDONYMS.of_text("eve@example.com")]))


def put(folder: Path, name: str, content: bytes) -> LocalFolder:
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(content)
    return LocalFolder(f"file://{folder}")


@pytest.mark.parametrize("name", ["a.json", "a.json.gz"])
def test__erase__keeps_the_bytes_of_all_others(name: str, tmp_path: Path, eve: People) -> None:
    others = [ANN.encode(), b"caf\xe9 \xff", b"", b"\xef\xbb\xbf" + ANN.encode() + b"\r", b"end"]
    lines = [others[0], EVE.encode(), *others[1:]]
    packed = gzip.compress if name.endswith(".gz") else bytes
    folder = put(tmp_path / "landing", name, packed(b"\n".join(lines)))

    assert rewrite.erase(folder, eve, TABLE).lines == 1

    content = (tmp_path / "landing" / name).read_bytes()
    unpacked = gzip.decompress if name.endswith(".gz") else bytes
    assert unpacked(content) == b"\n".join(others)
    assert rewrite.erase(folder, eve, TABLE).lines == 0
    assert (tmp_path / "landing" / name).read_bytes() == content


def test__erase__leaves_a_file_of_others_untouched(tmp_path: Path, eve: People) -> None:
    folder = put(tmp_path / "landing", "a.json", ANN.encode())
    before = (tmp_path / "landing" / "a.json").stat()

    assert rewrite.erase(folder, eve, TABLE).lines == 0

    after = (tmp_path / "landing" / "a.json").stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert [path.name for path in (tmp_path / "landing").iterdir()] == ["a.json"]


@pytest.mark.parametrize("name", ["a.json", "eve@example.com.json"])
def test__erase__in_a_bucket(s3_lakehouse_uri: str, tmp_path: Path, eve: People, name: str) -> None:
    source = put(tmp_path / "source", name, f"{ANN}\n{EVE}\n".encode())
    folder = storage.open_folder(f"{s3_lakehouse_uri}/accelerometer/landing")
    arrival.ingest(source, folder)

    assert rewrite.erase(folder, eve, TABLE).lines == 1

    again = storage.open_folder(folder.uri)
    stored = b"".join(file.name.encode() + again.open(file).read() for file in again.files())
    assert b"eve@example.com" not in stored
    [file] = again.json_lines()
    assert again.open(file).read() == f"{ANN}\n".encode()
    assert arrival.ingest(source, again).copied == []


def test__erase__the_file_does_not_land_again(tmp_path: Path, eve: People) -> None:
    source = put(tmp_path / "source", "a.json", f"{ANN}\n{EVE}\n".encode())
    folder = LocalFolder(f"file://{tmp_path}/landing")
    assert len(arrival.ingest(source, folder).copied) == 1
    rewrite.erase(folder, eve, TABLE)

    assert arrival.ingest(source, LocalFolder(folder.uri)).copied == []
    assert [file.name for file in folder.json_lines()] == ["a.json"]
    assert (tmp_path / "landing" / "a.json").read_text() == f"{ANN}\n"

    put(tmp_path / "source", "b.json", ANN.encode())
    assert [file.name for file in arrival.ingest(source, LocalFolder(folder.uri)).copied] == [
        "b.json"
    ]


def test__erase__file_is_replaced_meanwhile(
    tmp_path: Path, eve: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = put(tmp_path / "landing", "a.json", f"{ANN}\n{EVE}\n".encode())
    really = rewrite._verified

    def replace(*given: Any) -> Any:
        (tmp_path / "landing" / "a.json").write_text(f"{EVE}\n{EVE}\n{ANN}\n")
        return really(*given)

    monkeypatch.setattr(rewrite, "_verified", replace)
    with pytest.raises(LakehouseError, match="was replaced while people were erased"):
        rewrite.erase(folder, eve, TABLE)
    assert (tmp_path / "landing" / "a.json").read_text() == f"{EVE}\n{EVE}\n{ANN}\n"


def test__erase__gzip_is_damaged(tmp_path: Path, eve: People) -> None:
    content = gzip.compress(f"{ANN}\n{EVE}\n".encode())[:-6]
    folder = put(tmp_path / "landing", "eve@example.com.json.gz", content)
    [file] = folder.json_lines()

    with raises(Code.LANDING_FILE):
        rewrite.erase(folder, eve, TABLE)

    assert (tmp_path / "landing" / file.name).read_bytes() == content


def test__erase__ledger_follows(tmp_path: Path, eve: People) -> None:
    """The file stays the current version of its source file, and is not reported as altered."""
    source = put(tmp_path / "source", "a.json", f"{ANN}\n{EVE}\n".encode())
    folder = LocalFolder(f"file://{tmp_path}/landing")
    arrival.ingest(source, folder)
    put(tmp_path / "source", "a.json", f"{ANN}\n{EVE}\n{ANN}\n".encode())
    before = {file.name: file for file in arrival.ingest(source, folder).ledger.files}

    assert rewrite.erase(LocalFolder(folder.uri), eve, TABLE).lines == 2

    again = arrival.ingest(source, LocalFolder(folder.uri))
    assert (again.copied, again.ledger.overwritten) == ([], frozenset())
    after = {file.name: file for file in again.ledger.files}
    assert [after[name].current for name in before] == [before[name].current for name in before]
    assert {file.id for file in after.values()} == {file.id for file in before.values()}
    for file in after.values():
        content = (tmp_path / "landing" / file.name).read_bytes()
        assert EVE.encode() not in content
        assert file.sha256 == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize(
    "name",
    [
        "eve@example.com.json",
        "eve@example.com.json.gz",
        "2024-01-01_EVE@Example.com_1.json",
        "readings-eve@example.com-v2.json",
    ],
)
def test__erase__renames_a_file_whose_name_tells_of_them(
    name: str, tmp_path: Path, eve: People
) -> None:
    packed = gzip.compress if name.endswith(".gz") else bytes
    source = put(tmp_path / "source", name, packed(f"{ANN}\n{EVE}\n".encode()))
    put(tmp_path / "source", "steve@example.com.json", ANN.encode())
    folder = LocalFolder(f"file://{tmp_path}/landing")
    arrival.ingest(source, folder)
    put(tmp_path / "source", name, packed(f"{ANN}\n".encode()))
    before = {file.id: file for file in arrival.ingest(source, folder).ledger.files}

    assert rewrite.erase(LocalFolder(folder.uri), eve, TABLE).renamed == 2

    stored = [path for path in (tmp_path / "landing").rglob("*") if path.is_file()]
    known = " ".join(path.name + path.read_bytes().decode("latin-1") for path in stored)
    assert "steve@example.com.json" in known
    assert "eve@example.com" not in known.casefold().replace("steve@", "")
    again = arrival.ingest(source, LocalFolder(folder.uri))
    assert (again.copied, again.ledger.overwritten) == ([], frozenset())
    assert {file.id: file.current for file in again.ledger.files} == {
        id: file.current for id, file in before.items()
    }
    assert rewrite.erase(LocalFolder(folder.uri), eve, TABLE) == Erased(
        read=3, renamed=0, lines=0, ambiguous=0
    )


@pytest.mark.parametrize("name", ["a.json", "eve@example.com.json"])
@pytest.mark.parametrize("moment", ["note_erased", "upload", "save", "remove"])
def test__erase__killed(
    moment: str, name: str, tmp_path: Path, eve: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each file is whole then, and to erase again completes it, also where it is renamed."""
    source = put(tmp_path / "source", name, f"{ANN}\n{EVE}\n".encode())
    folder = LocalFolder(f"file://{tmp_path}/landing")
    arrival.ingest(source, folder)

    def kill(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    owner: Any = {"note_erased": rewrite, "save": ledger}.get(moment, folder)
    with monkeypatch.context() as patched, contextlib.suppress(KeyboardInterrupt):
        patched.setattr(owner, moment, kill)
        rewrite.erase(folder, eve, TABLE)
    contents = {folder.open(file).read().decode() for file in folder.json_lines()}
    assert contents <= {f"{ANN}\n{EVE}\n", f"{ANN}\n"}

    rewrite.erase(LocalFolder(folder.uri), eve, TABLE)
    [file] = folder.json_lines()
    assert folder.open(file).read() == f"{ANN}\n".encode()
    again = arrival.ingest(source, LocalFolder(folder.uri))
    assert again.copied == []
    assert [landed.current for landed in again.ledger.files] == [True]
    stored = "".join(path.name + path.read_text() for path in (tmp_path / "landing").iterdir())
    assert "eve" not in stored
