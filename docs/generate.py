"""Writes anew what follows from the declarations outside of the package: `make generate`.

That is the DDL of `sql/ddl`, the data contracts of `contracts`, the lists of folders in the
policies of `deploy/aws`, the table of tables in the README, the table of docs/SETTINGS.md, and in
docs/COMMANDS.md the commands of the documents that nothing runs.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from pydantic.fields import FieldInfo

from docs import blocks
from stedi_assets.catalog import ddl
from stedi_assets.contract import odcs
from stedi_assets.policy import setting_of
from stedi_assets.settings import Settings
from stedi_assets.tables import TABLES, Table, Zone, records_of

PROJECT = Path(__file__).resolve().parent.parent
POLICIES = PROJECT / "deploy" / "aws" / "lakehouse.yaml"
README = PROJECT / "README.md"
SETTINGS = PROJECT / "docs" / "SETTINGS.md"
COMMANDS = PROJECT / "docs" / "COMMANDS.md"
# A line of a list of folders: what stands before and after a table's location.
FOLDER = re.compile(
    rf"(?P<before> +- !Sub \S*)/(?P<source>\w+)/(?P<zone>{'|'.join(Zone)})(?P<after>/\S*)"
)
TABLE_OF_SETTINGS = re.compile(
    r"(?<=\| variable \| default \| meaning \|\n\| --- \| --- \| --- \|\n)(\|.*\n)*"
)
TABLE_OF_COMMANDS = re.compile(
    r"(?<=\| commands on \| begin with \| why \|\n\| --- \| --- \| --- \|\n)(\|.*\n)*"
)
TABLE_OF_TABLES = re.compile(
    r"(?<=\| table \| folder \| rows \|\n\| --- \| --- \| --- \|\n)(\|.*\n)+"
)


def policies(text: str, tables: Sequence[Table]) -> str:
    """The policies with each list of folders as the tables are declared, records with landing.

    A list of several sources holds the folders of all tables in its zones.
    """
    stored = [*tables, *(records_of(each) for each in tables if each.zone is Zone.LANDING)]

    def kind(line: str) -> tuple[str, str] | None:
        found = FOLDER.fullmatch(line)
        return (found["before"], found["after"]) if found else None

    rewritten: list[str] = []
    for place, group in groupby(text.split("\n"), kind):
        lines = list(group)
        found = [match for match in map(FOLDER.fullmatch, lines) if match]
        if place and len({each["source"] for each in found}) > 1:
            zones = {each["zone"] for each in found}
            before, after = place
            lines = [f"{before}/{t.location}{after}" for t in by_source(stored) if t.zone in zones]
        rewritten += lines
    return "\n".join(rewritten)


def readme(text: str, tables: Sequence[Table]) -> str:
    """The README with the table of all tables but quarantine."""
    rows = [
        f"| `{table.name}` | `{table.location}` | {table.description} |\n"
        for table in tables
        if table.zone is not Zone.QUARANTINE
    ]
    return TABLE_OF_TABLES.sub(lambda _: "".join(rows), text)


def settings(text: str) -> str:
    """The page of settings with the table of all variables."""
    rows = [
        f"| `{setting_of(name)}` | {_shown(field)} | {field.description} |\n"
        for name, field in Settings.model_fields.items()
    ]
    return TABLE_OF_SETTINGS.sub(lambda _: "".join(rows), text)


def commands(text: str) -> str:
    """The page of commands with those that nothing runs as they stand."""
    rows = [
        f"| [{block.page}](../{block.page}) | `{block.text.split('  ')[0].splitlines()[0]}` "
        f"| {block.why_not} |\n"
        for block in blocks.blocks()
        if block.why_not
    ]
    return TABLE_OF_COMMANDS.sub(lambda _: "".join(rows), text)


def _shown(field: FieldInfo) -> str:
    """A field's default as one would write it into the environment, from the current folder."""
    with contextlib.chdir("/"):
        default = field.get_default(call_default_factory=True)
    match default:
        case bool(on):
            return f"`{str(on).lower()}`"
        case str(path) if path:
            return f"`{path.lstrip('/')}`"
        case (int(), *_) as shares:
            return f"`{'/'.join(map(str, shares))}`"
    return "nothing"


def by_source(tables: Sequence[Table]) -> list[Table]:
    """Tables source by source, in each from landing to curated."""
    sources = list(dict.fromkeys(table.source for table in tables))
    zones = list(Zone)
    return sorted(tables, key=lambda t: (sources.index(t.source), zones.index(t.zone)))


def main() -> None:
    """Writes all of it."""
    tables = list(TABLES.values())
    ddl.write(PROJECT / "sql" / "ddl")
    odcs.write(PROJECT / "contracts")
    POLICIES.write_text(policies(POLICIES.read_text(encoding="utf-8"), tables), encoding="utf-8")
    README.write_text(readme(README.read_text(encoding="utf-8"), tables), encoding="utf-8")
    SETTINGS.write_text(settings(SETTINGS.read_text(encoding="utf-8")), encoding="utf-8")
    COMMANDS.write_text(commands(COMMANDS.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
