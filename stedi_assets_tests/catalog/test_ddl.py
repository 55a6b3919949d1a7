"""The DDL that is committed, against the declarations and Athena's grammar."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
import sqlglot
from sqlglot import exp

from stedi_assets.catalog import ddl
from stedi_assets.catalog.table_input import table_input
from stedi_assets.tables import LANDING_TABLES, TABLES, Column, Table, Zone
from stedi_assets.tables.columns import ColumnType
from stedi_assets.tables.schema import Person
from stedi_assets_tests.conftest import PROJECT

DDL = PROJECT / "sql" / "ddl"
DELTA = [table for table in TABLES.values() if table.zone is not Zone.LANDING]
LAKEHOUSE = "s3://bucket/prefix"


def test__ddl__committed_files_are_current(tmp_path: Path) -> None:
    ddl.write(tmp_path / "ddl")

    assert _files(DDL) == _files(tmp_path / "ddl"), "run `make sql-ddl`"
    assert set(_files(DDL)) == {f"{name}.sql" for name in TABLES}


@pytest.mark.parametrize("table", LANDING_TABLES, ids=lambda table: table.name)
def test__ddl__landing_as_declared(table: Table) -> None:
    parsed = _parsed(_filled(ddl.create_table(table)))

    schema = parsed.this
    assert isinstance(schema, exp.Schema)
    assert schema.this.sql("athena") == f'"stedi"."{table.name}"'
    assert [_column(each) for each in schema.expressions] == [
        (column.name.lower(), column.type, column.description) for column in table.columns
    ]
    wanted = table_input(table, f"{LAKEHOUSE}/{table.location}", {})
    storage = wanted["StorageDescriptor"]
    serde = parsed.find(exp.RowFormatSerdeProperty)
    formats = parsed.find(exp.InputOutputFormat)
    comment = parsed.find(exp.SchemaCommentProperty)
    assert serde is not None and formats is not None and comment is not None
    assert comment.name == table.description
    assert serde.name == storage["SerdeInfo"]["SerializationLibrary"]
    assert _properties(serde.args["serde_properties"]) == storage["SerdeInfo"]["Parameters"]
    assert formats.args["input_format"].name == storage["InputFormat"]
    assert formats.args["output_format"].name == storage["OutputFormat"]
    assert _location(parsed) == f"{LAKEHOUSE}/{table.location}/"
    assert {**_properties(parsed.args["properties"]), "EXTERNAL": "TRUE"} == wanted["Parameters"]


@pytest.mark.parametrize("table", DELTA, ids=lambda table: table.name)
def test__ddl__delta_has_only_what_athena_allows(table: Table) -> None:
    text = _filled(ddl.create_table(table))

    parsed = _parsed(text)

    assert parsed.this.sql("athena") == f'"stedi"."{table.name}"'
    assert {type(each) for each in parsed.args["properties"].expressions} == {
        exp.ExternalProperty,
        exp.LocationProperty,
        exp.Property,
    }
    assert _location(parsed) == f"{LAKEHOUSE}/{table.location}/"
    assert _properties(parsed.args["properties"]) == {"table_type": "DELTA"}
    comments = [line.removeprefix("-- ") for line in text.splitlines() if line.startswith("-- ")]
    assert comments == [
        table.description,
        *(
            f"{column.name.lower()} {column.type}: {column.description}"
            + (" (personal data)" if column.personal else "")
            for column in table.columns
        ),
    ]


def test__ddl__quotes_and_backslashes_in_a_description() -> None:
    said = "the phone's \\ path"
    table = Table(
        "t", Zone.LANDING, said, (Column("user", ColumnType.STRING, said),), (Person("user"),)
    )

    parsed = _parsed(ddl.create_table(table))

    comment = parsed.find(exp.SchemaCommentProperty)
    assert comment is not None and comment.name == said
    assert [_column(each) for each in parsed.this.expressions] == [("user", "string", said)]


def test__readme__fills_in_every_placeholder() -> None:
    [command] = re.findall(r"```bash\n(sed .*)\n```", (PROJECT / "sql" / "README.md").read_text())

    for name in TABLES:
        run = subprocess.run(
            command.replace("customer_landing", name),
            shell=True,
            cwd=PROJECT,
            capture_output=True,
            text=True,
            check=True,
        )
        assert run.stdout == _filled((DDL / f"{name}.sql").read_text())
        assert "$" not in run.stdout


def _files(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir()}


def _filled(text: str) -> str:
    return text.replace("${database}", "stedi").replace("${lakehouse}", LAKEHOUSE)


def _parsed(text: str) -> exp.Create:
    [parsed] = sqlglot.parse(text, dialect="athena")
    assert isinstance(parsed, exp.Create)  # what the dialect does not know would be a Command
    assert parsed.find(exp.ExternalProperty)
    return parsed


def _column(column: exp.Expression) -> tuple[str, str, str]:
    comment = column.find(exp.CommentColumnConstraint)
    assert comment is not None and column.this.args["quoted"]
    return column.name, column.args["kind"].sql("hive").lower(), comment.name


def _location(parsed: exp.Create) -> str:
    location = parsed.find(exp.LocationProperty)
    assert location is not None
    return location.name


def _properties(properties: exp.Expression) -> dict[str, str]:
    return {
        each.name: each.args["value"].name
        for each in properties.expressions
        if type(each) is exp.Property
    }
