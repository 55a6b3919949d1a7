"""Queries over the lakehouse with DuckDB, by the catalog's table names; read only."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import duckdb
from fsspec.implementations.arrow import ArrowFSWrapper

from stedi_assets import storage
from stedi_assets.errors import Code, LakehouseError
from stedi_assets.lakehouse import delta
from stedi_assets.landing import ledger
from stedi_assets.storage.faults import storage_faults
from stedi_assets.tables import TABLES, Column, Table, Zone

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection, DuckDBPyRelation, Statement

PROTOCOL = "lakehouse"
# Words of statements that list tables: SHOW TABLES, and queries of the catalog.
LISTING = {"tables", "information_schema", "duckdb_tables", "duckdb_views", "duckdb_columns"}
# So begins what DuckDB says of an error in Python, which here is one of the file system.
TRACE = "Traceback"


class _LandingFiles(ArrowFSWrapper):  # type: ignore[misc]  # fsspec declares no types
    """The lakehouse's files as DuckDB may open them: none outside of it, and none for writing."""

    protocol = PROTOCOL
    cachable = False  # each query makes its own, and fsspec would keep them all

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return path.removeprefix(f"{PROTOCOL}://")

    def _open(self, path: str, mode: str = "rb", **options: Any) -> Any:
        if mode != "rb" or ".." in path.split("/"):
            raise PermissionError(f"{path}: only the lakehouse's own files are open, for reading")
        return super()._open(path, mode, **options)


def statements(sql: str) -> list[Statement]:
    """The statements of a text.

    Raises:
        LakehouseError: If it is not SQL, or a statement would do more than read.
    """
    try:
        found = duckdb.extract_statements(_without_trailing_comments(sql))
    except duckdb.Error as error:
        raise LakehouseError(_in_one_line(error), Code.QUERY) from None
    for statement in found:
        # EXPLAIN is none of them: EXPLAIN ANALYZE runs what it explains, a COPY too.
        if statement.type != duckdb.StatementType.SELECT:
            raise LakehouseError(
                f"{statement.type.name} is not a query, and the lakehouse is open for reading "
                "only. Use SELECT, DESCRIBE or SUMMARIZE.",
                Code.QUERY,
            )
    return found


def query(
    uri: str, statement: Statement, connection: DuckDBPyConnection | None = None
) -> DuckDBPyRelation:
    """The result of one statement over the newest versions of the tables, not yet computed.

    Only tables that the statement names are opened, or all where it lists them.

    Args:
        uri: The lakehouse.
        statement: One of `statements`.
        connection: One of `connect`, by which to interrupt it.

    Returns:
        A relation, which reads when its rows are asked for; `fault` says what then went wrong.

    Raises:
        LakehouseError: If the statement has a mistake, or a table that it names is absent or
            damaged.
    """
    connection = connection or connect(uri)
    words = set(re.findall(r"\w+", statement.query.lower()))
    listed = bool(words & LISTING) or words == {"describe"}
    named = [table for table in TABLES.values() if listed or table.name in words]
    absent: list[Table] = []
    try:
        with storage_faults(uri):
            absent += (table for table in named if not _add(connection, uri, table))
        return connection.sql(statement.query)
    except duckdb.CatalogException as error:
        if listed or not absent:
            raise LakehouseError(_in_one_line(error), Code.QUERY) from None
        raise LakehouseError(
            f"{absent[0].name} is not in the lakehouse yet: nothing is at "
            f"{uri}/{absent[0].location}. Run `make materialize` first, or set "
            "STEDI_LAKEHOUSE_URI to the lakehouse that has it.",
            Code.NOT_MATERIALISED,
        ) from None
    except duckdb.Error as error:
        raise LakehouseError(_in_one_line(error), Code.QUERY) from None


def fault(error: duckdb.Error) -> LakehouseError:
    """Why a relation could not be computed; what DuckDB says may quote a row."""
    if isinstance(error, duckdb.IOException) or str(error).startswith(TRACE):
        return LakehouseError(
            f"{_in_one_line(error)}. Correct that file or the access to it, then run again.",
            Code.QUERY,
        )
    kind = str(error).partition(":")[0]
    return LakehouseError(
        f"{kind}: the query stopped at a value or a file of a table; the reason is not shown, as "
        "it may quote personal data. Use try_cast where a cast is at fault, and run "
        "`make materialize` where a table's file is gone.",
        Code.QUERY,
    )


def connect(uri: str) -> DuckDBPyConnection:
    """A connection that reads a lakehouse's files and no others, and knows no table yet."""
    connection = duckdb.connect()
    filesystem = storage.open_folder(uri).arrow_filesystem()
    connection.register_filesystem(_LandingFiles(filesystem))
    connection.execute(f"SET allowed_directories = ['{PROTOCOL}://']")
    # No other file, no extension, and no variable of this program by a table's name.
    connection.execute("SET enable_external_access = false")
    return connection


def _add(connection: DuckDBPyConnection, uri: str, table: Table) -> bool:
    """Lets a connection know a table; whether there is one."""
    place = f"{uri}/{table.location}"
    if table.zone is Zone.LANDING:
        folder = storage.open_folder(place)
        stored = folder.files()
        landed = ledger.read(folder, stored).by_name
        files = [
            f"{PROTOCOL}://{table.location}/{file.name}"
            for file in folder.json_lines(stored)
            if landed[file.name].current
        ]
        if files:
            connection.execute(_landing_view(table, files))
        return bool(files)
    opened = delta.open_table(place)
    if opened is not None:
        connection.register(table.name, delta.dataset(place, opened))
    return opened is not None


def _landing_view(table: Table, files: list[str]) -> str:
    """The view that reads lines as Athena's SerDe does: one it cannot read is a row of nulls."""
    listed = ", ".join(_quoted(file) for file in files)
    columns = ", ".join(_from_json(column) for column in table.columns)
    return (
        f"CREATE VIEW {table.name} AS SELECT {columns} FROM read_json_objects("
        f"[{listed}], format = 'newline_delimited', ignore_errors = true)"
    )


def _from_json(column: Column) -> str:
    names = (column.name, *column.aliases)
    fields = ", ".join(f"json ->> {_quoted(name)}" for name in names)
    return f'try_cast(coalesce({fields}) AS {column.type}) AS "{column.name}"'


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _without_trailing_comments(sql: str) -> str:
    # DuckDB wraps a relation's text when it shows it, and trips over "; -- comment" there.
    text = sql.encode()
    end = len(text)
    for offset, kind in reversed(duckdb.tokenize(sql)):
        if kind != duckdb.token_type.comment:
            break
        end = offset
    return text[:end].decode()


def _in_one_line(error: Exception) -> str:
    """What an error says, without the excerpt of the statement or the trace that goes with it."""
    said = str(error).partition("\n\nLINE ")[0]
    if said.startswith(TRACE):
        said = said.splitlines()[-1]
    if said.startswith("Catalog Error: Table with name"):
        # DuckDB would suggest one of its own.
        said = f"{said.splitlines()[0]} The tables are {', '.join(TABLES)}."
    return " ".join(said.split())
