"""The queries of `sql/queries`, run on whole lakehouses and read as Athena would."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
import sqlglot
from sqlglot import exp

from stedi_assets.tables import TABLES
from stedi_assets.tables.machine_learning import MACHINE_LEARNING_CURATED
from stedi_assets_tests.conftest import PROJECT
from stedi_assets_tests.console.conftest import land, rows
from stedi_assets_tests.rows import stored_rows

QUERIES = {path.stem: path for path in sorted((PROJECT / "sql" / "queries").glob("*.sql"))}

THE_JOIN = "machine_learning_join"


@pytest.mark.parametrize("name", QUERIES)
def test__queries__one_statement_for_athena(name: str) -> None:
    [parsed] = sqlglot.parse(QUERIES[name].read_text(), dialect="athena")

    assert isinstance(parsed, exp.Query)
    assert {table.name for table in parsed.find_all(exp.Table)} <= set(TABLES)


def test__queries__sample_as_its_manifest_records(sample_uri: str) -> None:
    recorded = json.loads((PROJECT / "data" / "manifest.json").read_text())["rows"]
    paired = recorded["machine_learning_curated"]
    matched = recorded["machine_learning_curated+match_device"]
    after = recorded["machine_learning_curated+after_consent_only"]
    expected: dict[str, set[tuple]] = {
        "row_counts": {(table, recorded.get(table, 0)) for table in TABLES},
        "customers_without_consent": {
            (recorded["customer_landing"] - recorded["customer_trusted"],)
        },
        "machine_learning_count": {(paired, paired)},
        "pairs_of_two_people": {(paired - matched,)},
        "readings_before_consent": {(paired - after,)},
    }

    assert {*expected, THE_JOIN} == set(QUERIES)
    for name, rows_expected in expected.items():
        assert _answer(sample_uri, name) == Counter(rows_expected), name


def test__machine_learning_join__gives_the_rows_of_the_table(sample_uri: str) -> None:
    uri = f"{sample_uri}/{MACHINE_LEARNING_CURATED.location}"

    joined = _answer(sample_uri, THE_JOIN)

    made = stored_rows(uri, columns=MACHINE_LEARNING_CURATED.column_names).to_pydict()
    assert joined == Counter(zip(*made.values(), strict=True))


def test__customers_without_consent__latest_says_none_or_zero_but_no_broken_line(
    small: Path, uri: str
) -> None:
    land(
        small,
        '{"email": "ann@example.com", "shareWithResearchAsOfDate": 1655564376361}',
        '{"email": "eve@example.com"}',
        '{"email": "zoe@example.com", "shareWithResearchAsOfDate": 0}',
        '{"email": "cut@example.com", "shareWith',
        '{"email": "Bob@example.com ", "lastUpdateDate": 1655564376361}',
        '{"email": "bob@example.com", "lastUpdateDate": 1655564376362, '
        '"shareWithResearchAsOfDate": 1655564376361}',
        '{"email": "ian@example.com", "shareWithResearchAsOfDate": 1655564376361}',
        '{"email": "ian@example.com", "lastUpdateDate": 1655564376}',
    )

    assert _answer(uri, "customers_without_consent") == Counter([(3,)])


def _answer(uri: str, name: str) -> Counter[tuple]:
    return Counter(rows(uri, QUERIES[name].read_text()))
