"""Contracts that were given: those of a folder, of a git revision, or of all of git's history."""

from __future__ import annotations

import subprocess
from pathlib import Path

import yaml
from open_data_contract_standard.model import OpenDataContractStandard as Contract
from pydantic import ValidationError

from stedi_assets.contract import odcs
from stedi_assets.contract.breaking import RETIRED
from stedi_assets.errors import LakehouseError
from stedi_assets.tables import TABLES

FOLDER = Path("contracts")
HEAD = "HEAD"


def current(folder: Path) -> dict[str, Contract]:
    """Table name to its contract as declared now, and of a table that is gone its retired one."""
    kept = {str(each.name): each for each in in_folder(folder) if each.status == RETIRED}
    return kept | {table.name: odcs.contract_of(table) for table in TABLES.values()}


def given(against: str | None, folder: Path) -> list[Contract]:
    """The contracts to compare with.

    Args:
        against: A folder or a git revision; None for each that git's history has ever had, so that
            a change stays known once it is committed.
        folder: Where contracts are in the repository.

    Raises:
        LakehouseError: If there are none, or they cannot be read.
    """
    if against is not None and Path(against).is_dir():
        found = in_folder(Path(against))
    elif against is None and _git(folder, "rev-parse", "--is-shallow-repository") == b"true\n":
        raise LakehouseError(
            "git's history is not whole here, so that nobody can know which contracts were given: "
            "run git fetch --unshallow, or name a folder or a revision by --against."
        )
    else:
        found = _in_history(against, folder)
    if not found:
        where = against or f"git's history of {folder}"
        raise LakehouseError(
            f"{where} has no contract: name a folder or a git revision that has by --against."
        )
    return found


def in_folder(folder: Path) -> list[Contract]:
    """The contracts in the YAML files of a folder.

    Raises:
        LakehouseError: If one cannot be read.
    """
    return [_parsed(path.read_bytes(), str(path)) for path in sorted(folder.glob("*.yaml"))]


def _in_history(revision: str | None, folder: Path) -> list[Contract]:
    """Each distinct contract of a revision, or of all that lead to HEAD."""
    only = ["--no-walk"] if revision else []
    commit = _git(folder, "rev-parse", "--verify", "--end-of-options", f"{revision or HEAD}^{{}}")
    listed = _git(
        folder, "rev-list", "--objects", *only, commit.decode().strip(), "--", f"{folder}/*.yaml"
    )
    # An object of a path: a commit has none, and a folder no such name.
    named = [line.split(" ", 1) for line in listed.decode().splitlines() if line.endswith(".yaml")]
    ids = "".join(f"{each}\n" for each, _ in named)
    text = _git(folder, "cat-file", "--batch", given=ids.encode())
    found = []
    for _, path in named:
        head, text = text.split(b"\n", 1)
        size = int(head.split()[-1])
        found.append(_parsed(text[:size], path))
        text = text[size + 1 :]
    return found


def _parsed(text: bytes, path: str) -> Contract:
    try:
        contract = Contract.model_validate(yaml.safe_load(text))
        int(str(contract.version).partition(".")[0])
    except (ValidationError, ValueError, yaml.YAMLError):
        raise LakehouseError(
            f"{path} is not a data contract (ODCS) with a version: correct it, or move it away."
        ) from None
    return contract


def _git(folder: Path, *arguments: str, given: bytes = b"") -> bytes:
    try:
        return subprocess.run(
            ["git", *arguments], input=given, capture_output=True, check=True
        ).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        said = getattr(error, "stderr", b"").decode(errors="replace").strip() or str(error)
        raise LakehouseError(
            f"Contracts of {folder} cannot be read from git ({said}): name a folder or a git "
            "revision by --against."
        ) from None
