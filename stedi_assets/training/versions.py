"""Versions of the training set: where they are, and which remain."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stedi_assets import storage
from stedi_assets.errors import Code, LakehouseError
from stedi_assets.storage.faults import fault, storage_faults
from stedi_assets.training.sequences import DEVICE, TIME, File

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.dataset as ds
    from deltalake import DeltaTable
    from pyarrow.fs import FileSystem

LOCATION = "machine_learning/training"
PUBLISHED, MANIFEST = "_published", "manifest.json"


@dataclass(frozen=True)
class Version:
    """A version of the table that can be read.

    Attributes:
        uri: Where the table is.
        version: The Delta version.
        dataset: Its rows, which Arrow reads through its own file system: with that of delta-rs the
            interpreter aborts at its exit now and then.
        by_device: The same rows, with devices as Arrow dictionaries, which is quicker to sort.
        files: The data files that have rows and say of which times.
    """

    uri: str
    version: int
    dataset: ds.Dataset
    by_device: ds.Dataset
    files: list[File]


def open_version(lakehouse: str, version: int | None) -> Version:
    """Opens a version of the training set.

    Args:
        lakehouse: The lakehouse's URI.
        version: The Delta version; None for the newest.

    Raises:
        LakehouseError: If there is no training set, or the version is erased or deleted.
    """
    uri = f"{lakehouse}/{LOCATION}"
    folder = storage.open_folder(uri)
    table, filesystem = _newest(uri, folder.delta_options()), folder.arrow_filesystem()
    if version is not None and version != table.version():
        with storage_faults(uri):
            published = _published(filesystem)
            if published.get(version, True):
                there = _load(uri, table, filesystem, version)
            else:
                there = False
        if not there:
            raise _gone(version, published, table.version())
    return Version(
        uri,
        table.version(),
        _dataset(table, filesystem),
        _dataset(table, filesystem, DEVICE),
        _files(table),
    )


def _newest(uri: str, options: dict[str, str] | None) -> DeltaTable:
    from deltalake import DeltaTable
    from deltalake.exceptions import DeltaError, TableNotFoundError

    try:
        return DeltaTable(uri, storage_options=options)
    except TableNotFoundError:
        raise LakehouseError(
            f"training_set is not in the lakehouse yet: there is no Delta table at {uri}. "
            "Materialise it first, or name the lakehouse that has it.",
            Code.NOT_MATERIALISED,
        ) from None
    except (DeltaError, OSError, ValueError) as error:
        raise fault(uri, error) or error from None


def _load(uri: str, table: DeltaTable, filesystem: FileSystem, version: int) -> bool:
    """Loads another version; whether it and all of its files are there."""
    from deltalake.exceptions import DeltaError
    from pyarrow.fs import FileSelector

    if not 0 <= version < table.version():
        return False
    try:
        table.load_as_version(version)
    except (DeltaError, OSError, ValueError) as error:
        if (meant := fault(uri, error)) and meant.code is not Code.LOG_DAMAGED:
            raise meant from None
        return False
    stored = {file.path for file in filesystem.get_file_info(FileSelector("", recursive=True))}
    return stored.issuperset(_added(table)["path"].to_pylist())


def _published(filesystem: FileSystem) -> dict[int, bool]:
    """The published versions, and whether each remains: what is erased leaves its manifest."""
    from pyarrow.fs import FileSelector

    folder = FileSelector(PUBLISHED, allow_not_found=True, recursive=True)
    remains = {}
    for file in filesystem.get_file_info(folder):
        if file.base_name == MANIFEST:
            with filesystem.open_input_stream(file.path) as stored:
                manifest = json.loads(stored.read())
            remains[int(manifest["version"])] = manifest.get("erased_at") is None
    return remains


def _gone(version: int, published: dict[int, bool], newest: int) -> LakehouseError:
    why = "was never published and is deleted" if 0 <= version <= newest else "was never made"
    if version in published:
        why = "has lost its files"
        if not published[version]:
            why = "is erased, because a person in it has withdrawn"
    remaining = [each for each in published if published[each] and each != version]
    nearest = min(remaining, key=lambda each: (abs(each - version), -each), default=None)
    instead = "Load the newest without version="
    if nearest is not None:
        instead = f"The nearest published version that remains is {nearest}: load version={nearest}"
    return LakehouseError(
        f"Version {version} of the training set {why}. {instead}.", Code.VERSION_GONE
    )


def _dataset(table: DeltaTable, filesystem: FileSystem, *dictionaries: str) -> ds.Dataset:
    from deltalake.exceptions import DeltaProtocolError
    from pyarrow.dataset import ParquetReadOptions

    options = ParquetReadOptions(dictionary_columns=dictionaries)
    try:
        return table.to_pyarrow_dataset(filesystem=filesystem, parquet_read_options=options)
    except DeltaProtocolError as error:
        raise LakehouseError(
            f"The training set cannot be read without Spark: {str(error).rstrip('.')}. "
            "Materialise it again, which writes it without.",
            Code.OTHER_RELEASE,
        ) from None


def _files(table: DeltaTable) -> list[File]:
    added = _added(table)
    if f"min.{TIME}" not in added.column_names:
        return []
    columns = (f"min.{TIME}", f"max.{TIME}", "num_records")
    rows = zip(*(added[name].to_pylist() for name in columns), strict=True)
    return [File(*row) for row in rows if None not in row and row[2]]


def _added(table: DeltaTable) -> pa.Table:
    import pyarrow as pa

    return pa.table(table.get_add_actions(flatten=True))
