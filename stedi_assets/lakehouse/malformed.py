"""Keeps quarantine as landing is: the malformed records of the files that are current."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from stedi_assets.lakehouse import delta, writer
from stedi_assets.lakehouse.commit import Commit
from stedi_assets.lakehouse.taken import Taken
from stedi_assets.landing.folder import LandingFolder
from stedi_assets.tables import quarantine_of

if TYPE_CHECKING:
    import pyarrow as pa


def kept(uri: str, folder: LandingFolder, taken: Taken, run: str | None) -> Taken:
    """Has quarantine hold the malformed records of the current files.

    Only files whose records are not there are read for it, and only those gone are taken out.

    Args:
        uri: Where quarantine is.
        folder: The files.
        taken: What was read of them.
        run: The Dagster run that does.

    Returns:
        What was read, with the files whose malformed records are in quarantine.

    Raises:
        LakehouseError: If a file cannot be read, or quarantine cannot be written.
    """
    import pyarrow.dataset as ds

    table = quarantine_of(folder.table)
    current = {folder.landed(file).id: file for file in folder.current}
    malformed = {
        batch.number: batch.malformed
        for batch in taken.batches
        if batch.malformed and current.keys() >= batch.files.keys()
    }
    wanted = {
        id: batch.number
        for batch in taken.batches
        if batch.number in malformed
        for id in batch.files
    }
    there = taken.quarantined
    state = delta.state(uri)
    if state and (state.foreign or set(state.columns) != set(table.column_names)):
        there = None
    elif state and there == wanted and state.rows == sum(malformed.values()):
        return taken
    not_utf8 = {id for batch in taken.batches for id in batch.not_utf8}

    def located(ids: Iterable[str]) -> Iterator[pa.RecordBatch]:
        files = [current[id] for id in sorted(ids)]
        return folder.malformed(files, not_utf8) if files else iter(())

    commit = Commit(run=run)
    version = state.version if state else -1
    if state is None or there is None or there == wanted:
        writer.overwrite(uri, table, functools.partial(located, wanted), commit, version)
    else:
        added = dict(wanted.items() - there.items())
        changed = added.keys() | dict(there.items() - wanted.items()).keys()
        opened = delta.open_table(uri)
        assert opened is not None
        stored = delta.dataset(uri, opened)
        theirs = ds.field("file").isin(sorted(changed))
        if stored.count_rows(filter=theirs):

            def replaced() -> Iterator[pa.RecordBatch]:
                yield from stored.to_batches(filter=~theirs)
                yield from located(added)

            writer.overwrite(uri, table, replaced, commit, version)
        elif added:
            writer.update(uri, table, functools.partial(located, added), commit, version, None)
    return taken.model_copy(update={"quarantined": wanted})
