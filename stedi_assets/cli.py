"""The command `stedi`. Each subcommand imports what it needs once it is called."""

from __future__ import annotations

import functools
import gc
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from stedi_assets.contract.commands import contract
from stedi_assets.errors import LakehouseError, fault_ends_process

GARBAGE_AFTER_OBJECTS = 100_000
FILE = click.Path(path_type=Path)
PORT = click.IntRange(0, 65535)


def _fraction(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < 1:  # which NaN is not either
        raise click.BadParameter(f"{text!r} is not a fraction of at least 0 and below 1.")
    return value


share = functools.partial(click.option, type=_fraction, metavar="FRACTION", default=0.0)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.version_option(package_name="stedi_assets")
def stedi() -> None:
    """The STEDI lakehouse. docs/SETTINGS.md lists the environment variables that set it up."""


@stedi.command()
@click.option("--rebuild", is_flag=True, help="Read every file and make every table anew.")
def materialize(rebuild: bool) -> None:
    """Make of every table what has changed, and check it.

    The exit status is 1 if the run or a blocking check failed.
    """
    # Starting makes objects that stay. To look through them for garbage took a fifth of a small
    # run, half of that when it had ended.
    gc.set_threshold(GARBAGE_AFTER_OBJECTS, 10, 10)
    from rich.console import Console

    from stedi_assets import materialize
    from stedi_assets.orchestration import history

    home = _home()
    from stedi_assets.definitions import defs

    with history.opened(home) as instance:
        console = Console(soft_wrap=True, highlight=False)
        result = materialize.materialize(defs, instance, console, rebuild=rebuild)
    console.print()
    console.print(materialize.next_steps(_lakehouse_uri(), success=result.success))
    gc.freeze()
    sys.exit(0 if result.success else 1)


@stedi.command()
@click.option("--send-test", is_flag=True, help="Send a test message about failed runs, too.")
def doctor(send_test: bool) -> None:
    """Examine settings, credentials, storage, engine and more.

    The exit status is 1 if anything is at fault.
    """
    from rich.console import Console

    from stedi_assets import doctor

    console = Console(soft_wrap=True, highlight=False)
    sys.exit(0 if doctor.examine(console, _base(), send_test=send_test) else 1)


@stedi.command()
@click.option("--port", type=PORT, default=3000)
def dev(port: int) -> None:
    """Serve the Dagster UI and its daemon."""
    from stedi_assets import dev

    dev.serve(port, _home())


@stedi.command()
def reset() -> None:
    """Remove the default lakehouse and the history of the current folder."""
    from stedi_assets import dev, settings
    from stedi_assets.storage.faults import storage_faults

    history = Path.cwd() / ".dagster"
    dev.require_unserved(history)
    for folder in (settings.default_lakehouse(), history):
        if folder.exists() or folder.is_symlink():
            with storage_faults(folder.as_uri()):
                # Of a link, wherever it leads, the link alone.
                folder.unlink() if folder.is_symlink() else shutil.rmtree(folder)
            click.echo(f"Removed {folder}.")


@stedi.command()
@click.option("--out", type=FILE, default=Path("build/report.html"), help="The file to write.")
def report(out: Path) -> None:
    """Write a report of the lakehouse in HTML, and a page for data protection beside it."""
    from stedi_assets.orchestration import history
    from stedi_assets.settings import Settings

    home = _home()
    from stedi_assets import definitions
    from stedi_assets.report import page
    from stedi_assets.report.contents import contents

    lakehouse = definitions.lakehouse(Settings.from_environment())
    with history.opened(home) as instance:
        beside = page.write(out, contents(definitions.defs, instance, lakehouse))
    click.echo(f"Written to {out} and {beside}; open them in any browser.")


@stedi.command()
@click.option("--query", help="SQL to run.")
@click.option("--file", type=FILE, help="A file of SQL to run.")
@click.option("--format", "output", type=click.Choice(("table", "csv")), default="table")
def sql(query: str | None, file: Path | None, output: str) -> None:
    """Query the tables.

    Without --query and --file it opens a console, or runs what is piped in.
    """
    if query is not None and file is not None:
        raise click.UsageError("--query and --file cannot be used together.")
    from stedi_assets.console import shell

    sys.exit(0 if shell.main(_lakehouse_uri(), query, file, output) else 1)


@stedi.command()
@click.argument("table")
@click.option("--format", "output", type=click.Choice(("parquet", "csv")), default="parquet")
@click.option("--out", type=FILE, help="The file to write.  [default: build/TABLE.FORMAT]")
def export(table: str, output: str, out: Path | None) -> None:
    """Write the current version of TABLE as one plain file.

    A table's folder holds older versions too, which no plain Parquet reader tells apart.
    """
    from stedi_assets.console import export
    from stedi_assets.tables import TABLES

    if table not in TABLES:
        raise click.BadParameter(f"{table!r} is not one of {', '.join(TABLES)}.")
    file = out or Path("build", f"{table}.{output}")
    rows = export.export(_lakehouse_uri(), TABLES[table], file, output)
    click.echo(f"{rows:,} rows written to {file}.")
    if TABLES[table].personal:
        click.echo("It holds personal data, and no erasure reaches it: delete it.", err=True)


@stedi.command()
def pseudonyms() -> None:
    """Print the pseudonyms of e-mail addresses.

    It reads addresses from standard input, one a line, so that none stays in a shell's history.
    """
    from stedi_assets.erasure.addresses import pseudonyms_of
    from stedi_assets.pseudonyms import Pseudonyms
    from stedi_assets.settings import Settings

    key = Settings.from_environment().pseudonym_key.get_secret_value()
    for each in pseudonyms_of(sys.stdin, Pseudonyms(key)):
        click.echo(each)


@stedi.command()
@click.argument("source")
def replay(source: str) -> None:
    """Print the quarantined lines of SOURCE.

    They are as they landed, and hold personal data.
    """
    from stedi_assets.lakehouse.replay import lines
    from stedi_assets.tables import LANDING_TABLES

    tables = {table.source: table for table in LANDING_TABLES}
    if source not in tables:
        raise click.BadParameter(f"{source!r} is not one of {', '.join(tables)}.")
    for line in lines(_lakehouse_uri(), tables[source]):
        sys.stdout.buffer.write(line + b"\n")


@stedi.command()
@click.option("--out", type=FILE, default=Path("data"), help="The folder to write into.")
@click.option("--seed", default=7, help="Seed of every random choice.")
@click.option(
    "--scale", type=click.IntRange(1), default=1, help="How many times 956 customers to write."
)
@share("--malformed", help="Unreadable lines added to each file, as a fraction of its records.")
@share("--duplicates", help="Records written a second time, as a fraction of all.")
@share("--withdrawn", help="Consenting customers who withdraw later, as a fraction of them.")
def sample(out: Path, **spec: Any) -> None:
    """Write source data of invented people."""
    from stedi_assets.sample.files import write_sample
    from stedi_assets.sample.spec import SampleSpec

    try:
        manifest = write_sample(out, SampleSpec(**spec))
    except OSError as error:
        raise LakehouseError(f"The sample cannot be written: {error}.") from None
    files = sum(source["files"] for source in manifest["sources"].values())
    customers = manifest["rows"]["customer_landing"]
    click.echo(f"{out}: {files:,} files of {customers:,} customer records")


@stedi.command("demo-s3")
@click.argument("action", type=click.Choice(("start", "stop")))
def demo_s3(action: str) -> None:
    """Make every table on an S3 server here.

    `start` starts the server on loopback, `stop` stops it; its data stays.
    """
    from rich.console import Console

    from stedi_assets.demo_s3 import commands

    act = {"start": commands.start, "stop": commands.stop}[action]
    sys.exit(act(Console()))


@stedi.command("spark-server")
@click.option("--port", type=PORT, default=15002)
def spark_server(port: int) -> None:
    """Serve a JVM Spark on loopback.

    It needs Java 17, and the network at its first start.
    """
    from stedi_assets import spark_server

    spark_server.serve(port)


@stedi.command()
@click.option("--out", type=FILE, default=Path("sql/ddl"), help="The folder to write into.")
def ddl(out: Path) -> None:
    """Write the DDL of each table for Athena."""
    from stedi_assets.catalog.ddl import write

    write(out)


stedi.add_command(contract)


def _home() -> Path:
    """The folder of the lakehouse's history, which is this process's from then on.

    That is DAGSTER_HOME, or else `.dagster` in the current folder; where that has the history of
    another lakehouse, a folder in it.
    """
    from stedi_assets.orchestration import history
    from stedi_assets.settings import Settings, choose_history

    base = _base()
    lakehouse = history.identity(Settings.from_environment().lakehouse_uri)
    home = history.home_of(lakehouse, base)
    history.create(home)
    if home != base:
        click.echo(f"The history of this lakehouse is in {home}.", err=True)
    choose_history(home)
    return home


def _base() -> Path:
    return Path(os.environ.get("DAGSTER_HOME") or ".dagster").absolute()


def _lakehouse_uri() -> str:
    from stedi_assets.settings import Settings
    from stedi_assets.storage import address

    return address.as_uri(Settings.from_environment().lakehouse_uri)


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command.

    Args:
        arguments: Those after `stedi`; None for the process's own.

    Raises:
        SystemExit: Always: with 0; with 1 for a failure, reported in a sentence; with 2 for a
            command or an option that does not exist; with 130 for Ctrl-C.
    """
    with fault_ends_process():
        try:
            sys.exit(stedi.main(arguments, standalone_mode=False))
        except click.Abort:
            raise KeyboardInterrupt from None  # which click has taken for its own
        except click.ClickException as error:
            error.show()
            sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
