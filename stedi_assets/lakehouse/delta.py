"""Delta tables by URI: what their log says, without Spark and without a scan."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stedi_assets.errors import LakehouseError
from stedi_assets.lakehouse import storage

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

    damaged = LakehouseError(
        f"The Delta log of {uri} is damaged: {uri}/_delta_log lacks a file or holds one that "
        "cannot be read. Restore it from a backup, or move the table's folder away and "
        "materialise the asset again."
    )
    try:
        table = DeltaTable(uri)
        if _lacks_a_commit(uri):
            raise damaged
    except TableNotFoundError:
        return None
    except (DeltaError, OSError, ValueError) as error:
        raise _fault(uri, error) or damaged from None
    return table


def state(uri: str) -> TableState | None:
    """The state of the table at an URI, or None where there is none.

    Raises:
        LakehouseError: If its log is damaged.
    """
    table = open_table(uri)
    if table is None:
        return None
    files = table.get_add_actions(flatten=True)
    return TableState(
        version=table.version(),
        rows=table.count(),
        files=files.num_rows,
        size_bytes=sum(files["size_bytes"].to_pylist()),
        commit=_last_said(table),
    )


def _last_said(table: DeltaTable) -> dict[str, Any]:
    """What the last writer said; maintenance, which commits too, says nothing."""
    for limit in (1, None):
        for entry in table.history(limit):
            if said := entry.get(COMMIT_METADATA):
                return dict(json.loads(said))
    return {}


def _lacks_a_commit(uri: str) -> bool:
    """Whether a commit between the last checkpoint and the newest commit is gone."""
    from pyarrow.fs import FileSelector

    filesystem, path = storage.open_filesystem(f"{uri}/_delta_log")
    names = [info.base_name for info in filesystem.get_file_info(FileSelector(path))]
    commits = {int(name[:20]) for name in names if re.fullmatch(r"\d{20}\.json", name)}
    checkpoints = [int(name[:20]) for name in names if re.match(r"\d{20}\.checkpoint\.", name)]
    needed = range(max(checkpoints, default=-1) + 1, max(commits, default=-1) + 1)
    return not commits.issuperset(needed)


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
