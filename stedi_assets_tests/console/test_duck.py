"""Queries over a small lakehouse, and what they may not do."""

from __future__ import annotations

import gzip
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from deltalake import write_deltalake

from stedi_assets.console import duck
from stedi_assets.errors import Code
from stedi_assets.landing import upload as arrival
from stedi_assets.storage.local import LocalFolder
from stedi_assets.tables.accelerometer import ACCELEROMETER_LANDING
from stedi_assets.tables.customer import CUSTOMER_LANDING, CUSTOMER_TRUSTED
from stedi_assets_tests.console.conftest import ANN, land, rows
from stedi_assets_tests.faults import raises

THREE = 'SELECT email, phone, shareWithResearchAsOfDate FROM customer_landing ORDER BY "email"'


def test__query__joins_landing_and_delta(uri: str) -> None:
    found = rows(
        uri,
        "SELECT l.email, t.serialNumber FROM Customer_Landing AS l JOIN customer_trusted AS t "
        "USING (email)",
    )

    assert found == [("ann@example.com", "device-ann")]


def test__query__landing_line_that_cannot_be_read_is_a_row_of_nulls(small: Path, uri: str) -> None:
    land(
        small,
        '{"email": "ann@example.com", "phone": 8015550101, "shareWithResearchAsOfDate": "7"}',
        '{"email": "cut@example.com", "phone": "80',
        "",
        '{"email": "one@example.com"}{"email": "two@example.com"}',
        "not JSON",
        '{"email": "bob@example.com", "unknown": 1, "shareWithResearchAsOfDate": "soon"}',
    )

    assert rows(uri, THREE) == [
        ("ann@example.com", "8015550101", 7),
        ("bob@example.com", None, None),
        (None, None, None),
        (None, None, None),
        (None, None, None),
    ]


def test__query__landing_files_gzipped_hidden_and_oddly_named(small: Path, uri: str) -> None:
    landing = small / CUSTOMER_LANDING.location
    with gzip.open(landing / "bob's.json.gz", "wt") as file:
        file.write('{"email": "bob@example.com"}\r\n')
    (landing / "é #1.json").write_text('\ufeff{"email": "cid@example.com"}')
    (landing / "_hidden.json").write_text('{"email": "eve@example.com"}')
    (landing / "notes.txt").write_text('{"email": "zoe@example.com"}')

    assert [email for email, *_ in rows(uri, THREE)] == [
        "ann@example.com",
        "bob@example.com",
        "cid@example.com",
    ]


def test__query__landing_field_by_its_alias(small: Path, uri: str) -> None:
    landing = small / ACCELEROMETER_LANDING.location
    landing.mkdir(parents=True)
    (landing / "a.json").write_text(
        '{"user": "ann@example.com", "timestamp": 1, "x": 0.5}\n'
        '{"user": "ann@example.com", "timeStamp": 2, "x": 1e-1}\n'
    )

    found = rows(uri, 'SELECT "timestamp", x FROM accelerometer_landing ORDER BY 1')

    assert found == [(1, 0.5), (2, 0.1)]


def test__query__landing_file_that_its_source_replaced(
    small: Path, uri: str, tmp_path: Path
) -> None:
    """What the source says now is what is shown, of customers too."""
    source = tmp_path / "source"
    source.mkdir()
    landing = LocalFolder(f"file://{small / CUSTOMER_LANDING.location}")
    for email in ("bob@example.com", "cid@example.com"):
        (source / "new.json").write_text(f'{{"email": "{email}"}}')
        arrival.ingest(LocalFolder(f"file://{source}"), landing)

    assert [email for email, *_ in rows(uri, THREE)] == ["ann@example.com", "cid@example.com"]


def test__query__sees_the_newest_version(small: Path, uri: str) -> None:
    emails = "SELECT email FROM customer_trusted ORDER BY 1"
    assert rows(uri, emails) == [("ann@example.com",)]

    bob = pa.Table.from_pylist([{**ANN, "email": "bob@example.com"}])
    write_deltalake(small / CUSTOMER_TRUSTED.location, bob, mode="append")

    assert rows(uri, emails) == [("ann@example.com",), ("bob@example.com",)]


def test__query__opens_only_the_tables_that_it_names(small: Path, uri: str) -> None:
    _damage(small)

    assert rows(uri, "SELECT email FROM customer_landing") == [("ann@example.com",)]
    with raises(Code.LOG_DAMAGED):
        rows(uri, "SELECT email FROM customer_trusted")


@pytest.mark.parametrize(
    ("sql", "table", "folder"),
    [
        ("SELECT * FROM customer_curated", "customer_curated", "customer/curated"),
        ("DESCRIBE step_trainer_landing", "step_trainer_landing", "step_trainer/landing"),
        (
            "SELECT * FROM customer_trusted JOIN customer_quarantine USING (email)",
            "customer_quarantine",
            "customer/quarantine",
        ),
    ],
)
def test__query__table_not_materialised(uri: str, sql: str, table: str, folder: str) -> None:
    with raises(Code.NOT_MATERIALISED) as caught:
        rows(uri, sql)

    assert f"{table} is not in the lakehouse yet" in str(caught.value)
    assert f"{uri}/{folder}" in str(caught.value)


def test__query__name_of_an_absent_table_for_something_else(uri: str) -> None:
    found = rows(uri, "WITH customer_curated AS (SELECT 1 AS n) SELECT n FROM customer_curated")

    assert found == [(1,)]


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("SELEC 1", 'Parser Error: syntax error at or near "SELEC"'),
        ("SELECT email FROM sys", "Catalog Error: Table with name sys does not exist! The tables"),
        ("SELECT nope FROM customer_trusted", 'Binder Error: Referenced column "nope" not found'),
    ],
)
def test__query__mistake_in_one_line(uri: str, sql: str, said: str) -> None:
    with raises(Code.QUERY) as caught:
        rows(uri, sql)

    assert said in str(caught.value)
    assert "\n" not in str(caught.value) and "LINE" not in str(caught.value)


@pytest.mark.parametrize(
    "sql",
    [
        "COPY (SELECT 1) TO 'out.csv'",
        "EXPLAIN ANALYZE COPY (SELECT 1) TO 'out.csv'",
        "EXPORT DATABASE 'out'",
        "ATTACH 'out.db'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET enable_external_access = true",
        "CREATE TABLE t AS SELECT 1",
        "INSERT INTO customer_trusted VALUES (1)",
        "DELETE FROM customer_trusted",
        "DROP VIEW customer_landing",
        "PRAGMA database_list",
        "SELECT 1; DELETE FROM customer_trusted",
    ],
)
def test__statements__only_queries(sql: str) -> None:
    with raises(Code.QUERY):
        duck.statements(sql)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_text('{outside}')",
        "SELECT * FROM read_text('lakehouse://../../{outside}')",
        "SELECT * FROM '{outside}'",
        "SELECT * FROM 's3://bucket/x.parquet'",
        "SELECT * FROM 'https://example.com/x.csv'",
    ],
)
def test__query__reads_no_file_but_the_lakehouse(tmp_path: Path, uri: str, sql: str) -> None:
    outside = tmp_path / "outside.csv"
    outside.write_text("secret")

    with raises(Code.QUERY):
        rows(uri, sql.format(outside=outside))


def test__fault__file_beside_the_lakehouse(tmp_path: Path, uri: str) -> None:
    (tmp_path / "outside.csv").write_text("secret")

    said = _fault(uri, "SELECT * FROM read_text('lakehouse://../outside.csv')")

    assert said.startswith("[QUERY] PermissionError: ../outside.csv")


def test__connection__cannot_write_into_the_lakehouse(small: Path, uri: str) -> None:
    before = _files(small)
    connection = duck.connect(uri)

    with pytest.raises(duckdb.Error, match="own files are open, for reading"):
        connection.execute("COPY (SELECT 1) TO 'lakehouse://customer/landing/new.json'")
    with pytest.raises(duckdb.Error, match="own files are open, for reading"):
        connection.execute("COPY (SELECT 1) TO 'lakehouse://customer/landing/customer.json'")

    assert _files(small) == before


def test__fault__quote_no_value(uri: str) -> None:
    said = _fault(uri, "SELECT CAST(email AS int) FROM customer_trusted")

    assert said.startswith("[QUERY] Conversion Error: the query stopped at a value")
    assert "ann@" not in said


def test__fault__damaged_landing_file(small: Path, uri: str) -> None:
    whole = gzip.compress(b'{"email": "ann@example.com"}\n' * 1000)
    (small / CUSTOMER_LANDING.location / "cut.json.gz").write_bytes(whole[:40])

    said = _fault(uri, "SELECT email FROM customer_landing")

    assert said.startswith("[QUERY] IO Error: ")
    assert "cut.json.gz" in said


def test__fault__file_of_a_table_is_gone(small: Path, uri: str) -> None:
    [file] = (small / CUSTOMER_TRUSTED.location).glob("*.parquet")
    file.unlink()

    said = _fault(uri, "SELECT email FROM customer_trusted")

    assert said.endswith("and run `make materialize` where a table's file is gone.")


def _fault(uri: str, sql: str) -> str:
    [statement] = duck.statements(sql)
    with pytest.raises(duckdb.Error) as caught:
        duck.query(uri, statement).fetchall()
    said = str(duck.fault(caught.value))
    assert "\n" not in said
    return said


def _damage(small: Path) -> None:
    [commit] = (small / CUSTOMER_TRUSTED.location / "_delta_log").glob("*.json")
    commit.write_text("{")


def _files(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
