"""Which of the files that landed are current: what the source says now, whatever it said before."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stedi_assets.engine.spark import SparkResource
from stedi_assets.errors import LakehouseError
from stedi_assets.landing import ledger
from stedi_assets.landing import upload as arrival
from stedi_assets.landing.ledger import LEDGER
from stedi_assets.storage import local
from stedi_assets.storage.local import LocalFolder
from stedi_assets_tests.assets.conftest import Landing
from stedi_assets_tests.landing.conftest import write

A, B, C = "first\n", "second, longer\n", "third\n"


@pytest.fixture
def landing(tmp_path: Path, spark_resource: SparkResource) -> Landing:
    return Landing(tmp_path / "asset", spark_resource)


def ingest(source: Path | None, folder: Path) -> arrival.Ingested:
    arriving = LocalFolder(f"file://{source}") if source else None
    return arrival.ingest(arriving, LocalFolder(f"file://{folder}"))


def current(folder: Path) -> list[str]:
    """The contents of the current files, as whoever reads the folder next finds them."""
    landing = LocalFolder(f"file://{folder}")
    found = ledger.read(landing, landing.files())
    return sorted((folder / file.name).read_text() for file in found.files if file.current)


def saved(folder: Path) -> list[dict]:
    return json.loads((folder / LEDGER).read_text())["files"]


def test__ingest__file_that_arrived_by_itself_and_then_by_the_source(source, folder):
    write(folder, {"a.json": A})
    ingest(None, folder)
    write(source, {"a.json": A})
    assert ingest(source, folder).copied == []
    write(source, {"a.json": B})
    ingest(source, folder)
    assert current(folder) == [B]


def test__ingest__nothing_new_leaves_the_ledger_alone(source, folder):
    write(source, {"a.json": A})
    ingest(source, folder)
    before = (folder / LEDGER).stat()
    ingest(source, folder)
    assert (folder / LEDGER).stat() == before


@pytest.mark.parametrize(
    "left", ["", "{", '{"format":99,"files":[]}', '{"format":1,"files":[{}]}', None]
)
def test__read__where_the_ledger_has_nothing(source, folder, left):
    """One by another release, a damaged one, none at all: what landed last is current."""
    for number, content in enumerate([A, B, C]):
        write(source, {"a.json": content})
        ingest(source, folder)
        for path in folder.glob("a*.json"):
            if path.read_text() == content:
                os.utime(path, (number, number))
    (folder / LEDGER).unlink() if left is None else (folder / LEDGER).write_text(left)
    assert current(folder) == [C]
    # The source knows better.
    write(source, {"a.json": B})
    ingest(source, folder)
    assert current(folder) == [B]


def test__read__versions_of_one_moment(source, folder):
    """A copy of a lakehouse may have lost the files' times, and its ledger."""
    for content in (A, B):
        write(source, {"a.json.gz": content})
        ingest(source, folder)
    (folder / LEDGER).unlink()
    for path in folder.iterdir():
        os.utime(path, (1, 1))
    landing = LocalFolder(f"file://{folder}")
    files = ledger.read(landing, landing.files()).files
    assert [(file.name == "a.json.gz", file.current) for file in files] == [
        (False, True),
        (True, False),
    ]


def test__read__name_that_only_looks_like_a_version(folder):
    write(folder, {"a.json": A, "a-0123456789ab.json": B})
    assert current(folder) == [A, B]


def test__read__run_killed_before_the_ledger_was_saved(source, folder, monkeypatch):
    write(source, {"a.json": A})
    ingest(source, folder)
    write(source, {"a.json": B, "b.json": C})
    with monkeypatch.context() as patch:
        patch.setattr(ledger, "save", lambda *of: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            ingest(source, folder)
    assert current(folder) == [B, C]
    assert ingest(source, folder).copied == []
    assert current(folder) == [B, C]


def test__updated__file_overwritten_in_place(source, folder):
    write(source, {"a.json": A})
    write(folder, {"b.json": B})
    assert not ingest(source, folder).ledger.overwritten
    write(folder, {"a.json": C, "b.json": C + C})
    assert len(ingest(None, folder).ledger.overwritten) == 2
    assert not ingest(None, folder).ledger.overwritten
    # What the source says has not landed any more.
    ingest(source, folder)
    assert current(folder) == [A, C + C]


def test__updated__touched_file_is_not_overwritten(source, folder):
    write(source, {"a.json": A})
    ingest(source, folder)
    os.utime(folder / "a.json", (1, 1))
    assert not ingest(source, folder).ledger.overwritten
    [file] = saved(folder)
    assert file["version"] == f"{len(A)}-1000000000"


def test__updated__current_version_taken_out_of_landing(source, folder):
    for content in (A, B, C):
        write(source, {"a.json": content})
        ingest(source, folder)
    next(path for path in folder.glob("a-*") if path.read_text() == C).unlink()
    os.utime(folder / "a.json", (1, 1))
    assert current(folder) == [B]


@given(
    st.lists(
        st.sampled_from(["a", "b"]).flatmap(
            lambda n: st.tuples(st.just(n), st.sampled_from("ABC"))
        ),
        min_size=1,
        max_size=8,
    )
)
def test__ingest__is_that_of_the_source(
    tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[str, str]]
) -> None:
    root = tmp_path_factory.mktemp("ledger")
    source, folder = root / "source", root / "landing"
    source.mkdir()
    said: dict[str, str] = {}
    for name, content in changes:
        said[name] = content
        write(source, {f"{name}.json": content})
        ingest(source, folder)
        (source / f"{name}.json").unlink()  # which takes nothing back
        assert current(folder) == sorted(said.values())
    landed = [
        (path.name[0], path.read_text()) for path in folder.glob("*.json") if path.name != LEDGER
    ]
    assert sorted(landed) == sorted(set(changes))
    assert len({file["id"] for file in saved(folder)}) == len(landed)


def version_of(content: str, digits: int = 12) -> str:
    return f"a-{hashlib.sha256(content.encode()).hexdigest()[:digits]}.json"


@pytest.mark.parametrize("content", [B, C], ids=["same", "another"])
def test__ingest__source_file_named_as_a_version_of_another(source, folder, content):
    write(source, {"a.json": A, version_of(B): content})
    ingest(source, folder)
    write(source, {"a.json": B})
    assert ingest(source, folder).copied
    assert current(folder) == sorted([B, content])
    assert ingest(source, folder).copied == []
    assert (folder / version_of(B, 16)).read_text() == B


def test__ingest__version_that_was_overwritten_lands_again(source, folder):
    for content in (A, B):
        write(source, {"a.json": content})
        ingest(source, folder)
    write(folder, {version_of(B): C + C})
    ingest(source, folder)
    assert current(folder) == [B]


def test__ingest__file_that_changes_while_it_is_copied(source, folder, monkeypatch):
    write(source, {"a.json": A})
    copy = shutil.copyfile

    def late(path: Path, target: Path) -> None:
        path.write_text(B)
        copy(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(local, "copyfile", late)
        with pytest.raises(LakehouseError, match="changed while it was copied") as error:
            ingest(source, folder)
    assert error.value.transient
    assert list(folder.glob("*.json")) == [folder / LEDGER] * (folder / LEDGER).exists()
    ingest(source, folder)
    assert current(folder) == [B]
    write(source, {"a.json": A})
    ingest(source, folder)
    assert current(folder) == [A]


def test__updated__earlier_version_that_comes_back(source, folder, tmp_path):
    for number, content in enumerate((A, B), 1):
        write(source, {"a.json": content})
        ingest(source, folder)
        for path in folder.glob("a*.json"):
            if path.read_text() == content:
                os.utime(path, (number, number))
    ingest(None, folder)
    aside = (folder / "a.json").rename(tmp_path / "aside")
    ingest(None, folder)
    aside.rename(folder / "a.json")
    ingest(None, folder)
    assert current(folder) == [B]


# Times
