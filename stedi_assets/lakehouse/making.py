"""How a table's rows are made: its rule, and pseudonyms where the options hide what is there."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from stedi_assets import pseudonyms
from stedi_assets.landing.folder import reader_version
from stedi_assets.tables import TABLES, Table, Zone, code
from stedi_assets.tables.schema import applied

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from stedi_assets.lakehouse.lakehouse import Lakehouse
    from stedi_assets.policy import Options
    from stedi_assets.pseudonyms import Pseudonyms


def made(
    table: Table,
    read: Callable[[str], DataFrame],
    as_of: int,
    options: Options,
    pseudonyms: Pseudonyms,
) -> DataFrame:
    """The rows of a table by its rule, with pseudonyms where the options hide what is there.

    Args:
        table: The table.
        read: Gives a table's rows by its name.
        as_of: The time by which to judge consent (epoch milliseconds, UTC).
        options: The options of the run.
        pseudonyms: Makes the pseudonyms.
    """
    assert table.rule is not None
    frame: DataFrame = applied(table.rule, read, as_of, options)
    for column in table.pseudonymised if options.pseudonymise_devices else []:
        frame = pseudonyms.of(frame, column)
    return frame.select(*table.column_names)


def code_of_rows(table: Table, lakehouse: Lakehouse) -> str:
    """A digest of all code that has a part in a table's rows: its own, and that of its parents."""
    parts = [own_code(table)]
    for parent in (TABLES[name] for name in table.parents):
        state = lakehouse.state(parent) if parent.zone is not Zone.LANDING else None
        parts.append(state.commit.code if state else reader_version(parent))
    return code.digest(*parts)


def own_code(table: Table) -> str:
    """A digest of the code of a table's rule."""
    assert table.rule is not None
    return code.version(table.rule.__module__, *([pseudonyms] if table.pseudonymised else []))
