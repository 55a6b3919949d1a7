"""`make sql` as a person uses it: by arguments, piped, and in real processes at a terminal."""

from __future__ import annotations

import csv
import io
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from stedi_assets import cli
from stedi_assets.console import shell
from stedi_assets.errors import LakehouseError
from stedi_assets.tables import TABLES
from stedi_assets_tests.conftest import PROJECT

CONSOLE = [sys.executable, "-m", "stedi_assets.cli", "sql"]
WITHIN_SECONDS = 30
PAGE = (PROJECT / "docs" / "SQL.md").read_text()
QUERY_IT = PAGE.split("## A query")[1].split("```bash\n")[1].split("```")[0].splitlines()


class Said(NamedTuple):
    """What the command ended with."""

    status: object
    out: str
    err: str


Sql = Callable[..., Said]


@pytest.fixture
def sql(
    small: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Sql]:
    """Runs the command in this process, which spares the imports."""

    def run(*arguments: str, typed: str = "") -> Said:
        monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
        with pytest.raises(SystemExit) as ended:
            cli.main(["sql", *arguments])
        return Said(ended.value.code, *capsys.readouterr())

    monkeypatch.setenv("STEDI_LAKEHOUSE_URI", str(small))
    interrupted = signal.getsignal(signal.SIGINT)
    yield run
    signal.signal(signal.SIGINT, interrupted)


def test__query__shows_an_aligned_table(sql: Sql) -> None:
    run = sql("--query", "SELECT email, 7 AS n FROM customer_trusted")

    assert (run.status, run.err) == (0, "")
    assert [re.split(r" *│ *", line)[1:-1] for line in run.out.splitlines() if "│" in line] == [
        ["email", "n"],
        ["varchar", "int32"],
        ["ann@example.com", "7"],
    ]


def test__query__mistake_ends_in_one_sentence(small: Path) -> None:
    run = subprocess.run(
        [*CONSOLE, "--query", "SELECT nope FROM customer_trusted"],
        env={**os.environ, "STEDI_LAKEHOUSE_URI": str(small)},
        capture_output=True,
        text=True,
        check=False,
        timeout=WITHIN_SECONDS,
    )

    assert (run.returncode, run.stdout) == (1, "")
    assert re.fullmatch(r'\[QUERY\] Binder Error: .* column "nope" not found.*\n', run.stderr)


def test__file__absent(sql: Sql) -> None:
    run = sql("--file", "nowhere.sql")

    assert run.out == ""
    assert str(run.status).startswith("[SETTING] nowhere.sql")


def test__query__reader_that_has_had_enough(small: Path) -> None:
    command = [*CONSOLE, "--format", "csv", "--query", "SELECT * FROM range(1000000)"]
    environment = {**os.environ, "STEDI_LAKEHOUSE_URI": str(small)}
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as run:
        assert run.stdout is not None and run.stderr is not None
        assert run.stdout.readline() == b"range\r\n"
        run.stdout.close()
        assert run.stderr.read() == b""
    assert run.returncode == 0


def test__csv__text_is_no_formula_of_a_spreadsheet(sql: Sql) -> None:
    formulas = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "  =1", "\uff1d1", '="a",b']
    listed = ", ".join("'" + text.replace("'", "''") + "'" for text in formulas)
    query = f"""SELECT unnest([{listed}]) AS "=name", -1 AS whole, -1.5 AS decimal,
        '-inf'::double AS endless, 'a=b' AS plain, NULL::varchar AS nothing"""

    run = sql("--format", "csv", "--query", query)

    assert run.status == 0, run.err
    [names, *found] = csv.reader(io.StringIO(run.out, newline=""))
    assert names == ["'=name", "whole", "decimal", "endless", "plain", "nothing"]
    assert found == [[f"'{text}", "-1", "-1.5", "-inf", "a=b", ""] for text in formulas]


def test__piped__goes_on_after_a_mistake(sql: Sql) -> None:
    typed = "SELECT\n  41 + 1 AS answer\n;\nSELEC 1;\n.nope\nSELECT count(*) FROM customer_trusted"

    run = sql("--format", "csv", typed=typed)

    assert run.status == 1
    assert run.out.split() == ["answer", "42", "count_star()", "1"]
    assert [line.split()[0] for line in run.err.splitlines()] == ["[QUERY]", "[SETTING]"]


@contextmanager
def terminal(lakehouse: Path) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    """Our end of a terminal, and the console at the other."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "STEDI_LAKEHOUSE_URI": str(lakehouse), "TERM": "dumb"}
    with subprocess.Popen(
        CONSOLE, env=environment, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    ) as process:
        try:
            os.close(theirs)
            yield ours, process
        finally:
            process.kill()
    os.close(ours)


def test__terminal__prompts_runs_and_quits(small: Path) -> None:
    with terminal(small) as (ours, process):
        _until(ours, f"The lakehouse at file://{small}, read only.", "sql> ")
        os.write(ours, b"SELECT 40\n")
        _until(ours, "SELECT 40", "...> ")
        os.write(ours, b"+ 2 AS answer;\n")
        _until(ours, " 42 │", "sql> ")
        os.write(ours, b"SELECT * FROM nope;\n")
        _until(ours, "Table with name nope does not exist!", "sql> ")
        os.write(ours, b"\x1b[A\x1b[A\n")  # "+ 2 AS answer;", which is no query by itself
        _until(ours, "Parser Error", "sql> ")
        os.write(ours, b".quit\n")
        assert process.wait(WITHIN_SECONDS) == 0


def test__terminal__ctrl_c_clears_the_line_and_stops_a_query(small: Path) -> None:
    endless = b"SELECT count(*) FROM range(10000000000) a, range(1000) b WHERE hash(a.range) = 1;\n"
    with terminal(small) as (ours, process):
        _until(ours, "read only.", "sql> ")
        os.write(ours, b"SELECT 1\n")
        _until(ours, "SELECT 1", "...> ")
        # Python hears of no signal that comes between a prompt's output and its wait for input.
        while not select.select([ours], [], [], 0.5)[0]:
            process.send_signal(signal.SIGINT)
        _until(ours, "", "sql> ")
        for seconds in (0, 0.01, 0.5):  # it is about to begin, or has begun
            os.write(ours, endless)
            _until(ours, "hash(a.range) = 1;", "\n")
            time.sleep(seconds)
            process.send_signal(signal.SIGINT)
            _until(ours, "", "sql> ")
        os.write(ours, b"SELECT 40 + 2;\n")
        _until(ours, " 42 │", "sql> ")
        os.write(ours, b"\x04")
        assert process.wait(WITHIN_SECONDS) == 0


def test__piped__lists_tables_after_a_query(sql: Sql) -> None:
    listed = ["SHOW TABLES", "SELECT table_name FROM information_schema.tables", "DESCRIBE"]
    typed = "".join(f"SELECT count(*) FROM customer_trusted;\n{each};\n" for each in listed)

    run = sql("--format", "csv", typed=f"{typed}DESCRIBE customer_trusted;\n.help\n")

    assert (run.status, run.err) == (0, "")
    assert len(re.findall("customer_trusted", run.out)) == len(listed)
    assert len(re.findall("customer_landing", run.out)) == len(listed)
    assert "serialNumber,VARCHAR" in run.out
    assert {".tables", ".schema", ".quit"} <= set(run.out.split())


def test__run__limits_the_rows_shown_and_says_so(
    uri: str, capsys: pytest.CaptureFixture[str]
) -> None:
    shell.run(uri, "SELECT * FROM range(5000)", "table")

    shown = capsys.readouterr().out
    assert "5000 rows" in shown and f"({shell.ROWS_SHOWN} shown)" in shown
    assert len(shown.splitlines()) < shell.ROWS_SHOWN + 15


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 'é;' AS a",
        "SELECT 'é;' AS a; -- é",
        "-- first\nSELECT 'é;' AS a /* ; */ ;\n-- last\n",
    ],
)
def test__run__comments_around(uri: str, capsys: pytest.CaptureFixture[str], sql: str) -> None:
    shell.run(uri, sql, "table")

    assert "│ é;      │" in capsys.readouterr().out


def test__run__csv_has_every_row(uri: str, capsys: pytest.CaptureFixture[str]) -> None:
    shell.run(uri, "SELECT range AS n, 'a,\"b' AS t, NULL AS e FROM range(25000)", "csv")

    found = list(csv.reader(io.StringIO(capsys.readouterr().out)))
    assert found == [["n", "t", "e"], *([str(n), 'a,"b', ""] for n in range(25_000))]


def test__tables__every_one_and_what_it_holds() -> None:
    listed = [line.split(maxsplit=1) for line in shell.tables().splitlines()]

    assert listed == [[table.name, table.description] for table in TABLES.values()]


def test__schema__as_declared() -> None:
    table = TABLES["customer_quarantine"]
    listed = [line.split(maxsplit=2) for line in shell.schema("CUSTOMER_quarantine").splitlines()]
    assert listed == [[each.name, each.type, each.description] for each in table.columns]


def test__schema__unknown_table() -> None:
    with pytest.raises(LakehouseError, match=r"There is no table 'nope'. List the tables with"):
        shell.schema("nope")


@pytest.mark.parametrize("command", QUERY_IT)
def test__page__make_sql(sample_uri: str, command: str) -> None:
    variables = f"RUN= BIN={Path(sys.executable).parent}"  # it is installed already

    run = subprocess.run(
        command.replace("make sql", f"make sql {variables}"),
        shell=True,
        cwd=PROJECT,
        env={**os.environ, "STEDI_LAKEHOUSE_URI": sample_uri},
        capture_output=True,
        text=True,
        check=False,
        timeout=WITHIN_SECONDS,
    )

    assert (run.returncode, run.stderr) == (0, "")
    expected = {0: "43164", 1: "│ machine_learning_curated │     43164 │", 2: "line,reason,"}
    assert expected[QUERY_IT.index(command)] in run.stdout


def _until(terminal: int, expected: str, prompt: str) -> None:
    """Reads what a terminal shows until, after what is expected, a prompt waits for input."""
    shown = ""
    until = time.monotonic() + WITHIN_SECONDS
    while time.monotonic() < until:
        if expected in shown and shown.endswith(prompt):
            return
        if select.select([terminal], [], [], 0.1)[0]:
            shown += os.read(terminal, 65536).decode(errors="replace")
    pytest.fail(f"{expected!r} and then {prompt!r} did not come: {shown!r}")
