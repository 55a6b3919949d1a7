"""Every table of the lakehouse, declared once, in the module of its source.

Whatever is structural follows from these declarations: assets, checks, schemas, catalog, erasure.
Field names are those of the JSON that lands. Timestamps are epoch milliseconds, UTC.
"""

from __future__ import annotations

import graphlib
import importlib
import pkgutil
from collections.abc import Iterator, Mapping, Sequence

from stedi_assets.tables.columns import Column
from stedi_assets.tables.schema import (
    DeclarationError,
    Table,
    Zone,
    files_of,
    quarantine_of,
    records_of,
)
from stedi_assets.tables.whole import require_whole

__all__ = [
    "DELTA_TABLES",
    "LANDING_TABLES",
    "QUARANTINE_TABLES",
    "TABLES",
    "Column",
    "Table",
    "Zone",
    "files_of",
    "quarantine_of",
    "records_of",
]


def _declared() -> Iterator[Table]:
    """The tables that the modules of this package declare."""
    for module in pkgutil.iter_modules(__path__, f"{__name__}."):
        declared = vars(importlib.import_module(module.name)).values()
        yield from (each for each in declared if isinstance(each, Table))


def in_order(declared: Sequence[Table]) -> Mapping[str, Table]:
    """Tables by name: landing, the customers' first; quarantine; and each after what it is made of.

    Raises:
        DeclarationError: If two have a name, or one refers to what is not declared.
    """
    tables = {table.name: table for table in declared}
    if twice := [table.name for table in declared if tables[table.name] is not table]:
        raise DeclarationError(f"Two tables are declared as {twice[0]}.")
    landing = [table for table in declared if table.zone is Zone.LANDING]
    landing.sort(key=lambda table: (table.source != "customer", table.source))
    landed = [*landing, *map(quarantine_of, landing)]
    known = {table.name: table for table in landed} | tables
    require_whole(known)
    made = graphlib.TopologicalSorter({t.name: t.parents for t in declared if t.rule})
    derived = [name for name in made.static_order() if known[name].rule]
    return {table.name: table for table in landed} | {name: known[name] for name in derived}


# A module that takes another's table has it too.
TABLES = in_order(list({id(table): table for table in _declared()}.values()))
LANDING_TABLES, QUARANTINE_TABLES = (
    tuple(table for table in TABLES.values() if table.zone is zone)
    for zone in (Zone.LANDING, Zone.QUARANTINE)
)
# Those that rules make.
DELTA_TABLES = tuple(table for table in TABLES.values() if table.rule)
