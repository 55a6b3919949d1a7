"""The list of the files whose records were read, complete in itself: `<source>/records/_files`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, ValidationError

from stedi_assets import storage
from stedi_assets.lakehouse.changes import Changes, Range
from stedi_assets.storage.faults import storage_faults
from stedi_assets.storage.folder import Folder

LISTS = "_files"


class Found(BaseModel, frozen=True):
    """What is in the records of a batch.

    Attributes:
        records: How many there are.
        times: The least and the greatest time in them (epoch milliseconds, UTC); None where there
            is none, or the table has no time column.
        implausible: How many have a value out of its column's bounds.
        implausible_values: Column to how many values in it are out of bounds.
    """

    records: int
    times: Range | None
    implausible: int
    implausible_values: Mapping[str, int]


class Batch(BaseModel, frozen=True):
    """Files that were read together.

    Attributes:
        number: Its number, by which their records are known.
        files: The ledger's id of each file, and the version that was read.
        objects: How many records and malformed records they hold.
        malformed: How many of those are malformed.
        conforming: Whether every line is one record exactly as declared.
        not_utf8: Ids of the files that hold bytes which are not UTF-8.
        unreadable: Ids of the superseded files that are damaged as a whole, and so not read.
        superseded: Ids of the files that were superseded when they were read.
        found: What is in its records; None until they have been looked at.
    """

    number: int
    files: Mapping[str, str]
    objects: int
    malformed: int
    conforming: bool
    not_utf8: frozenset[str] = frozenset()
    unreadable: frozenset[str] = frozenset()
    superseded: frozenset[str] = frozenset()
    found: Found | None = None


class Taken(BaseModel, frozen=True):
    """What has been read of a landing folder.

    Attributes:
        format: The version of this model.
        id: That of the state of the records that came of it.
        reader: The version of the code that read it.
        batches: All files that were read.
        quarantined: Ids of the files whose malformed records are in quarantine, and the number of
            the batch that each was read with; None where that is not known.
        changes: The last changes of the records.
    """

    format: Literal[1] = 1
    id: str
    reader: str
    batches: tuple[Batch, ...] = ()
    quarantined: Mapping[str, int] | None = None
    changes: Changes = ()


def load(uri: str, id: str) -> Taken | None:
    """The list of the records at an URI whose state has an id; None if there is none to be read."""
    lists = _lists(uri)
    with storage_faults(uri):
        file = lists.file(f"{id}.json")
        if file is None:
            return None
        with lists.open(file) as stored:
            content = stored.read()
    try:
        return Taken.model_validate_json(content)
    except ValidationError:
        return None  # what is not known is read anew


def save(uri: str, taken: Taken) -> None:
    """Stores a list beside the records at an URI."""
    lists, name = _lists(uri), f"{taken.id}.json"
    with storage_faults(uri):
        lists.create()
        lists.write(name, taken.model_dump_json(), replaces=lists.file(name))


def remove_others(uri: str, taken: Taken) -> None:
    """Removes the lists of earlier states."""
    lists = _lists(uri)
    with storage_faults(uri):
        names = [file.name for file in lists.files()]
        lists.remove([name for name in names if name != f"{taken.id}.json"])


def _lists(uri: str) -> Folder:
    return storage.open_folder(f"{uri}/{LISTS}")
