"""What of a new contract would break those who rely on the old one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from open_data_contract_standard.model import OpenDataContractStandard as Contract
from open_data_contract_standard.model import SchemaProperty

from stedi_assets.tables.columns import ColumnType

RETIRED = "retired"
# Every value of the first is one of the second, which Delta and readers of Parquet take as such.
WIDENED = {(ColumnType.INT.value, ColumnType.BIGINT.value)}


def breaking_changes(old: Iterable[Contract], new: Mapping[str, Contract]) -> list[str]:
    """Each breaking change that no higher major version announces, as a clause that names it.

    Args:
        old: Contracts that were given, of one table perhaps several.
        new: Table name to its contract now.
    """
    found = (
        f"{name}: {change}"
        for each in old
        for name in [str(each.name)]
        for change in _changes(each, new.get(name))
    )
    return list(dict.fromkeys(found))


def major(contract: Contract) -> int:
    """The first part of a contract's version."""
    return int(str(contract.version).partition(".")[0])


def _changes(old: Contract, new: Contract | None) -> Iterator[str]:
    is_draft = major(old) == 0
    is_announced = new is not None and major(new) > major(old)
    if is_draft or is_announced or old.status == RETIRED:
        return
    if new is None or new.status == RETIRED:
        yield "the table was removed"
        return
    before, now = _columns(old), _columns(new)
    for name, column in before.items():
        if name not in now:
            yield f"column {name} was removed"
            continue
        if (was := column.physicalType) != (kind := now[name].physicalType) and (
            was,
            kind,
        ) not in WIDENED:
            yield f"the type of {name} changed from {was} to {kind}"
        # Readers rely on a value that is always there, and writers on one that need not be.
        if column.required != now[name].required:
            became = "required" if now[name].required else "optional"
            yield f"{name} became {became}"
        if column.classification != now[name].classification:
            yield (
                f"the classification of {name} changed from {column.classification} to "
                f"{now[name].classification}"
            )
    if (was_key := _key(before)) != (key := _key(now)):
        yield f"the key changed from ({', '.join(was_key)}) to ({', '.join(key)})"


def _columns(contract: Contract) -> dict[str, SchemaProperty]:
    return {
        str(column.name): column
        for table in contract.schema_ or []
        for column in table.properties or []
    }


def _key(columns: Mapping[str, SchemaProperty]) -> list[str]:
    keys = [column for column in columns.values() if column.primaryKey]
    return [str(each.name) for each in sorted(keys, key=lambda each: each.primaryKeyPosition or 0)]
