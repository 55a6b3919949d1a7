"""People leave landing files whole, whatever their lines look like, and all others stay as is."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from stedi_assets.consent import person_of
from stedi_assets.erasure import landing
from stedi_assets.erasure.landing import Erased
from stedi_assets.errors import LakehouseError
from stedi_assets.lakehouse import arrival, storage
from stedi_assets.lakehouse.storage import LocalFolder
from stedi_assets_tests.rows import PSEUDONYMS

ANN = '{"user":"ann@example.com","timestamp":1655564376361,"x":1.0,"y":0.0,"z":0.0}'
EVE = '{"user": "eve@example.com", "timestamp": 1655564376361, "x": 1.0, "y": 0.0, "z": 0.0}'


@pytest.fixture
def eve() -> Erased:
    """Eve, her device, her name and her phone."""
    return Erased(
        frozenset([PSEUDONYMS.of_text("eve@example.com")]),
        PSEUDONYMS,
        devices=frozenset(["device-eve"]),
        words=frozenset(["Eve Everett", "8015550103"]),
    )


@pytest.mark.parametrize(
    ("line", "left"),
    [
        pytest.param(ANN, ANN, id="another"),
        pytest.param(EVE, None, id="alone"),
        pytest.param(EVE.replace("eve@", " EVE@"), None, id="other_case_and_padding"),
        pytest.param(EVE.replace("@", "\\u0040"), None, id="escaped"),
        pytest.param(f"{ANN}{EVE}{ANN}", f"{ANN}\n{ANN}", id="between_others"),
        pytest.param(f"[{ANN}, {EVE}]", ANN, id="in_an_array"),
        pytest.param(EVE[:40], None, id="cut_short"),
        pytest.param(f"{EVE[:40]}{ANN}", ANN, id="cut_short_before_another"),
        pytest.param(f"{ANN}{EVE[:40]}", ANN, id="cut_short_after_another"),
        pytest.param("eve@example.com was here", None, id="no_json"),
        pytest.param("eve\\u0040example.com", None, id="escaped_in_no_json"),
        pytest.param("Eve Everett,1980", None, id="name_in_no_json"),
        pytest.param("Steve Everett,1980", "Steve Everett,1980", id="part_of_a_name"),
        pytest.param('{"customerName":"Eve Everett","ema', None, id="cut_before_the_address"),
        pytest.param('{"who":{"mail":["eve@example.com"]}}', None, id="deep"),
        pytest.param('{"serialNumber":"device-eve","distanceFromObject":9}', None, id="device"),
        pytest.param(
            '{"serialNumber":"device-eve-2"}', '{"serialNumber":"device-eve-2"}', id="like"
        ),
        pytest.param(ANN.replace("ann@", "steve@"), ANN.replace("ann@", "steve@"), id="longer"),
        pytest.param("", "", id="blank"),
        pytest.param("}{][,", "}{][,", id="brackets"),
    ],
)
def test__without__line(line: str, left: str | None, eve: Erased) -> None:
    assert eve.without(line) == left


def put(folder: Path, name: str, content: bytes) -> LocalFolder:
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(content)
    return LocalFolder(f"file://{folder}")


@pytest.mark.parametrize("name", ["a.json", "a.json.gz"])
def test__erase__keeps_the_bytes_of_all_others(name: str, tmp_path: Path, eve: Erased) -> None:
    others = [ANN.encode(), b"caf\xe9 \xff", b"", b"\xef\xbb\xbf" + ANN.encode() + b"\r", b"end"]
    lines = [others[0], EVE.encode(), *others[1:]]
    packed = gzip.compress if name.endswith(".gz") else bytes
    folder = put(tmp_path / "landing", name, packed(b"\n".join(lines)))
    [file] = folder.json_lines()

    assert landing.erase(folder, file, eve) == 1

    content = (tmp_path / "landing" / name).read_bytes()
    unpacked = gzip.decompress if name.endswith(".gz") else bytes
    assert unpacked(content) == b"\n".join(others)
    [file] = folder.json_lines()
    assert landing.erase(folder, file, eve) == 0
    assert (tmp_path / "landing" / name).read_bytes() == content


def test__erase__in_a_bucket(s3_lakehouse_uri: str, tmp_path: Path, eve: Erased) -> None:
    source = put(tmp_path / "source", "a.json", f"{ANN}\n{EVE}\n".encode())
    folder = storage.open_folder(f"{s3_lakehouse_uri}/accelerometer/landing")
    arrival.ingest(source, folder)
    [file] = folder.json_lines()

    assert landing.erase(folder, file, eve) == 1

    again = storage.open_folder(folder.uri)
    [file] = again.json_lines()
    assert again.open(file).read() == f"{ANN}\n".encode()
    assert arrival.ingest(source, again).copied == []


def test__erase__leaves_a_file_of_others_untouched(tmp_path: Path, eve: Erased) -> None:
    folder = put(tmp_path / "landing", "a.json", ANN.encode())
    before = (tmp_path / "landing" / "a.json").stat()
    [file] = folder.json_lines()

    assert landing.erase(folder, file, eve) == 0

    after = (tmp_path / "landing" / "a.json").stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert [path.name for path in (tmp_path / "landing").iterdir()] == ["a.json"]


def test__erase__the_file_does_not_land_again(tmp_path: Path, eve: Erased) -> None:
    source = put(tmp_path / "source", "a.json", f"{ANN}\n{EVE}\n".encode())
    folder = LocalFolder(f"file://{tmp_path}/landing")
    assert len(arrival.ingest(source, folder).copied) == 1
    [file] = folder.json_lines()
    landing.erase(folder, file, eve)

    assert arrival.ingest(source, LocalFolder(folder.uri)).copied == []
    assert [file.name for file in folder.json_lines()] == ["a.json"]
    assert (tmp_path / "landing" / "a.json").read_text() == f"{ANN}\n"

    put(tmp_path / "source", "b.json", ANN.encode())
    assert [file.name for file in arrival.ingest(source, LocalFolder(folder.uri)).copied] == [
        "b.json"
    ]


@pytest.mark.parametrize("moment", ["note_erased", "upload"])
def test__erase__killed(
    moment: str, tmp_path: Path, eve: Erased, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is as it was, and to erase again ends it."""
    folder = put(tmp_path / "landing", "a.json", f"{ANN}\n{EVE}\n".encode())
    [file] = folder.json_lines()

    def kill(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(landing if moment == "note_erased" else folder, moment, kill)
        with pytest.raises(KeyboardInterrupt):
            landing.erase(folder, file, eve)
    assert (tmp_path / "landing" / "a.json").read_text() == f"{ANN}\n{EVE}\n"

    assert landing.erase(folder, file, eve) == 1
    assert (tmp_path / "landing" / "a.json").read_text() == f"{ANN}\n"


def test__erase__file_is_replaced_meanwhile(
    tmp_path: Path, eve: Erased, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = put(tmp_path / "landing", "a.json", f"{ANN}\n{EVE}\n".encode())
    [file] = folder.json_lines()
    really = landing._verified

    def replace(*given: Any) -> str:
        (tmp_path / "landing" / "a.json").write_text(f"{EVE}\n{EVE}\n{ANN}\n")
        return really(*given)

    monkeypatch.setattr(landing, "_verified", replace)
    with pytest.raises(LakehouseError, match="was replaced while people were erased"):
        landing.erase(folder, file, eve)
    assert (tmp_path / "landing" / "a.json").read_text() == f"{EVE}\n{EVE}\n{ANN}\n"


def test__erased__shows_no_one(eve: Erased) -> None:
    assert json.dumps(repr(eve)).count("Eve") == json.dumps(repr(eve)).count("example") == 0
    assert person_of(" Eve@Example.com\t") == "eve@example.com"
