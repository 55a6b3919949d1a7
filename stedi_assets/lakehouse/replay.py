"""The lines of a source that are in quarantine, as they landed: `stedi replay`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from stedi_assets import storage
from stedi_assets.errors import Code, LakehouseError
from stedi_assets.lakehouse import delta
from stedi_assets.landing import ledger, quarantine
from stedi_assets.tables import Table, quarantine_of

PLACE = ["file", "lineNumber"]


def lines(lakehouse: str, table: Table) -> Iterator[bytes]:
    """Each line that holds quarantined text, byte for byte, by file and place.

    They are read from landing: quarantine names the file, which may be superseded by now, and the
    line. To replay them, correct them and land them as a file of the source.

    Args:
        lakehouse: The lakehouse's URI.
        table: The landing table.

    Raises:
        LakehouseError: If the source has no quarantine yet, or landing is not as it was then.
    """
    uri = f"{lakehouse}/{quarantine_of(table).location}"
    stored = delta.open_table(uri)
    quarantined = delta.dataset(uri, stored) if stored else None
    if quarantined is None or not {*PLACE}.issubset(quarantined.schema.names):
        raise LakehouseError(
            f"{quarantine_of(table).name} is not in the lakehouse yet, or was made by a release "
            f"that did not note where a line stands: see {uri}. Materialise {table.name} first.",
            Code.NOT_MATERIALISED,
        )
    found = quarantined.to_table(columns=PLACE)
    numbers = defaultdict(set)
    for row in found.to_pylist():
        numbers[row["file"]].add(row["lineNumber"])
    folder = storage.open_folder(f"{lakehouse}/{table.location}")
    files = {file.name: file for file in folder.files()}
    names = {file.id: file.name for file in ledger.load(folder, list(files.values())).files}
    for id, wanted in numbers.items():
        if names.get(id) not in files:
            raise LakehouseError(
                f"The landed file {id} is not in {folder.uri} any more. Materialise {table.name}, "
                "which looks into landing anew.",
                Code.FILE_CHANGED,
            )
        for line in quarantine.lines(folder, id, files[names[id]]):
            if line.number in wanted:
                yield line.content
