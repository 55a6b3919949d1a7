"""Maintenance of Delta tables: joins and clusters files, and deletes old versions."""

from __future__ import annotations

import json
import time
from collections.abc import Set
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import unquote

from stedi_assets import storage
from stedi_assets.lakehouse import clustering, delta, trust
from stedi_assets.policy import Options
from stedi_assets.storage.faults import storage_faults
from stedi_assets.storage.folder import StoredFile
from stedi_assets.tables import Table

if TYPE_CHECKING:
    from deltalake import CommitProperties, DeltaTable

# No write takes longer: a file this old that is in no version is of a write that was killed.
WRITE_HOURS = 1


@dataclass(frozen=True)
class Maintained:
    """What maintenance did to a table.

    Attributes:
        compacted: How many files were joined into larger ones, or clustered by time.
        removed: How many files of old versions were deleted.
        removed_bytes: How many bytes those had.
    """

    compacted: int
    removed: int
    removed_bytes: int


def maintain(
    table: Table, uri: str, retention_hours: int, spared: Set[str] = frozenset()
) -> Maintained | None:
    """Clusters a table by time, and deletes the files of versions replaced a while ago.

    Where it has no time column, or little is not clustered yet, small files are joined. Rows stay,
    and what the last writer kept is kept with each commit. At most ten times the bytes that are
    not clustered yet are written.

    Args:
        table: The declaration.
        uri: Where the table is.
        retention_hours: How long ago; the caller knows that nothing reads older versions.
        spared: The names of data files that stay, whatever the log says.

    Returns:
        What was done, or None where there is no table.

    Raises:
        LakehouseError: If its log is damaged or its storage fails.
    """
    stored = delta.open_table(uri)
    if stored is None:
        return None
    version = stored.version()
    kept = trust.properties(trust.kept_by_maintenance(stored))
    with storage_faults(uri):
        if table.time_column:
            compacted = clustering.cluster(stored, table.time_column, kept)
        else:
            compacted = stored.optimize.compact(commit_properties=kept)["numFilesRemoved"]
        sizes = {file.name: file.size for file in storage.open_folder(uri).files()}
        removed = _vacuum(uri, stored, retention_hours, kept, spared)
        if any(
            entry["version"] > version and entry["operation"] not in delta.CHANGES_NO_ROW
            for entry in stored.history(stored.version() - version)
        ):
            trust.require_rebuild(
                uri
            )  # a run wrote meanwhile, and what is kept is of the version before
    return Maintained(compacted, len(removed), sum(sizes.get(name, 0) for name in removed))


@dataclass(frozen=True)
class Deleted:
    """What was deleted with a table's old versions.

    Attributes:
        files: How many data files.
        versions: How many versions.
    """

    files: int = 0
    versions: int = 0


def weaker_until(last: delta.TableState | None, options: Options) -> int | None:
    """The last version of a table that was made under weaker options than its next; None if none.

    Args:
        last: Its current version, with whose commit the same is kept. Where that is not known, any
            version may be weaker.
        options: Those of the next version.
    """
    if last is None or not options.enabled:
        return None
    if options.beyond(last.commit.config):
        return last.version
    return last.commit.weaker_until if last.commit.knows_weaker else last.version


def keeps_versions_until(uri: str, version: int) -> bool:
    """Whether a table's log still has any version up to this one."""
    return bool(_log_before(uri, version + 1))


def superseded_files(uri: str) -> list[str]:
    """The URIs of a table's data files that its current version does not need.

    Raises:
        LakehouseError: If its log is damaged or its storage fails.
    """
    return [file.uri for file in _superseded(uri)]


def superseded_since(uri: str) -> tuple[int, int] | None:
    """How many data files a table's current version does not need, and when the first was written.

    Returns:
        Their number and a time (epoch milliseconds, UTC); None if there is none.
    """
    files = _superseded(uri)
    return (len(files), min(f.modified_ns for f in files) // 1_000_000) if files else None


def why_old_files_remain(uri: str, spared: Set[str] = frozenset()) -> str | None:
    """Why data files of old versions remain after those were deleted; None if none does.

    Those whose names are spared may.

    Raises:
        LakehouseError: If its log is damaged or its storage fails.
    """
    left = _superseded(uri, spared)
    if not left:
        return None
    if any(file.name in _named_in_log(uri) for file in left):
        return "was written meanwhile. Wait until nothing writes it"
    written = max(file.modified_ns for file in left) / 1e9
    until = datetime.fromtimestamp(written + WRITE_HOURS * 3600, UTC)
    return (
        f"has {len(left):,} data files that no version of it knows: a run is writing it, or was "
        f"killed while it did. Wait until nothing writes it and it is {until:%Y-%m-%d %H:%M UTC}"
    )


def delete_old_versions(uri: str, spared: Set[str] = frozenset()) -> Deleted:
    """Deletes all of a table but its current version: older data files and older log files.

    Data files whose names are spared stay, though no version of the log has them then.

    The log too, since it has the least and the greatest value of each file's columns. Data files in
    no version are deleted once they are an hour old: until then another writer may be about to
    commit them. It is safe to re-run after a crash, and deletes the rest.

    Raises:
        LakehouseError: If its log is damaged or its storage fails; the current version is whole.
    """
    table = delta.open_table(uri)
    superseded = _superseded(uri, spared)
    if table is None or not (superseded or _log_before(uri, table.version())):
        return Deleted()
    kept = trust.kept_alone(table)
    versions = table.version()
    with storage_faults(uri):
        storage.open_folder(uri).remove(_removable(uri, superseded))
        _vacuum(uri, table, WRITE_HOURS, None, spared, full=True)
        # What the last writer kept must be in the one commit that is left.
        trust.commit_without_rows(uri, table, kept)
        table = delta.open_table(uri)
        assert table is not None
        table.create_checkpoint()
        log = storage.open_folder(f"{uri}/_delta_log")
        log.remove(_log_before(uri, table.version()))
    return Deleted(len(superseded) - len(_superseded(uri, spared)), versions)


def _vacuum(
    uri: str,
    table: DeltaTable,
    hours: int,
    kept: CommitProperties | None,
    spared: Set[str],
    *,
    full: bool = False,
) -> list[str]:
    """Deletes the data files of versions replaced hours ago but those spared; returns their names.

    Args:
        uri: Where the table is.
        table: The table.
        hours: How many hours ago.
        kept: What to keep with the commits of the vacuum.
        spared: The names of files that stay.
        full: Whether to delete files that are in no version too.
    """
    found = table.vacuum(hours, dry_run=True, enforce_retention_duration=False, full=full)
    if spared.isdisjoint(found):
        return table.vacuum(
            hours,
            dry_run=False,
            enforce_retention_duration=False,
            commit_properties=kept,
            full=full,
        )
    # Delta would spare versions, but only those that its log still has.
    names = [name for name in found if name not in spared]
    storage.open_folder(uri).remove(names)
    return names


def _superseded(uri: str, spared: Set[str] = frozenset()) -> list[StoredFile]:
    table = delta.open_table(uri)
    current = {name.rpartition("/")[2] for name in table.file_uris()} if table else set()
    with storage_faults(uri):
        files = storage.open_folder(uri).files()
    data = [file for file in files if file.name.endswith(".parquet")]
    return [file for file in data if file.name not in current | spared]


def _removable(uri: str, superseded: list[StoredFile]) -> list[str]:
    """The names of the superseded files that no writer is about to commit.

    Those are the ones that the log names; when it says that they were replaced does not matter,
    since the clock of who replaced them may have been fast. Of those it does not name, which a
    killed run left, a file of the future was written by such a clock.
    """
    named = _named_in_log(uri)
    ahead = time.time_ns() + WRITE_HOURS * 3600 * 10**9
    return [file.name for file in superseded if file.name in named or file.modified_ns > ahead]


def _named_in_log(uri: str) -> set[str]:
    """The names of all data files that a table's log adds or removes."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    found: set[str] = set()
    log = storage.open_folder(f"{uri}/_delta_log")
    with storage_faults(uri):
        for file in log.files():
            if file.name.endswith(".json") and file.name[:20].isdigit():
                with log.open(file) as stored:
                    actions = [json.loads(line) for line in stored if line.strip()]
            elif file.name.endswith(".parquet") and file.name[:20].isdigit():
                with log.open(file) as stored:
                    content = pa.BufferReader(stored.read())
                names = ["add.path", "remove.path"]
                actions = pq.read_table(content, columns=names).to_pylist()
            else:
                continue
            for action in actions:
                for kind in ("add", "remove"):
                    if path := (action.get(kind) or {}).get("path"):
                        found.add(unquote(path).rpartition("/")[2])
    return found


def _log_before(uri: str, version: int) -> list[str]:
    """The names of the log's files of earlier versions, the earliest first."""
    with storage_faults(uri):
        names = [file.name for file in storage.open_folder(f"{uri}/_delta_log").files()]
    return sorted(name for name in names if name[:20].isdigit() and int(name[:20]) < version)
