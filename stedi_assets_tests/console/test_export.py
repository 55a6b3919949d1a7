"""`stedi export`: the current version of a table, and no row of an older one."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import write_deltalake

from stedi_assets import cli
from stedi_assets.console.export import export
from stedi_assets.errors import Code, LakehouseError
from stedi_assets.tables import LANDING_TABLES
from stedi_assets.tables.customer import CUSTOMER_TRUSTED
from stedi_assets.tables.machine_learning import MACHINE_LEARNING_CURATED

ROWS = [{"email": "ann@example.com", "n": -1}, {"email": "=1+1", "n": 2}, {"email": None, "n": 3}]


@pytest.fixture
def uri(tmp_path: Path) -> str:
    """A lakehouse with a table of two versions."""
    folder = tmp_path / "lakehouse" / CUSTOMER_TRUSTED.location
    write_deltalake(folder, pa.Table.from_pylist([{"email": "left@example.com", "n": 0}]))
    write_deltalake(folder, pa.Table.from_pylist(ROWS), mode="overwrite")
    return f"file://{tmp_path}/lakehouse"


def test__parquet__has_the_current_version(uri: str, tmp_path: Path) -> None:
    file = tmp_path / "new" / "customers.parquet"

    for _ in range(2):  # the second replaces the first
        assert export(uri, CUSTOMER_TRUSTED, file, "parquet") == len(ROWS)

    assert pq.read_table(file).to_pylist() == ROWS
    assert list(file.parent.iterdir()) == [file]
    assert file.stat().st_mode & 0o777 == 0o600


def test__csv__text_is_no_formula_of_a_spreadsheet(uri: str, tmp_path: Path) -> None:
    texts = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "  =1", "\uff1d1", "a=b"]
    folder = tmp_path / "lakehouse" / MACHINE_LEARNING_CURATED.location
    write_deltalake(folder, pa.table({"text": texts, "whole": [-1] * len(texts)}))

    export(uri, MACHINE_LEARNING_CURATED, tmp_path / "file.csv", "csv")

    written = (tmp_path / "file.csv").read_bytes().decode()
    [names, *found] = csv.reader(io.StringIO(written, newline=""))
    assert names == ["text", "whole"]
    guarded = [text if text == "a=b" else f"'{text}" for text in texts]
    assert found == [[text, "-1"] for text in guarded]


def test__table__not_made_yet(uri: str, tmp_path: Path) -> None:
    with pytest.raises(LakehouseError) as refused:
        export(uri, MACHINE_LEARNING_CURATED, tmp_path / "file", "parquet")
    assert refused.value.code is Code.NOT_MATERIALISED


def test__table__of_landing_is_files_already(uri: str, tmp_path: Path) -> None:
    with pytest.raises(LakehouseError) as refused:
        export(uri, LANDING_TABLES[0], tmp_path / "file", "parquet")
    assert refused.value.code is Code.SETTING


def test__file__that_cannot_be_written(uri: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(LakehouseError) as refused:
        export(uri, CUSTOMER_TRUSTED, tmp_path / "file" / "below", "parquet")
    assert refused.value.code is Code.SETTING
    assert [each.name for each in tmp_path.iterdir() if each.name != "lakehouse"] == ["file"]


def test__command__says_that_a_file_holds_personal_data(
    uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STEDI_LAKEHOUSE_URI", uri)
    monkeypatch.chdir(tmp_path)

    with pytest.raises(SystemExit) as ended:
        cli.main(["export", CUSTOMER_TRUSTED.name, "--format", "csv"])

    printed = capsys.readouterr()
    assert ended.value.code in (0, None)
    assert (tmp_path / "build" / "customer_trusted.csv").exists()
    assert "personal data" in printed.err
    assert "ann@example.com" not in printed.out + printed.err
