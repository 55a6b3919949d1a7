"""What later runs may take a table's current version for, and how that is withdrawn."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from stedi_assets.lakehouse import delta
from stedi_assets.lakehouse.commit import Commit
from stedi_assets.storage.faults import storage_faults

if TYPE_CHECKING:
    from deltalake import CommitProperties, DeltaTable

# Of a commit that is not trusted: by what the rows were made and are judged, not what they hold.
JUDGED_BY = {"run", "as_of", "config", "code", "landing", "weaker_until", "accepted_rows"}
# The operations in a Delta log that change no row.
OF_MAINTENANCE = {"OPTIMIZE", "VACUUM START", "VACUUM END"}


def forget(uri: str) -> None:
    """Has the next run make a table anew: in an empty commit, it keeps only what runs judge by.

    The rows stay as they are. Where there is no table nothing is done.

    Raises:
        LakehouseError: If its log is damaged or its storage fails.
    """
    if table := delta.open_table(uri):
        commit_without_rows(uri, table, _untrusted(delta.last_kept(table)))


def kept_by_maintenance(table: DeltaTable) -> str:
    """What the last writer kept, to be kept again, since Delta deletes old commits after a month.

    Empty after a commit that is neither this project's nor maintenance: it must not be hidden.
    """
    return "" if _is_foreign(table) else delta.last_kept(table)


def kept_alone(table: DeltaTable) -> str:
    """What to keep with the one commit that is left of a table's log.

    After a commit that is neither this project's nor maintenance, what runs judge by.
    """
    kept = delta.last_kept(table)
    return _untrusted(kept) if _is_foreign(table) else kept


def commit_without_rows(uri: str, table: DeltaTable, kept: str) -> None:
    """Adds a commit to a table that changes no row, and that cleans up nothing.

    Raises:
        LakehouseError: If its storage fails.
    """
    from deltalake import PostCommitHookProperties

    by_hand = PostCommitHookProperties(create_checkpoint=False, cleanup_expired_logs=False)
    with storage_faults(uri):
        table.create_write_transaction(
            [],
            "append",
            table.schema(),
            commit_properties=properties(kept),
            post_commithook_properties=by_hand,
        )


def properties(kept: str) -> CommitProperties:
    """A commit's properties by which it keeps a text, if there is one."""
    from deltalake import CommitProperties

    return CommitProperties(custom_metadata={delta.COMMIT_METADATA: kept} if kept else {})


def _untrusted(kept: str) -> str:
    commit = Commit.read(kept)
    return Commit.model_validate(commit.model_dump(exclude_unset=True, include=JUDGED_BY)).text


def _is_foreign(table: DeltaTable) -> bool:
    """Whether the last commit besides maintenance keeps nothing of this project."""
    for entry in itertools.chain(table.history(1), table.history()):
        if entry.get(delta.COMMIT_METADATA):
            return False
        if entry.get("operation") not in OF_MAINTENANCE:
            return True
    return True
