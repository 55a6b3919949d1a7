"""A file that is corrected at its source heals the pipeline; what is quarantined has a place."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from stedi_assets.errors import LakehouseError
from stedi_assets.lakehouse import records, replay
from stedi_assets.landing.ledger import LEDGER
from stedi_assets.storage import address
from stedi_assets.storage.folder import StoredFile
from stedi_assets.storage.local import LocalFolder
from stedi_assets.tables.accelerometer import ACCELEROMETER_LANDING
from stedi_assets.tables.columns import SUPERSEDED
from stedi_assets.tables.customer import CUSTOMER_LANDING
from stedi_assets_tests.assets.conftest import (
    ACCOUNTED_FOR,
    BROKEN,
    CUT_SHORT,
    MALFORMED_SHARE,
    QUARANTINE,
    Landing,
    check,
    data_version,
    failure,
    figures,
    materialization,
    quarantined,
)
from stedi_assets_tests.bound import LANDING
from stedi_assets_tests.lines import ANN, ANN_READ, BEN, BEN_READ, CUSTOMER
from stedi_assets_tests.rows import rows

pytestmark = pytest.mark.slow

FOLDER = ACCELEROMETER_LANDING.location


def read(landing: Landing) -> list[tuple]:
    return rows(landing.lakehouse.read(ACCELEROMETER_LANDING))


def names(landing: Landing) -> dict[str, str]:
    """Each landed file's id and its name."""
    kept = json.loads((Path(landing.uri) / FOLDER / LEDGER).read_text())
    return {file["id"]: file["name"] for file in kept["files"]}


def places(landing: Landing) -> list[tuple]:
    found = landing.lakehouse.read(QUARANTINE).collect()
    named = names(landing)
    return sorted((named[row.file], row.lineNumber, row.byteOffset, row.line) for row in found)


def test__landing__corrected_file_heals_the_run(landing):
    landing.arrive("a.json", ANN, BROKEN)
    assert not check(landing.run(), MALFORMED_SHARE).passed
    landing.arrive("a.json", ANN, BEN)
    healed = landing.run()
    assert check(healed, MALFORMED_SHARE).passed
    assert (read(landing), quarantined(landing)) == ([ANN_READ, BEN_READ], [])
    assert figures(materialization(healed).metadata, "files", "files_superseded") == {
        "files": 1,
        "files_superseded": 1,
    }


def test__landing__file_that_is_as_it_was(landing):
    """What the source says counts, not what landed last; nor is it read as something new."""
    landing.arrive("a.json", ANN)
    first = landing.run()
    landing.arrive("a.json", BROKEN)
    landing.run(max_malformed_share=1)
    landing.arrive("a.json", ANN)
    again = landing.run()
    assert data_version(again) == data_version(first)
    assert (read(landing), quarantined(landing)) == ([ANN_READ], [])


def test__landing__is_that_of_a_lakehouse_built_now(landing, spark_resource, tmp_path):
    for lines in ([ANN], [BEN, BROKEN], [CUT_SHORT, ANN]):
        landing.arrive("a.json", *lines)
        landing.run(max_malformed_share=1)
    anew = Landing.__new__(Landing)
    anew.__dict__.update(landing.__dict__ | {"uri": str(tmp_path / "anew")})
    anew.run(max_malformed_share=1)
    assert (read(landing), quarantined(landing)) == (read(anew), quarantined(anew))


def test__landing__damaged_customers_file_that_was_corrected(landing):
    """Nothing that it said can be read any more; the rest of what was said before still counts."""
    path = landing.source / CUSTOMER_LANDING.location / "a.json.gz"
    landing.arrive("a.json.gz", table=CUSTOMER_LANDING)
    whole = gzip.compress(CUSTOMER.encode())
    path.write_bytes(whole[:-4])
    assert "is damaged or cut short" in failure(landing.run(asset=LANDING["customer_landing"]))
    path.write_bytes(whole)
    landing.arrive("b.json", CUSTOMER.replace("ann", "ben"), table=CUSTOMER_LANDING)
    assert landing.run(asset=LANDING["customer_landing"]).success
    landing.arrive("b.json", CUSTOMER.replace("ann", "cid"), table=CUSTOMER_LANDING)
    assert landing.run(asset=LANDING["customer_landing"]).success
    found = landing.lakehouse.read(CUSTOMER_LANDING).collect()
    assert sorted((row.email, row[SUPERSEDED]) for row in found) == [
        ("ann@x.io", False),
        ("ben@x.io", True),
        ("cid@x.io", False),
    ]


def test__landing__overwritten_in_place_warns_once(landing):
    folder = Path(landing.uri) / FOLDER
    folder.mkdir(parents=True)
    (folder / "a.json").write_text(ANN)
    assert check(landing.run(source=""), "landed_files_unaltered").passed
    (folder / "a.json").write_text(BEN)
    warned = check(landing.run(source=""), "landed_files_unaltered")
    assert (warned.passed, warned.severity.value) == (False, "WARN")
    assert figures(warned.metadata, "files_overwritten") == {"files_overwritten": 1}
    assert check(landing.run(source=""), "landed_files_unaltered").passed


# Places


@pytest.mark.parametrize(("suffix", "end"), [(".json", b"\r\n"), (".json.gz", b"\n")])
def test__quarantine__says_file_line_and_byte(landing, suffix, end):
    lines = [ANN.encode(), b"", "é".encode() + ANN.encode(), BROKEN.encode(), CUT_SHORT.encode()]
    content = end.join(lines)
    landing.arrive("a.json", ANN, BEN)
    path = landing.source / FOLDER / f"b{suffix}"
    path.write_bytes(gzip.compress(content) if suffix.endswith(".gz") else content)
    landing.run(max_malformed_share=1)

    found = places(landing)
    assert [(name, number) for name, number, *_ in found] == [(path.name, n) for n in (3, 4, 5)]
    for _, number, offset, line in found:
        assert content[offset:].startswith(lines[number - 1])
        assert line.encode() in lines[number - 1]


def test__quarantine__several_pieces_of_a_line(landing):
    landing.arrive("a.json", f"\ufeff{ANN}", f"{BROKEN} {BEN} {CUT_SHORT}")
    landing.run(max_malformed_share=1)
    offset = len(f"\ufeff{ANN}\n".encode())
    found = [(*place, line.strip()) for *place, line in places(landing)]
    assert sorted(found) == [("a.json", 2, offset, line) for line in (BROKEN, CUT_SHORT)]
    assert read(landing) == [ANN_READ, BEN_READ]


@pytest.mark.parametrize("end", ["", "\n{}\udcff\n"], ids=["utf8", "not_utf8"])
def test__quarantine__carriage_return_alone(landing, end):
    """It ends a line for every engine, between records and within one."""
    content = f"{BROKEN}\r{CUT_SHORT}\n{ANN[:20]}\r{ANN[20:]}\n"
    found = [*enumerate([BROKEN, CUT_SHORT, ANN[:20], ANN[20:]], 2)]
    landing.arrive("a.json", BEN)
    path = landing.source / FOLDER / "a.json"
    path.write_bytes(path.read_bytes() + (content + end).encode("utf-8", "surrogateescape"))
    result = landing.run(max_malformed_share=1)
    assert check(result, ACCOUNTED_FOR).passed
    assert [(number, line) for _, number, _, line in places(landing)][:4] == found
    assert read(landing) == [BEN_READ]


def test__landing__read_by_another_release_is_read_anew(landing, monkeypatch):
    landing.arrive("a.json", ANN)
    monkeypatch.setattr(records, "reader_version", lambda _: "of release 0.1.0")
    landing.run()
    monkeypatch.undo()
    before = landing.lakehouse.records(ACCELEROMETER_LANDING).known_profile()
    assert before is None
    assert landing.run().success
    assert read(landing) == [ANN_READ]


def test__quarantine__the_same_line_again_and_again(landing):
    landing.arrive("a.json", BROKEN, BROKEN)
    landing.arrive("b.json", BROKEN)
    landing.run(max_malformed_share=1)
    assert [place[:2] for place in places(landing)] == [("a.json", 1), ("a.json", 2), ("b.json", 1)]


def test__quarantine__of_many_files_looks_into_those_that_hold_some(landing, monkeypatch):
    for number in range(200):
        landing.arrive(f"{number:03}.json", ANN, *([BROKEN] if number in (7, 150) else []))
    opened = list[str]()
    whole = LocalFolder.open

    def note(self: LocalFolder, file: StoredFile):
        opened.extend([file.name] if self.uri.endswith("/landing") else [])
        return whole(self, file)

    monkeypatch.setattr(LocalFolder, "open", note)
    landing.run(max_malformed_share=1)
    in_landing = [name for name in opened if opened.count(name) > 1]
    assert [place[0] for place in places(landing)] == ["007.json", "150.json"]
    assert set(in_landing) <= {"007.json", "150.json", LEDGER}


def test__quarantine__more_lines_than_one_batch(landing):
    lines = [BROKEN] * 20_001
    landing.arrive("a.json", *lines)
    landing.run(max_malformed_share=1)
    found = [(number, offset) for _, number, offset, _ in places(landing)]
    assert found == [(n + 1, n * (len(BROKEN) + 1)) for n in range(20_001)]


# Replay


def replayed(landing: Landing) -> list[bytes]:
    return list(replay.lines(address.as_uri(landing.uri), ACCELEROMETER_LANDING))


def test__replay__lines_as_they_landed(landing):
    bad = BROKEN.encode()[:-4] + b"\xff"
    content = b"\n".join([ANN.encode(), bad, f"{BEN} {CUT_SHORT}".encode(), BROKEN.encode()])
    landing.arrive("b.json", ANN, BROKEN)
    (landing.source / FOLDER / "a.json").write_bytes(content)
    landing.run(max_malformed_share=1)
    lines = [bad, f"{BEN} {CUT_SHORT}".encode(), BROKEN.encode(), BROKEN.encode()]
    assert sorted(replayed(landing)) == sorted(lines)

    # Corrected, they land as any file does.
    (landing.source / FOLDER / "c.json").write_bytes(
        b"\n".join(replayed(landing)).replace(b'"soon"', b"1655564376363")
    )
    landing.run(max_malformed_share=1)
    assert ("cy@x.io", 1655564376363, 2.0, 0.5, 3.0) in read(landing)


def test__replay__before_the_first_run(landing):
    with pytest.raises(LakehouseError, match="Materialise accelerometer_landing first"):
        replayed(landing)
    # Nor does the quarantine of an earlier release say where a line stands.
    old = pa.table({"line": [BROKEN], "reason": ["…"]})
    write_deltalake(f"{landing.uri}/{QUARANTINE.location}", old)
    with pytest.raises(LakehouseError, match="Materialise accelerometer_landing first"):
        replayed(landing)


def test__replay__of_a_file_that_is_gone(landing):
    landing.arrive("a.json", BROKEN)
    landing.run(max_malformed_share=1)
    (Path(landing.uri) / FOLDER / "a.json").unlink()
    with pytest.raises(LakehouseError, match=r"is not in .* any more"):
        replayed(landing)
