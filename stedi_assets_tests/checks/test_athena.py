"""The check of Athena's count, on a moto server that answers as it is told to."""

from __future__ import annotations

import json
from collections.abc import Callable
from urllib.request import Request, urlopen

import pytest
import sqlglot
from dagster import AssetCheckResult

from stedi_assets.catalog.athena import Athena
from stedi_assets.errors import Code
from stedi_assets.orchestration.checks.athena_rows import query, row_count
from stedi_assets.storage import aws_settings
from stedi_assets.tables import TABLES, Table
from stedi_assets.tables.customer import CUSTOMER_LANDING, CUSTOMER_TRUSTED
from stedi_assets_tests import aws_answers
from stedi_assets_tests.conftest import Catalogued
from stedi_assets_tests.faults import raises
from stedi_assets_tests.rows import function_of

TABLE = CUSTOMER_TRUSTED
LANDING = CUSTOMER_LANDING
REQUIRED = {
    "customer_landing": "email",
    "accelerometer_landing": "user",
    "step_trainer_landing": "sensorreadingtime",
}


@pytest.fixture
def counts(aws: dict[str, str], catalogued: Catalogued) -> Callable[[int], None]:
    """Seeds what Athena counts next, in a workgroup that keeps its results in the bucket."""
    aws_settings.found().client("athena").create_work_group(Name=_workgroup(catalogued))
    bucket = catalogued.uri.removeprefix("s3://").partition("/")[0]
    # Moto does not look at the workgroup's own location.
    location = {"ResultConfiguration": {"OutputLocation": f"s3://{bucket}/results/"}}
    aws_settings.found().session.events.register(
        "provide-client-params.athena.StartQueryExecution",
        lambda params, **_: {**params, **location},
    )

    def seed(count: int) -> None:
        rows = [{"Data": [{"VarCharValue": text}]} for text in ("_col0", str(count))]
        urlopen(
            Request(
                f"{aws['AWS_ENDPOINT_URL']}/moto-api/static/athena/query-results",
                json.dumps({"results": [{"rows": rows}]}).encode(),
                {"Content-Type": "application/json"},
            )
        ).close()

    return seed


def check(lakehouse: Catalogued, table: Table = TABLE, workgroup: str = "") -> AssetCheckResult:
    """The check's result, without pauses between looks."""
    athena = Athena(workgroup=workgroup or _workgroup(lakehouse), polling_interval=0, max_polls=5)
    result: AssetCheckResult = function_of(row_count(table))(lakehouse, lakehouse.catalog, athena)
    return result


def test__row_count__equal(catalogued: Catalogued, counts: Callable[[int], None]) -> None:
    catalogued.write(TABLE, None)
    asked = aws_answers.requests("athena.StartQueryExecution")
    counts(0)

    result = check(catalogued)

    assert result.passed, result.description
    [request] = asked
    assert request["WorkGroup"] == _workgroup(catalogued)
    assert request["QueryString"] == (
        f'SELECT count(*) FROM "{catalogued.catalog.database}"."customer_trusted"'
    )


def test__row_count__differs(catalogued: Catalogued, counts: Callable[[int], None]) -> None:
    catalogued.write(TABLE, None)
    counts(1234)

    result = check(catalogued)

    assert not result.passed
    assert result.description == "Athena counts 1,234, the lakehouse 0."
    assert {name: each.value for name, each in result.metadata.items()} == {
        "rows": 0,
        "rows_in_athena": 1234,
    }


@pytest.mark.parametrize(("counted", "passed"), [(4, True), (5, False)])
def test__row_count__landing(
    catalogued: Catalogued,
    counts: Callable[[int], None],
    land_in_bucket: Callable[..., None],
    counted: int,
    passed: bool,
) -> None:
    land_in_bucket(LANDING)
    counts(counted)

    assert check(catalogued, LANDING).passed is passed


def test__row_count__landing_with_lines_that_do_not_conform(
    catalogued: Catalogued,
    counts: Callable[[int], None],
    land_in_bucket: Callable[..., None],
) -> None:
    asked = aws_answers.requests("athena.StartQueryExecution")
    land_in_bucket(LANDING, '{"of": "no record"}')

    result = check(catalogued, LANDING)

    assert result.passed
    assert str(result.description).startswith("Not compared: Athena reads lines")
    assert asked == []


def test__row_count__not_materialised(
    catalogued: Catalogued, counts: Callable[[int], None]
) -> None:
    result = check(catalogued)

    assert not result.passed
    assert (
        result.description
        == "customer_trusted is not materialised, or has changed since. Materialise it."
    )


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (
            {"State": "FAILED", "StateChangeReason": "TABLE_NOT_FOUND: line 1:22"},
            "Athena did not count customer_trusted: TABLE_NOT_FOUND: line 1:22.",
        ),
        (
            {"State": "RUNNING"},
            "Athena did not count customer_trusted: no answer within 0 seconds. See what the "
            "workgroup {workgroup} is busy with, then run the check again.",
        ),
        (
            {"State": "CANCELLED"},
            "Athena did not count customer_trusted: the answer lacks 'StateChangeReason': the "
            "query was cancelled, or the workgroup {workgroup} keeps no results in S3. Set its "
            "output location.",
        ),
        (
            {"State": "SUCCEEDED"},
            "Athena did not count customer_trusted: the answer lacks 'ResultConfiguration': the "
            "query was cancelled, or the workgroup {workgroup} keeps no results in S3. Set its "
            "output location.",
        ),
    ],
    ids=["failed", "endless", "cancelled", "no location"],
)
def test__row_count__query_comes_to_nothing(
    catalogued: Catalogued,
    counts: Callable[[int], None],
    status: dict[str, str],
    said: str,
) -> None:
    catalogued.write(TABLE, None)
    aws_answers.answer("athena.GetQueryExecution", 200, {"QueryExecution": {"Status": status}})

    result = check(catalogued)

    assert not result.passed
    assert result.description == said.format(workgroup=_workgroup(catalogued))


def test__row_count__no_such_workgroup(catalogued: Catalogued) -> None:
    catalogued.write(TABLE, None)

    with raises(Code.NO_WORKGROUP):
        check(catalogued, workgroup="missing")


@pytest.mark.parametrize("table", TABLES.values(), ids=lambda table: table.name)
def test__query__is_athenas_sql(table: Table) -> None:
    parsed = sqlglot.parse_one(query("stedi", table), dialect="athena")

    named = parsed.find(sqlglot.exp.Table)
    assert named is not None
    assert (named.db, named.name) == ("stedi", table.name)
    column = parsed.find(sqlglot.exp.Column)
    assert (column.name if column else None) == REQUIRED.get(table.name)


def _workgroup(lakehouse: Catalogued) -> str:
    assert lakehouse.catalog is not None
    return lakehouse.catalog.database
