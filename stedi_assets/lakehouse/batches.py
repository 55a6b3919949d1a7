"""Which files of a source are read in which batch."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from stedi_assets.lakehouse.taken import Batch, Taken
from stedi_assets.landing.files import LandingFiles
from stedi_assets.landing.folder import GROUPS
from stedi_assets.storage.folder import StoredFile

# How many batches the files of a first load are read in: many are slow to read apart, and a batch
# is read anew once one of its files is gone.
BATCHES = 16
BATCH_BYTES = 4 << 20  # as many as make a data file of some size


def stale(folder: LandingFiles, taken: Taken) -> tuple[list[Batch], list[StoredFile]]:
    """The batches that are no longer as they were read, and the files that are in no other.

    A version of a file that was replaced must be told from all others, so its batch has no
    other file.
    """
    counting = {folder.landed(file).id: file for file in folder.counting}
    alone, superseded = folder.versions, folder.ids(folder.superseded)
    whole, broken = set[str](), []
    for batch in taken.batches:
        # What a version says may count less once it is superseded, or more once it is not.
        as_read = batch.superseded == superseded & batch.files.keys() and all(
            id in counting and folder.landed(counting[id]).version == version
            for id, version in batch.files.items()
        )
        if as_read and (len(batch.files) == 1 or not alone.keys() & batch.files.keys()):
            whole.update(batch.files)
        else:
            broken.append(batch)
    return broken, [file for id, file in counting.items() if id not in whole]


def grouped(
    folder: LandingFiles, unread: Sequence[StoredFile], first: int
) -> dict[int, list[StoredFile]]:
    """Files in batches by number; as many of them as one query can tell apart."""
    alone = folder.versions
    apart = [[file] for file in unread if folder.landed(file).id in alone]
    together = [file for file in unread if folder.landed(file).id not in alone]
    # Names tell times, mostly, so that those beside each other are of few.
    batches = min(BATCHES, sum(file.size for file in together) // BATCH_BYTES + 1)
    size = -(-len(together) // batches) or 1
    groups = [together[n : n + size] for n in range(0, len(together), size)]
    return dict(zip(itertools.count(first), [*groups, *apart][:GROUPS], strict=False))
