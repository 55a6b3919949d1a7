"""A console for SQL over the lakehouse: `make sql`."""

from __future__ import annotations

import csv
import os
import signal
import sqlite3
import sys
from collections.abc import Iterator
from concurrent import futures
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from stedi_assets.console import duck
from stedi_assets.console.formula import FORMULA
from stedi_assets.errors import LakehouseError
from stedi_assets.tables import TABLES

if TYPE_CHECKING:
    from duckdb import DuckDBPyRelation

ROWS_SHOWN = 40
ROWS_AT_ONCE = 10_000
HINT = "End a query with ; or type .help."
HELP = """\
End a query with ; It may go over several lines, and reads the tables as they are now.
.tables          the tables, with what a row of each is (SHOW TABLES: those made so far)
.schema <table>  its columns with their types and meaning
.help            this
.quit            ends the console, as Ctrl-D does
Ctrl-C clears what is typed, and stops a query."""


def run(uri: str, sql: str, output: str) -> None:
    """Runs each statement of a text and prints its result.

    Args:
        uri: The lakehouse.
        sql: One or more statements.
        output: `table` for the first rows, aligned; `csv` for all of them.

    Raises:
        LakehouseError: At the first statement that fails.
    """
    for statement in duck.statements(sql):
        connection = duck.connect(uri)
        relation = duck.query(uri, statement, connection)
        # In a thread: this one hears of Ctrl-C, which DuckDB would not until it has the result.
        with futures.ThreadPoolExecutor(max_workers=1) as thread:
            shown = thread.submit(_show, relation, output)
            try:
                shown.result()
            except KeyboardInterrupt:
                while not shown.done():  # DuckDB forgets an interrupt from before a query begins
                    connection.interrupt()
                    futures.wait([shown], timeout=0.1)
                raise
            except duckdb.Error as error:
                raise duck.fault(error) from None


def _show(relation: DuckDBPyRelation, output: str) -> None:
    if output == "table":
        relation.show(max_rows=ROWS_SHOWN)
        return
    writer = csv.writer(sys.stdout)
    writer.writerow(map(_no_formula, relation.columns))
    for batch in relation.to_arrow_reader(ROWS_AT_ONCE):
        columns = (map(_no_formula, column.to_pylist()) for column in batch.columns)
        writer.writerows(zip(*columns, strict=True))


def _no_formula(value: Any) -> Any:
    """A value as a spreadsheet may open it, which computes a text that begins like a formula.

    Numbers stay as they are. Text of a list or a structure begins with a bracket.
    """
    begins = value.lstrip(" ") if isinstance(value, str) else ""
    return f"'{value}" if begins.startswith(FORMULA) else value


def tables() -> str:
    """Every table's name and what one row of it is."""
    width = max(map(len, TABLES))
    return "\n".join(f"{table.name:{width}}  {table.description}" for table in TABLES.values())


def schema(name: str) -> str:
    """The columns of a table: name, type and meaning.

    Raises:
        LakehouseError: If there is no such table.
    """
    table = TABLES.get(name.lower())
    if table is None:
        raise LakehouseError(f"There is no table {name!r}. List the tables with .tables.")
    width = max(map(len, table.column_names))
    return "\n".join(
        f"{column.name:{width}}  {column.type:9}  {column.description}" for column in table.columns
    )


def console(uri: str, output: str) -> bool:
    """Runs what is typed or piped in, up to `.quit` or the end; a mistake does not end it.

    Returns:
        Whether everything succeeded.
    """
    if sys.stdin.isatty():
        import readline  # with it input() edits lines

        readline.set_auto_history(True)
        print(f"The lakehouse at {uri}, read only. {HINT}")
    succeeded = True
    for command in _commands():
        try:
            if not command.startswith("."):
                run(uri, command, output)
                continue
            word, _, argument = command.rstrip(";").partition(" ")
            match word:
                case ".quit":
                    break
                case ".tables":
                    print(tables())
                case ".schema":
                    print(schema(argument.strip()))
                case ".help":
                    print(HELP)
                case _:
                    raise LakehouseError(f"There is no command {word}. {HINT}")
        except KeyboardInterrupt:
            print("\nThe query was stopped.")
        except LakehouseError as error:
            print(error, file=sys.stderr)
            succeeded = False
    return succeeded


def _commands() -> Iterator[str]:
    """Each dot command, and each text that ends in a semicolon or with the input."""
    typed = ""
    while True:
        try:
            line = input(_prompt(typed))
        except EOFError:
            break
        except KeyboardInterrupt:  # clears what is typed
            print()
            typed = ""
            continue
        typed = f"{typed}\n{line}".strip()
        if typed.startswith(".") or sqlite3.complete_statement(typed):
            yield typed
            typed = ""
    if typed:
        yield typed


def _prompt(typed: str) -> str:
    if not sys.stdin.isatty():
        return ""
    return "...> " if typed else "sql> "


def main(uri: str, query: str | None, file: Path | None, output: str) -> bool:
    """Runs one query, a file of queries, or the console.

    Args:
        uri: The lakehouse.
        query: SQL to run.
        file: A file of SQL to run. Without either, the console reads standard input.
        output: As `run` takes it.

    Returns:
        Whether every query succeeded; mistakes made at a terminal do not count.

    Raises:
        LakehouseError: If the query, or one of the file, fails.
    """
    opens = query is None and file is None
    typed = opens and sys.stdin.isatty()
    # Ctrl-C ends the command, but for a console: there it ends what is typed, or the query.
    signal.signal(signal.SIGINT, signal.default_int_handler if typed else signal.SIG_DFL)
    try:
        if opens:
            return console(uri, output) or typed
        run(uri, _content(file) if file else query or "", output)
        sys.stdout.flush()
    except BrokenPipeError:
        # Who reads the output, such as `head`, has had enough: let Python's exit not fail on it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return True


def _content(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise LakehouseError(
            f"{file} cannot be read as a file of SQL. Name one, such as sql/queries/row_counts.sql."
        ) from error
