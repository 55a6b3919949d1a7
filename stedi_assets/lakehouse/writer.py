"""Writes Delta tables: each time in one atomic commit, which says what is to be known of it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Literal

from stedi_assets import storage
from stedi_assets.errors import Code
from stedi_assets.lakehouse.commit import Commit
from stedi_assets.lakehouse.delta import (
    COMMIT_METADATA,
    TableState,
    actions,
    load,
    open_table,
    state_of,
)
from stedi_assets.storage.faults import storage_faults, table_fault
from stedi_assets.tables import Table

if TYPE_CHECKING:
    from pyarrow import RecordBatch
    from pyspark.sql import DataFrame

    # A frame, or what makes Arrow batches, which takes no engine; None for no rows.
    Rows = DataFrame | Callable[[], Iterator[RecordBatch]] | None


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
    latest = load(uri, storage.open_folder(uri))
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
        keep(uri, commit.without_provenance())
        raise table_fault(uri, Code.WRITE_CONFLICT)
    return state


def _written(uri: str, commit: Commit, first: int) -> tuple[TableState, int]:
    """The state that a commit made, in a version from one on, and how many files it added."""
    with storage_faults(uri):
        ours, added = _commit_of(commit.text, uri, first)
    written = load(uri, storage.open_folder(uri))
    if written is None or written.version() < ours:
        raise table_fault(uri, Code.CUT_ANSWER)
    if written.version() > ours:
        written.load_as_version(ours)
    return state_of(written, commit), added


def _commit_of(kept: str, uri: str, first: int) -> tuple[int, int]:
    """The version with what we kept, from one on, and how many files it added.

    delta-rs misnumbers a log that grows.
    """
    log = storage.open_folder(f"{uri}/_delta_log")
    for version in itertools.count(first):
        found = actions(log, version)
        if any(each.get("commitInfo", {}).get(COMMIT_METADATA) == kept for each in found):
            return version, sum("add" in each for each in found)
    raise AssertionError(f"no commit of {uri} is ours")


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
