"""The versions of the training set as Arrow reads them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from stedi_assets import storage
from stedi_assets.errors import Code, LakehouseError
from stedi_assets.storage.faults import fault, storage_faults
from stedi_assets.training import manifest
from stedi_assets.training.manifest import LOCATION, Manifest

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.dataset as ds
    from deltalake import DeltaTable


DEVICE, TIME = "serialNumber", "timestamp"


class File(NamedTuple):
    """A data file.

    Attributes:
        first: The least time in it (epoch milliseconds, UTC).
        last: The greatest.
        rows: How many rows it has.
    """

    first: int
    last: int
    rows: int


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
        manifest: Its manifest, if it was asked for by its number and is published.
    """

    uri: str
    version: int
    dataset: ds.Dataset
    by_device: ds.Dataset
    files: list[File]
    manifest: Manifest | None = None


def open_version(lakehouse: str, version: int | None) -> Version:
    """Opens a version of the training set.

    Args:
        lakehouse: The lakehouse's URI.
        version: A published version, or the newest; None for the newest.

    Raises:
        LakehouseError: If there is no training set, or the version is erased or not published.
    """
    uri = f"{lakehouse}/{LOCATION}"
    published = None if version is None else manifest.read(uri, version)
    if published is not None and published.erased_at is None:
        return _of_files(uri, published)
    table = _newest(uri)
    if version is not None and (published or version != table.version()):
        raise _gone(uri, version, published, table.version())
    return Version(
        uri, table.version(), _dataset(uri, table), _dataset(uri, table, DEVICE), _files(table)
    )


@contextlib.contextmanager
def reading(uri: str) -> Iterator[None]:
    """Says in one sentence why the training set at an URI could not be read.

    Raises:
        LakehouseError: If a file of it is gone or damaged, or storage fails.
    """
    import pyarrow as pa

    with storage_faults(uri):
        try:
            yield
        except pa.ArrowInvalid:
            raise LakehouseError(
                f"A data file of the training set at {uri} is damaged. Load another version, or "
                "have `stedi materialize --rebuild` make the training set again.",
                Code.DATA_FILE_DAMAGED,
            ) from None
        except FileNotFoundError:
            raise LakehouseError(
                f"A data file of the training set at {uri} is gone: a run, maintenance or an "
                "erasure has replaced the version since. Load the training set again, or another "
                "version of it.",
                Code.VERSION_GONE,
            ) from None


def _of_files(uri: str, published: Manifest) -> Version:
    """A published version, by its files alone: Delta's log may not know it any more."""
    import pyarrow.dataset as ds

    filesystem = storage.open_folder(uri).arrow_filesystem()
    kept = [file for file in published.files if file.first is not None and file.last is not None]

    def read(*dictionaries: str) -> ds.Dataset:
        kind = ds.ParquetFileFormat(dictionary_columns=dictionaries)
        time = ds.field(TIME)
        fragments = [
            kind.make_fragment(
                file.name,
                filesystem=filesystem,
                partition_expression=(time >= file.first) & (time <= file.last),
            )
            for file in kept
        ]
        return ds.FileSystemDataset(fragments, _schema(fragments[0]), kind, filesystem)

    if not kept:
        raise LakehouseError(
            f"Version {published.version} of the training set has no rows. Load another version.",
            Code.SPLIT_EMPTY,
        )
    with reading(uri):
        dataset, by_device = read(), read(DEVICE)
    files = [File(file.first or 0, file.last or 0, file.rows) for file in kept]
    return Version(uri, published.version, dataset, by_device, files, published)


def _schema(fragment: ds.Fragment) -> pa.Schema:
    """The columns of a file, texts as any library knows them: engines write them as views."""
    import pyarrow as pa

    fields = fragment.physical_schema
    views = pa.types.is_string_view
    return pa.schema([f.with_type(pa.string()) if views(f.type) else f for f in fields])


def _newest(uri: str) -> DeltaTable:
    from deltalake import DeltaTable
    from deltalake.exceptions import DeltaError, TableNotFoundError

    try:
        return DeltaTable(uri, storage_options=storage.open_folder(uri).delta_options())
    except TableNotFoundError:
        raise LakehouseError(
            f"training_set is not in the lakehouse yet: there is no Delta table at {uri}. "
            "Materialise it first, or name the lakehouse that has it.",
            Code.NOT_MATERIALISED,
        ) from None
    except (DeltaError, OSError, ValueError) as error:
        raise fault(uri, error) or error from None


def _gone(uri: str, version: int, published: Manifest | None, newest: int) -> LakehouseError:
    why = "is not published"
    if published:
        # Those that an earlier release erased say nothing of the reason.
        why = f"is erased {published.erased_because or manifest.Reason.LEFT}"
    remaining = [each.version for each in manifest.published(uri) if each.erased_at is None]
    nearest = min(remaining, key=lambda each: (abs(each - version), -each), default=None)
    instead = f"No published version remains; the newest state is version {newest}"
    if nearest is not None:
        instead = f"The nearest that remains is {nearest}: load version={nearest}"
    return LakehouseError(
        f"Version {version} of the training set {why}. {instead}.", Code.VERSION_GONE
    )


def _dataset(uri: str, table: DeltaTable, *dictionaries: str) -> ds.Dataset:
    from deltalake.exceptions import DeltaProtocolError
    from pyarrow.dataset import ParquetReadOptions

    options = ParquetReadOptions(dictionary_columns=dictionaries)
    filesystem = storage.open_folder(uri).arrow_filesystem()
    try:
        return table.to_pyarrow_dataset(filesystem=filesystem, parquet_read_options=options)
    except DeltaProtocolError as error:
        raise LakehouseError(
            f"{uri} cannot be read without Spark: {str(error).rstrip('.')}. Materialise it again, "
            "which writes it without.",
            Code.OTHER_RELEASE,
        ) from None


def _files(table: DeltaTable) -> list[File]:
    import pyarrow as pa

    added = pa.table(table.get_add_actions(flatten=True))
    names = (f"min.{TIME}", f"max.{TIME}", "num_records")
    if not set(names).issubset(added.column_names):
        return []
    files = zip(*(added[name].to_pylist() for name in names), strict=True)
    return [File(*file) for file in files if None not in file and file[2]]
