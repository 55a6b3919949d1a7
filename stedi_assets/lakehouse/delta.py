"""Delta tables by URI: what their log says, without Spark and without a scan."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stedi_assets.errors import LakehouseError

if TYPE_CHECKING:
    from deltalake import DeltaTable

# The key under which Spark's Delta writers keep what a writer says of its commit.
COMMIT_METADATA = "userMetadata"


# What engines and file systems say, and what it means for the person who reads it.
FAULTS = {
    "no space left": "the disk is full. Make room",
    "disk quota": "the disk quota is used up. Make room",
    "permission denied": "this user may not write there. Grant the permission",
    "read-only file system": "the file system is read-only. Mount it for writing",
    "not a directory": "a file stands where a folder belongs. Move it away",
    "path does not exist": "a file stands where a folder belongs. Move it away",
    "file exists": "a file stands where a folder belongs. Move it away",
}


@dataclass(frozen=True)
class TableState:
    """A table's last good version, as its log tells.

    Attributes:
        version: The Delta version.
        rows: How many rows it has.
        files: How many files hold them.
        size_bytes: How many bytes those have.
        commit: What the writer said of the commit.
    """

    version: int
    rows: int
    files: int
    size_bytes: int
    commit: dict[str, Any]


def open_table(uri: str) -> DeltaTable | None:
    """The table at an URI, or None where there is none.

    Raises:
        LakehouseError: If its log is damaged.
    """
    from deltalake import DeltaTable
    from deltalake.exceptions import DeltaError, TableNotFoundError

    try:
        return DeltaTable(uri)
    except TableNotFoundError:
        return None
    except (DeltaError, OSError, ValueError) as error:
        if fault := _fault(uri, error):
            raise fault from None
        raise LakehouseError(
            f"The Delta log of {uri} is damaged: {uri}/_delta_log cannot be read. Restore the "
            "newest file there from a backup, or move the table's folder away and materialise "
            "the asset again."
        ) from None


def state(uri: str) -> TableState | None:
    """The state of the table at an URI, or None where there is none.

    Raises:
        LakehouseError: If its log is damaged.
    """
    table = open_table(uri)
    if table is None:
        return None
    files = table.get_add_actions(flatten=True)
    [last] = table.history(1)
    return TableState(
        version=table.version(),
        rows=table.count(),
        files=files.num_rows,
        size_bytes=sum(files["size_bytes"].to_pylist()),
        commit=json.loads(last.get(COMMIT_METADATA) or "{}"),
    )


@contextlib.contextmanager
def write_faults(uri: str) -> Iterator[None]:
    """Says in one sentence why a table could not be written.

    Raises:
        LakehouseError: For the faults that a user can mend; others pass as they are.
    """
    from pyspark.errors import PySparkException

    try:
        yield
    except (PySparkException, OSError) as error:
        if fault := _fault(uri, error):
            raise fault from None
        raise


def _fault(uri: str, error: Exception) -> LakehouseError | None:
    """The fault of the storage behind an error, if it is one that a user can mend."""
    said = str(error).lower()
    for sign, meaning in FAULTS.items():
        if sign in said:
            return LakehouseError(
                f"{uri} cannot be used: {meaning} or set STEDI_LAKEHOUSE_URI to another place, "
                "then run again. The table stays at its last good version."
            )
    return None
