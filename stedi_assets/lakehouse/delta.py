"""Delta tables by URI: what their log says, without Spark and without a scan."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stedi_assets import storage
from stedi_assets.errors import LakehouseError
from stedi_assets.storage.faults import INCOMPLETE, fault, storage_faults
from stedi_assets.storage.folder import Folder, StoredFile
from stedi_assets.tables import Table

if TYPE_CHECKING:
    from deltalake import DeltaTable
    from pyarrow import RecordBatch
    from pyarrow.dataset import Dataset
    from pyspark.sql import DataFrame

    # A frame, or what makes Arrow batches, which takes no engine; None for no rows.
    Rows = DataFrame | Callable[[], Iterator[RecordBatch]] | None

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
        columns: Its columns' names and Spark SQL types, in order.
    """

    version: int
    rows: int
    files: int
    size_bytes: int
    commit: dict[str, Any]
    columns: dict[str, str]


def open_table(uri: str) -> DeltaTable | None:
    """The table at an URI, or None where there is none.

    delta-rs takes an answer of the object store that is cut for an empty log, or a shorter one,
    so what it finds is compared with a listing that is known to be whole.

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
        raise _damaged(uri)
    if (-1 if table is None else table.version()) < _newest_commit(listed):
        raise fault(uri, OSError(INCOMPLETE)) or _damaged(uri)
    return table


def state(uri: str) -> TableState | None:
    """The state of the table at an URI, or None where there is none.

    Raises:
        LakehouseError: If its log is damaged, or cannot be read.
    """
    table = open_table(uri)
    return _state(table, last_said(table)) if table else None


def dataset(uri: str, table: DeltaTable) -> Dataset:
    """The rows of an open table, not read yet.

    They are read through Arrow's own file system: with the one of delta-rs, which is the default,
    the interpreter aborts at its exit now and then.

    Args:
        uri: Where the table is.
        table: The table at one of its versions.

    Raises:
        LakehouseError: If the table uses a feature of Delta that Arrow cannot read.
    """
    from deltalake.exceptions import DeltaProtocolError

    try:
        return table.to_pyarrow_dataset(filesystem=storage.open_folder(uri).arrow_filesystem())
    except DeltaProtocolError as error:
        raise LakehouseError(
            f"{uri} cannot be read without Spark: {error}. Read it as a pyspark.sql.DataFrame, or "
            "materialise it again, which writes it without."
        ) from None


def overwrite(
    uri: str, table: Table, rows: Rows, commit: dict[str, Any], version: int
) -> TableState:
    """Replaces a table by other rows, in one atomic commit.

    Args:
        uri: Where the table is, or will be.
        table: The declaration of its columns.
        rows: Its new rows.
        commit: What to keep with the commit.
        version: The table's version as last seen, or -1 where there was none.

    Returns:
        The state that was written, even if another writer has replaced it by now.

    Raises:
        LakehouseError: If the table cannot be written; it stays at its last good version.
    """
    said = json.dumps(commit)
    while True:
        with storage_faults(uri):
            # An engine would create it for everyone to read.
            storage.open_folder(uri).create()
            if rows is None or callable(rows):
                _overwrite_by_batches(uri, table, rows or _nothing, said)
            else:
                options = {"overwriteSchema": "true", COMMIT_METADATA: said}
                rows.write.format("delta").mode("overwrite").options(**options).save(uri)
        with storage_faults(uri):
            ours, added = _commit_of(said, uri, version + 1)
        written = _load(uri, storage.open_folder(uri))
        if written is None or written.version() < ours:
            raise fault(uri, OSError(INCOMPLETE)) or _damaged(uri)
        if written.version() > ours:
            written.load_as_version(ours)
        state = _state(written, commit)
        if state.files == added:
            return state
        # The engine appends to a table of which it saw nothing: another writer made it meanwhile,
        # or the object store's listing was cut. Replace both.
        version = ours


def _commit_of(said: str, uri: str, first: int) -> tuple[int, int]:
    """The version that a commit became, by its own words, and how many files it added.

    delta-rs misnumbers a log that grows.
    """
    log = storage.open_folder(f"{uri}/_delta_log")
    for version in itertools.count(first):
        name = f"{version:020}.json"
        with log.open(StoredFile(name, f"{log.uri}/{name}", 0)) as lines:
            actions = [json.loads(line) for line in lines]
        if any(each.get("commitInfo", {}).get(COMMIT_METADATA) == said for each in actions):
            return version, sum("add" in each for each in actions)
    raise AssertionError(f"no commit of {uri} is ours")


def _state(table: DeltaTable, commit: dict[str, Any]) -> TableState:
    files = table.get_add_actions(flatten=True)
    return TableState(
        version=table.version(),
        rows=table.count(),
        files=files.num_rows,
        size_bytes=sum(files["size_bytes"].to_pylist()),
        commit=commit,
        columns=_columns(table),
    )


def _load(uri: str, folder: Folder) -> DeltaTable | None:
    from deltalake import DeltaTable
    from deltalake.exceptions import DeltaError, TableNotFoundError

    try:
        return DeltaTable(uri, storage_options=folder.delta_options())
    except TableNotFoundError:
        return None
    except (DeltaError, OSError, ValueError) as error:
        raise fault(uri, error) or _damaged(uri) from None


def _damaged(uri: str) -> LakehouseError:
    return LakehouseError(
        f"The Delta log of {uri} is damaged: {uri}/_delta_log lacks a file or holds one that "
        "cannot be read. Restore it from a backup, or move the table's folder away and "
        "materialise the asset again."
    )


def _nothing() -> Iterator[RecordBatch]:
    return iter(())


def _overwrite_by_batches(
    uri: str, table: Table, batches: Callable[[], Iterator[RecordBatch]], said: str
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
            mode="overwrite",
            schema_mode="overwrite",
            storage_options=storage.open_folder(uri).delta_options(),
            commit_properties=CommitProperties(custom_metadata={COMMIT_METADATA: said}),
        )
    except BaseException:
        if faults:  # which delta-rs would tell as a fault of its own
            raise faults[0] from None
        raise


def _columns(table: DeltaTable) -> dict[str, str]:
    """The columns in the words of Spark SQL, where Delta's own differ."""
    names = {"long": "bigint", "integer": "int"}
    found = {field.name: json.loads(field.type.to_json()) for field in table.schema().fields}
    return {name: names.get(str(type), str(type)) for name, type in found.items()}


def last_said(table: DeltaTable) -> dict[str, Any]:
    """What the last writer said; maintenance, which commits too, says nothing."""
    for limit in (1, None):
        for entry in table.history(limit):
            if said := entry.get(COMMIT_METADATA):
                return dict(json.loads(said))
    return {}


def _newest_commit(log: Sequence[StoredFile]) -> int:
    """The version of the newest commit, or -1; one without content was not made."""
    commits = [file.name for file in log if re.fullmatch(r"\d{20}\.json", file.name) and file.size]
    return max((int(name[:20]) for name in commits), default=-1)


def _lacks_a_commit(log: Sequence[StoredFile]) -> bool:
    """Whether a commit between the last checkpoint and the newest commit is gone."""
    names = [file.name for file in log]
    commits = {int(name[:20]) for name in names if re.fullmatch(r"\d{20}\.json", name)}
    checkpoints = [int(name[:20]) for name in names if re.match(r"\d{20}\.checkpoint\.", name)]
    needed = range(max(checkpoints, default=-1) + 1, max(commits, default=-1) + 1)
    return not commits.issuperset(needed)
