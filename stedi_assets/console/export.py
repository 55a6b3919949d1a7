"""Writes the current version of a table as one plain file: `stedi export`."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from stedi_assets.console.formula import FORMULA
from stedi_assets.errors import Code, LakehouseError
from stedi_assets.lakehouse import delta
from stedi_assets.storage.faults import storage_faults
from stedi_assets.storage.local import create_privately
from stedi_assets.tables import Table, Zone

# A text that begins so after any spaces, for RE2.
BEGINS_FORMULA = "^ *[" + "".join(f"\\x{{{ord(each):x}}}" for each in FORMULA) + "]"
FOR_THIS_USER_ONLY = 0o600


def export(lakehouse: str, table: Table, file: Path, output: str) -> int:
    """Writes a table's rows, batch by batch, into a file that only this user can read.

    A file of that name is replaced once the new one is complete.

    Args:
        lakehouse: The lakehouse's URI.
        table: A Delta table.
        file: Where to.
        output: `parquet`; or `csv`, in which a text that a spreadsheet would compute as a formula
            has a leading apostrophe.

    Returns:
        How many rows there are.

    Raises:
        LakehouseError: If the table is of landing, which is plain files already, or has not been
            materialised, or the file cannot be written.
    """
    uri = f"{lakehouse}/{table.location}"
    if table.zone is Zone.LANDING:
        raise LakehouseError(
            f"{table.name} is files of JSON lines already. Read them in {uri}, or export "
            "a table that is made of it."
        )
    with storage_faults(uri):
        stored = delta.open_table(uri)
        if stored is None:
            raise LakehouseError(
                f"{table.name} is not in the lakehouse yet: nothing is at {uri}. Run "
                "`make materialize` first, or set STEDI_LAKEHOUSE_URI to the lakehouse that has "
                "it.",
                Code.NOT_MATERIALISED,
            )
        rows = delta.dataset(uri, stored)
    partial = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        create_privately(file.parent)
        partial.touch(FOR_THIS_USER_ONLY)
        with WRITERS[output](partial, rows.schema) as writer:
            written = 0
            for batch in _batches(uri, rows, output):
                writer.write_batch(batch)
                written += batch.num_rows
        partial.replace(file)
    except OSError as error:
        raise LakehouseError(
            f"{table.name} cannot be written to {file}: {error.strerror or error}. Name another "
            "file with --out."
        ) from None
    finally:
        with contextlib.suppress(OSError):  # it is renamed, or could not be made
            partial.unlink()
    return written


def _batches(uri: str, rows: Any, output: str) -> Iterator[Any]:
    with storage_faults(uri):
        for batch in rows.to_batches():
            yield _without_formulas(batch) if output == "csv" else batch


def _without_formulas(batch: Any) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc

    for place, column in enumerate(batch.columns):
        if pa.types.is_string(column.type):
            quoted = pc.binary_join_element_wise("'", column, "")
            found = pc.match_substring_regex(column, BEGINS_FORMULA)
            guarded = pc.if_else(found, quoted, column)
            batch = batch.set_column(place, batch.schema.field(place), guarded)
    return batch


def _parquet(file: Path, schema: Any) -> AbstractContextManager[Any]:
    from pyarrow.parquet import ParquetWriter

    writer: AbstractContextManager[Any] = ParquetWriter(file, schema, compression="zstd")
    return writer


def _csv(file: Path, schema: Any) -> AbstractContextManager[Any]:
    from pyarrow.csv import CSVWriter

    writer: AbstractContextManager[Any] = CSVWriter(file, schema)
    return writer


WRITERS: dict[str, Callable[[Path, Any], AbstractContextManager[Any]]] = {
    "parquet": _parquet,
    "csv": _csv,
}
