"""Whether what tables say of each other is there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from stedi_assets.tables.schema import DeclarationError, Table, Through


def require_whole(tables: Mapping[str, Table]) -> None:
    """Makes sure that what tables say of each other is there.

    Raises:
        DeclarationError: If a table refers to a table or a column that is not declared.
    """
    for table in tables.values():
        for mistake in _mistakes_among(table, tables):
            raise DeclarationError(f"The declaration of {table.name} is wrong: {mistake}.")


def _mistakes_among(table: Table, tables: Mapping[str, Table]) -> Iterator[str]:
    for parent in table.parents:
        if parent not in tables:
            yield f"its rule takes {parent}, which is no table"
    targets = [
        *table.references.values(),
        *table.derived.values(),
        *((parent, name) for parent, names in table.dates.items() for name in names),
        *((s.table, name) for s in table.subjects if isinstance(s, Through) for name in s.columns),
    ]
    for target, column in targets:
        if target not in tables:
            yield f"it refers to {target}, which is no table"
        elif column not in tables[target].column_names:
            yield f"it refers to {target}.{column}, which is no column"
    if table.rule is not None and table.recount is None:
        first = tables[table.parents[0]] if table.parents else None
        if first is None or first.column_names != table.column_names or not table.references:
            yield "it has no recount, and does not keep the rows of its first table by references"
