"""Delta tables by URI: what their log says, without Spark and without a scan."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from stedi_assets import storage
from stedi_assets.errors import Code, LakehouseError
from stedi_assets.lakehouse.commit import Commit
from stedi_assets.storage.faults import fault, storage_faults, table_fault
from stedi_assets.storage.folder import CHUNK_BYTES, Folder, StoredFile
from stedi_assets.tables import Table

if TYPE_CHECKING:
    from deltalake import DeltaTable
    from pyarrow import RecordBatch
    from pyarrow.dataset import Dataset
    from pyspark.sql import DataFrame

    # A frame, or what makes Arrow batches, which takes no engine; None for no rows.
    Rows = DataFrame | Callable[[], Iterator[RecordBatch]] | None

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
        foreign: Whether others than a run of this project have changed the table since.
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
    table = _load(uri, log)
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
    return replace(_state(table, commit), foreign=foreign or commit.foreign)


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


def overwrite(uri: str, table: Table, rows: Rows, commit: Commit, version: int) -> TableState:
    """Replaces the table at an URI by other rows, in one atomic commit.

    Args:
        uri: Where it is, or will be.
        table: The declaration of its columns.
        rows: Its new rows.
        commit: What to keep with the commit.
        version: Its version as last read, or -1 where there was none.

    Returns:
        The state that was written, even if another writer has replaced it by now.

    Raises:
        LakehouseError: If the table cannot be written; it stays at its last good version.
    """
    while True:
        with storage_faults(uri):
            # An engine would create it for everyone to read.
            storage.open_folder(uri).create()
            if rows is None or callable(rows):
                _write_batches(uri, table, rows or (lambda: iter(())), commit, "overwrite")
            else:
                options = {"overwriteSchema": "true", COMMIT_METADATA: commit.text}
                rows.write.format("delta").mode("overwrite").options(**options).save(uri)
        state, files_added = _written(uri, commit, version + 1)
        if state.files == files_added and state.version == commit.version_of(state.version):
            return state
        # The engine appends to a table of which it saw nothing: another writer made it meanwhile,
        # or the object store's listing was cut. Replace both.
        version = state.version
        commit = commit.as_version(version + 1)


def update(
    uri: str, table: Table, rows: Rows, commit: Commit, version: int, where: str | None
) -> TableState:
    """Adds rows to the table at an URI, in place of some or of none, in one atomic commit.

    Args:
        uri: Where it is.
        table: The declaration of its columns.
        rows: The new rows; if they replace others, a frame of rows that meet the condition too.
        commit: What to keep with the commit.
        version: Its version as last read.
        where: Which rows they replace, as Spark SQL; None for none.

    Returns:
        The state that was written, even if another writer has replaced it by now.

    Raises:
        LakehouseError: If the table cannot be written; it stays at its last good version. If
            another writer came between (`WRITE_CONFLICT`) the next run makes the table anew.
    """
    with storage_faults(uri):
        if rows is None or callable(rows):
            assert where is None
            _write_batches(uri, table, rows or (lambda: iter(())), commit, "append")
        else:
            options = {COMMIT_METADATA: commit.text}
            if where is not None:
                options["replaceWhere"] = where
            mode = "append" if where is None else "overwrite"
            rows.write.format("delta").mode(mode).options(**options).save(uri)
    latest = _load(uri, storage.open_folder(uri))
    if latest is not None and latest.version() == version:
        # No row came or went, of which the engine makes no commit.
        return note(uri, commit, version)
    return _next(uri, commit, version)


def note(uri: str, commit: Commit, version: int) -> TableState:
    """Keeps other facts with the table at an URI, whose rows stay as they are.

    Args:
        uri: Where it is.
        commit: The facts.
        version: Its version as last read.

    Raises:
        LakehouseError: If its log is damaged or cannot be written. If another writer came between
            (`WRITE_CONFLICT`) the next run makes the table anew.
    """
    keep(uri, commit)
    return _next(uri, commit, version)


def keep(uri: str, commit: Commit) -> None:
    """Keeps facts with the table at an URI, as they hold of it whoever wrote it last.

    Raises:
        LakehouseError: If its log is damaged or cannot be written.
    """
    from deltalake import CommitProperties

    table = open_table(uri)
    assert table is not None
    with storage_faults(uri):
        table.create_write_transaction(
            [],
            "append",
            table.schema(),
            commit_properties=CommitProperties(custom_metadata={COMMIT_METADATA: commit.text}),
        )


def _next(uri: str, commit: Commit, version: int) -> TableState:
    """The state that a commit made; if that is not the one after a version no one relies on it."""
    state, _ = _written(uri, commit, version + 1)
    if state.version != version + 1:
        keep(uri, commit.forgetting())
        raise table_fault(uri, Code.WRITE_CONFLICT)
    return state


def _written(uri: str, commit: Commit, first: int) -> tuple[TableState, int]:
    """The state that a commit made, in a version from one on, and how many files it added."""
    with storage_faults(uri):
        ours, added = _commit_of(commit.text, uri, first)
    written = _load(uri, storage.open_folder(uri))
    if written is None or written.version() < ours:
        raise table_fault(uri, Code.CUT_ANSWER)
    if written.version() > ours:
        written.load_as_version(ours)
    return _state(written, commit), added


def _commit_of(kept: str, uri: str, first: int) -> tuple[int, int]:
    """The version with what we kept, from one on, and how many files it added.

    delta-rs misnumbers a log that grows.
    """
    log = storage.open_folder(f"{uri}/_delta_log")
    for version in itertools.count(first):
        name = f"{version:020}.json"
        with log.open(StoredFile(name, f"{log.uri}/{name}", 0)) as lines:
            actions = [json.loads(line) for line in lines]
        if any(each.get("commitInfo", {}).get(COMMIT_METADATA) == kept for each in actions):
            return version, sum("add" in each for each in actions)
    raise AssertionError(f"no commit of {uri} is ours")


def _state(table: DeltaTable, commit: Commit) -> TableState:
    files = table.get_add_actions(flatten=True)
    return TableState(
        version=table.version(),
        rows=table.count(),
        files=files.num_rows,
        size_bytes=sum(files["size_bytes"].to_pylist()),
        commit=commit,
        columns=_columns(table),
    )


def _load(uri: str, folder: Folder, *, again: bool = True) -> DeltaTable | None:
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
    return _load(uri, folder, again=False)


def _write_batches(
    uri: str,
    table: Table,
    batches: Callable[[], Iterator[RecordBatch]],
    commit: Commit,
    mode: Literal["overwrite", "append"],
) -> None:
    import pyarrow as pa
    from deltalake import CommitProperties, write_deltalake

    faults = list[BaseException]()

    def read() -> Iterator[RecordBatch]:
        try:
            yield from batches()
        except BaseException as error:
            faults.append(error)
            raise

    try:
        write_deltalake(
            uri,
            pa.RecordBatchReader.from_batches(table.arrow_schema, read()),
            mode=mode,
            schema_mode="overwrite" if mode == "overwrite" else None,
            storage_options=storage.open_folder(uri).delta_options(),
            commit_properties=CommitProperties(custom_metadata={COMMIT_METADATA: commit.text}),
        )
    except BaseException:
        if faults:  # which delta-rs would report as a fault of its own
            raise faults[0] from None
        raise


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
