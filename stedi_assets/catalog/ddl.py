"""Athena's `CREATE EXTERNAL TABLE` of each table: `stedi ddl`, `make sql-ddl`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stedi_assets.catalog.table_input import table_input
from stedi_assets.errors import LakehouseError
from stedi_assets.tables import TABLES, Table, Zone
from stedi_assets.tables.columns import PERSONAL_DATA

# What the reader of the DDL fills in, in the notation of envsubst.
DATABASE = "${database}"
LAKEHOUSE = "${lakehouse}"


def create_table(table: Table) -> str:
    """The Athena DDL of a table, rendered from its Glue table input.

    Args:
        table: The declaration.

    Returns:
        One statement. That of a Delta table names neither columns nor formats: Athena takes them
        from the table's log and refuses every other clause.
    """
    given = table_input(table, f"{LAKEHOUSE}/{table.location}", {})
    clauses = _json_lines(given) if table.zone is Zone.LANDING else _delta(given)
    return "\n".join(clauses) + ";\n"


def _json_lines(given: dict[str, Any]) -> Iterator[str]:
    storage = given["StorageDescriptor"]
    # The keyword EXTERNAL says this one.
    properties = {key: value for key, value in given["Parameters"].items() if key != "EXTERNAL"}
    columns = (
        f"  `{column['Name']}` {column['Type']} COMMENT {_quoted(column['Comment'])}"
        for column in storage["Columns"]
    )
    yield f"CREATE EXTERNAL TABLE `{DATABASE}`.`{given['Name']}` ("
    yield ",\n".join(columns)
    yield ")"
    yield f"COMMENT {_quoted(given['Description'])}"
    yield f"ROW FORMAT SERDE {_quoted(storage['SerdeInfo']['SerializationLibrary'])}"
    yield f"WITH SERDEPROPERTIES {_properties(storage['SerdeInfo']['Parameters'])}"
    yield f"STORED AS INPUTFORMAT {_quoted(storage['InputFormat'])}"
    yield f"OUTPUTFORMAT {_quoted(storage['OutputFormat'])}"
    yield f"LOCATION {_quoted(storage['Location'])}"
    yield f"TBLPROPERTIES {_properties(properties)}"


def _delta(given: dict[str, Any]) -> Iterator[str]:
    storage = given["StorageDescriptor"]
    yield f"-- {given['Description']}"
    yield "--"
    for column in storage["Columns"]:
        personal = " (personal data)" * (column["Parameters"][PERSONAL_DATA] == "true")
        yield f"-- {column['Name']} {column['Type']}: {column['Comment']}{personal}"
    yield f"CREATE EXTERNAL TABLE `{DATABASE}`.`{given['Name']}`"
    yield f"LOCATION {_quoted(storage['Location'])}"
    yield f"TBLPROPERTIES {_properties({'table_type': given['Parameters']['table_type']})}"


def _properties(properties: dict[str, str]) -> str:
    listed = (f"{_quoted(key)} = {_quoted(value)}" for key, value in properties.items())
    return f"({', '.join(listed)})"


def _quoted(text: str) -> str:
    # Athena reads DDL as Hive does: a doubled quote would end the text there.
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def write(folder: Path) -> None:
    """Writes `<table>.sql` for each table into a folder, which is made if it is not there.

    Raises:
        LakehouseError: If that is not possible.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for table in TABLES.values():
            (folder / f"{table.name}.sql").write_text(create_table(table), encoding="utf-8")
    except OSError as error:
        raise LakehouseError(
            f"The DDL cannot be written into {folder}: {error.strerror}. Name another folder."
        ) from None
