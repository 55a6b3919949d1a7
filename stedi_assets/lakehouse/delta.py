"""Delta tables by URI: what their log says, without Spark and without a scan."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from stedi_assets import storage
from stedi_assets.errors import Code, LakehouseError
from stedi_assets.lakehouse.commit import Commit
from stedi_assets.storage.faults import fault, storage_faults, table_fault
from stedi_assets.storage.folder import CHUNK_BYTES, Folder, StoredFile

if TYPE_CHECKING:
    from deltalake import DeltaTable
    from pyarrow.dataset import Dataset

# The key under which Spark's Delta writers keep what `commit` says of a commit.
COMMIT_METADATA = "userMetadata"
COMMIT = r"json\Z"
CHANGES_NO_ROW = ("OPTIMIZE", "VACUUM START", "VACUUM END")


@dataclass(frozen=True)
class TableState:
    """A table's last good version, by its log.

    Attributes:
        version: The Delta version.
        rows: How many rows it has.
        files: How many files they are in.
        size_bytes: The size of those files.
        commit: What the writer kept with the commit.
        columns: Its columns' names and Spark SQL types, in order.
        foreign: Whether others than a run of this project have changed the table since, or another
            run at the same time.
    """

    version: int
    rows: int
    files: int
    size_bytes: int
    commit: Commit
    columns: dict[str, str]
    foreign: bool = False


def open_table(uri: str) -> DeltaTable | None:
    """The table at an URI, or None where there is none.

    delta-rs takes an answer of the object store that is cut short for an empty or a shorter log, so
    what it finds is compared with a listing that is known to be whole.

    Raises:
        LakehouseError: If its log is damaged, or cannot be read.
    """
    log = storage.open_folder(f"{uri}/_delta_log")
    with storage_faults(uri):
        listed = log.files()
    if not listed:
        return None
    table = load(uri, log)
    if table is not None and _lacks_a_commit(listed):
        raise table_fault(uri, Code.LOG_DAMAGED)
    # A commit without content was not made.
    made = (version for version, size in _versions(listed, COMMIT).items() if size)
    if (-1 if table is None else table.version()) < max(made, default=-1):
        raise table_fault(uri, Code.CUT_ANSWER)
    return table


def state(uri: str) -> TableState | None:
    """The state of the table at an URI, or None where there is none.

    Raises:
        LakehouseError: If its log is damaged, or cannot be read.
    """
    table = open_table(uri)
    if table is None:
        return None
    kept, foreign = last_kept(table)
    commit = Commit.read(kept)
    foreign = foreign or commit.foreign or _is_mixed(uri, table.version(), commit)
    return replace(state_of(table, commit), foreign=foreign)


def _is_mixed(uri: str, version: int, commit: Commit) -> bool:
    """Whether rows of another writer may be among a commit's: it became a later version than meant.

    Its writer replaces both, or takes back what it kept, but may be killed before it does.
    """
    meant = commit.version_of(version)
    if meant == version:
        return False
    log = storage.open_folder(f"{uri}/_delta_log")
    with storage_faults(uri):
        if log.file(commit_file(meant)) is None:
            return False  # old enough that it was cleaned up
        found = actions(log, meant)
    kept = (str(each.get("commitInfo", {}).get(COMMIT_METADATA, "")) for each in found)
    return all(Commit.read(each).id != commit.id for each in kept)


def commit_file(version: int) -> str:
    """The name of a version's file in the log."""
    return f"{version:020}.json"


def actions(log: Folder, version: int) -> list[dict[str, Any]]:
    """What a version's commit did, by its file, which must be there."""
    name = commit_file(version)
    with log.open(StoredFile(name, f"{log.uri}/{name}", 0)) as lines:
        return [json.loads(line) for line in lines]


def files_of_version(uri: str, version: int) -> list[str] | None:
    """The URIs of the data files of a table's version; None where any of it is gone.

    Engines cannot read every version that is there: the embedded one none before a checkpoint.
    """
    from deltalake import DeltaTable
    from deltalake.exceptions import DeltaError

    folder = storage.open_folder(uri)
    try:
        table = DeltaTable(uri, version=version, storage_options=folder.delta_options())
    except (DeltaError, OSError, ValueError):
        return None
    with storage_faults(uri):
        there = {file.name for file in folder.files()}
    files = table.file_uris()
    return files if there.issuperset(name.rpartition("/")[2] for name in files) else None


def dataset(uri: str, table: DeltaTable) -> Dataset:
    """The rows of the open table at an URI, not read yet.

    They are read through Arrow's own file system: with that of delta-rs, which is the default, the
    interpreter aborts at its exit now and then.

    Raises:
        LakehouseError: If the table uses a feature of Delta that Arrow cannot read.
    """
    from deltalake.exceptions import DeltaProtocolError

    try:
        return table.to_pyarrow_dataset(filesystem=storage.open_folder(uri).arrow_filesystem())
    except DeltaProtocolError as error:
        raise LakehouseError(
            f"{uri} cannot be read without Spark: {str(error).rstrip('.')}. Read it as a "
            "pyspark.sql.DataFrame, or materialise it again, which writes it without.",
            Code.OTHER_RELEASE,
        ) from None


def state_of(table: DeltaTable, commit: Commit) -> TableState:
    """What an open table's log says, and what was kept with its last commit."""
    files = table.get_add_actions(flatten=True)
    return TableState(
        version=table.version(),
        rows=table.count(),
        files=files.num_rows,
        size_bytes=sum(files["size_bytes"].to_pylist()),
        commit=commit,
        columns=_columns(table),
    )


def load(uri: str, folder: Folder, *, again: bool = True) -> DeltaTable | None:
    """The table at an URI as delta-rs finds it, or None where it finds none.

    Raises:
        LakehouseError: If its log cannot be read, or is damaged.
    """
    from deltalake import DeltaTable
    from deltalake.exceptions import DeltaError, TableNotFoundError

    try:
        return DeltaTable(uri, storage_options=folder.delta_options())
    except TableNotFoundError:
        return None
    except (DeltaError, OSError, ValueError) as error:
        if meant := fault(uri, error):
            raise meant from None
    if not again:
        raise table_fault(uri, Code.LOG_DAMAGED)
    # delta-rs takes an answer that is cut for a damaged file; the folder knows which it is.
    log = storage.open_folder(f"{uri}/_delta_log")
    with storage_faults(uri):
        for file in log.files():
            with log.open(file) as stored:
                while stored.read(CHUNK_BYTES):
                    pass
    return load(uri, folder, again=False)


def _columns(table: DeltaTable) -> dict[str, str]:
    """The columns' Spark SQL types; Delta names two of them otherwise."""
    names = {"long": "bigint", "integer": "int"}
    found = {field.name: json.loads(field.type.to_json()) for field in table.schema().fields}
    return {name: names.get(str(type), str(type)) for name, type in found.items()}


def last_kept(table: DeltaTable) -> tuple[str, bool]:
    """What the last writer kept with its commit, and whether another has changed rows since.

    Maintenance, which commits too, may keep nothing.
    """
    foreign = False
    for limit in (1, None):
        for entry in table.history(limit):
            kept = str(entry.get(COMMIT_METADATA, ""))
            if Commit.is_one(kept):
                return kept, foreign
            foreign |= entry.get("operation") not in CHANGES_NO_ROW
    return "", foreign


def _versions(log: Sequence[StoredFile], kind: str) -> dict[int, int]:
    """The versions with a log file of a kind, and the files' sizes."""
    matching = (file for file in log if re.match(rf"\d{{20}}\.{kind}", file.name))
    return {int(file.name[:20]): file.size for file in matching}


def _lacks_a_commit(log: Sequence[StoredFile]) -> bool:
    """Whether a commit between the last checkpoint and the newest commit is gone."""
    commits = _versions(log, COMMIT)
    last_checkpoint = max(_versions(log, r"checkpoint\."), default=-1)
    return not commits.keys() >= {*range(last_checkpoint + 1, max(commits, default=-1) + 1)}
