"""Clusters a Delta table by time, so that a range of time is in few of its files."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from deltalake import CommitProperties, DeltaTable

# Of a file; in a large table of the share of it, so that listing its files stays quick.
TARGET_BYTES, MOST_FILES = 2 * 1024**2, 1024
# All of a table is clustered where more than this share of its bytes is not: delta-rs can do so to
# whole partitions alone. What is written is thus at most ten times what was not clustered.
UNCLUSTERED_SHARE = 0.1
# What sorting holds in memory; beyond it spills to the folder for temporary files. 20 million rows
# take 0.5 GB in all so, and 1.7 GB without a limit.
SORT_BYTES = 256 * 1024**2


class File(NamedTuple):
    """A data file.

    Attributes:
        first: The least value of its time column (epoch milliseconds, UTC); None where not known.
        last: The greatest value.
        size: Its size in bytes.
    """

    first: int | None
    last: int | None
    size: int


def cluster(table: DeltaTable, time_column: str, properties: CommitProperties) -> int:
    """Clusters a table by its time column where it is worth it, else joins its small files.

    Args:
        table: The table.
        time_column: The column.
        properties: Those of the commit, if there is one.

    Returns:
        How many files were replaced.
    """
    files = _files(table, time_column)
    size = sum(file.size for file in files)
    target = max(TARGET_BYTES, size // MOST_FILES)
    if unclustered_bytes(files, target) > UNCLUSTERED_SHARE * size:
        done = table.optimize.z_order(
            [time_column],
            target_size=target,
            max_concurrent_tasks=1,
            max_spill_size=SORT_BYTES,
            commit_properties=properties,
        )
    else:
        # Only those that were written one after the other, none of which is of a clustered size.
        done = table.optimize.compact(target_size=target // 4, commit_properties=properties)
    return int(done["numFilesRemoved"])


def unclustered_bytes(files: Iterable[File], target: int) -> int:
    """How many bytes are in files that overlap others in time, or are too large.

    Of files that overlap as many as possible count as clustered.
    """
    unclustered, clustered_until = 0, None
    for file in sorted(files, key=lambda file: (file.last is not None, file.last)):
        overlaps = clustered_until is not None and (file.first or 0) < clustered_until
        if file.first is None or file.size > 2 * target or overlaps:
            unclustered += file.size
        else:
            clustered_until = file.last
    return unclustered


def _files(table: DeltaTable, time_column: str) -> list[File]:
    """The files that hold rows."""
    import pyarrow as pa

    files = pa.table(table.get_add_actions(flatten=True)).to_pylist()
    return [
        File(file.get(f"min.{time_column}"), file.get(f"max.{time_column}"), file["size_bytes"])
        for file in files
        if file["num_records"] != 0
    ]
