"""Delta tables by URI: what their log says, without Spark and without a scan."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stedi_assets.errors import LakehouseError
from stedi_assets.lakehouse import storage
from stedi_assets.lakehouse.faults import fault, storage_faults
from stedi_assets.tables import Table

if TYPE_CHECKING:
    from deltalake import DeltaTable

# The key under which Spark's Delta writers keep what a writer says of its commit.
COMMIT_METADATA = "userMetadata"


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
        log = storage.open_folder(f"{uri}/_delta_log")
        table = DeltaTable(uri, storage_options=log.delta_options())
        if _lacks_a_commit(log):
            raise damaged
    except TableNotFoundError:
        return None
    except (DeltaError, OSError, ValueError) as error:
        raise fault(uri, error) or damaged from None
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


def write_empty(uri: str, table: Table, said: str) -> None:
    """Replaces a table by no rows, in one atomic commit and without Spark.

    Args:
        uri: Where the table is.
        table: The declaration of its columns.
        said: What to keep with the commit.

    Raises:
        LakehouseError: If the table cannot be written; it stays at its last good version.
    """
    import pyarrow as pa
    from deltalake import CommitProperties, write_deltalake

    types = {
        "string": pa.string(),
        "bigint": pa.int64(),
        "int": pa.int32(),
        "double": pa.float64(),
        "timestamp": pa.timestamp("us", "UTC"),
    }
    schema = pa.schema([(column.name, types[column.type]) for column in table.columns])
    with storage_faults(uri):
        write_deltalake(
            uri,
            schema.empty_table(),
            mode="overwrite",
            schema_mode="overwrite",
            storage_options=storage.open_folder(uri).delta_options(),
            commit_properties=CommitProperties(custom_metadata={COMMIT_METADATA: said}),
        )


@dataclass(frozen=True)
class Maintained:
    """What maintenance did to a table.

    Attributes:
        compacted: How many files were joined into larger ones.
        removed: How many files of old versions were deleted.
        removed_bytes: How many bytes those had.
    """

    compacted: int
    removed: int
    removed_bytes: int


def maintain(uri: str, retention_hours: int) -> Maintained | None:
    """Joins a table's small files, and deletes those of versions replaced a while ago.

    Args:
        uri: Where the table is.
        retention_hours: How long ago; the caller knows that nothing reads older versions.

    Returns:
        What was done, or None where there is no table.

    Raises:
        LakehouseError: If its log is damaged or its storage fails.
    """
    table = open_table(uri)
    if table is None:
        return None
    from deltalake.exceptions import DeltaError

    try:
        compacted = table.optimize.compact()["numFilesRemoved"]
        sizes = {file.name: file.size for file in storage.open_folder(uri).files()}
        removed = table.vacuum(retention_hours, dry_run=False, enforce_retention_duration=False)
    except (DeltaError, OSError) as error:
        raise fault(uri, error) or error from None
    return Maintained(compacted, len(removed), sum(sizes.get(name, 0) for name in removed))


def _last_said(table: DeltaTable) -> dict[str, Any]:
    """What the last writer said; maintenance, which commits too, says nothing."""
    for limit in (1, None):
        for entry in table.history(limit):
            if said := entry.get(COMMIT_METADATA):
                return dict(json.loads(said))
    return {}


def _lacks_a_commit(log: storage.Folder) -> bool:
    """Whether a commit between the last checkpoint and the newest commit is gone."""
    names = [file.name for file in log.files()]
    commits = {int(name[:20]) for name in names if re.fullmatch(r"\d{20}\.json", name)}
    checkpoints = [int(name[:20]) for name in names if re.match(r"\d{20}\.checkpoint\.", name)]
    needed = range(max(checkpoints, default=-1) + 1, max(commits, default=-1) + 1)
    return not commits.issuperset(needed)
