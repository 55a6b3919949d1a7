"""What later runs may take a table's current version for, and how that is withdrawn."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stedi_assets.lakehouse import delta, writer
from stedi_assets.lakehouse.commit import Commit
from stedi_assets.storage.faults import storage_faults

if TYPE_CHECKING:
    from deltalake import CommitProperties, DeltaTable


def require_rebuild(uri: str) -> None:
    """Has the next run make a table anew: in an empty commit, it keeps only what runs judge by.

    The rows stay as they are. Where there is no table nothing is done.

    Raises:
        LakehouseError: If its log is damaged or its storage fails.
    """
    if state := delta.state(uri):
        writer.keep(uri, state.commit.without_provenance())


def kept_by_maintenance(table: DeltaTable) -> str:
    """What the last writer kept, to be kept again, since Delta deletes old commits after a month.

    Empty after a commit that is neither this project's nor maintenance: it must not be hidden.
    """
    kept, foreign = delta.last_kept(table)
    return "" if foreign else kept


def kept_alone(table: DeltaTable) -> str:
    """What to keep with the one commit that is left of a table's log.

    After a commit that is neither this project's nor maintenance, what runs judge by, and that
    there was one.
    """
    kept, foreign = delta.last_kept(table)
    if not foreign:
        return kept
    return Commit.read(kept).without_provenance().model_copy(update={"foreign": True}).text


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
