"""The commands of `stedi contract`."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import click

from stedi_assets.errors import Code, LakehouseError

FILE = click.Path(path_type=Path)


@click.group()
def contract() -> None:
    """The data contracts of the tables."""


@contract.command()
@click.option("--against", metavar="FOLDER|REVISION", help="What to compare with.")
@click.option("--folder", type=FILE, default=Path("contracts"), help="Where contracts are.")
def diff(against: str | None, folder: Path) -> None:
    """Name what breaks the readers of a table since its contract was given.

    It compares the declarations with each contract that git's history has, or with the folder or
    the git revision that --against names. The exit status is 1 if a breaking change has no higher
    major version.
    """
    if importlib.util.find_spec("open_data_contract_standard") is None:
        raise LakehouseError(
            "Contracts need open-data-contract-standard: install stedi_assets[contracts]."
        )
    from stedi_assets.contract import committed
    from stedi_assets.contract.breaking import breaking_changes

    changes = breaking_changes(committed.given(against, folder), committed.current(folder))
    for change in changes:
        click.echo(change)
    if changes:
        raise LakehouseError(
            "Those who rely on these tables would break: undo each change, or raise MAJOR in the "
            "version of the table's declaration and run make generate. Of a table that is gone "
            "keep the contract, with the status retired and its next major version.",
            Code.CONTRACT,
        )
