"""The record of an erasure: who, when and how much, without personal data."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from stedi_assets import storage
from stedi_assets.storage import address
from stedi_assets.storage.folder import Folder

RECORDS = "customer/erasures"


@dataclass
class Record:
    """The record of an erasure. Its fields are those of the stored JSON.

    Attributes:
        run: The run's id.
        began: When it began (epoch milliseconds, UTC).
        finished: When everything was erased and verified; None if the run failed before.
        people: Pseudonyms of the people who were found and erased, or were asked for.
        landing_lines: Lines of landing that were deleted or shortened, by table.
        files_renamed: Landing files whose names identified one of the people, by table.
        quarantined: Malformed records of quarantine that were emptied or shortened, by table.
        ambiguous: Segments of landing and quarantine that may be of the people or of others, by
            table, as in `people.Remainder`.
        tables: Data files and versions that were deleted, by table.
        published: Published versions of the training set that were erased.
        read: Rows of tables and lines of landing that were read as proof, by table.
        store_versions_kept: Tables whose versioned bucket keeps what was deleted.
    """

    run: str
    began: int
    finished: int | None = None
    people: list[str] = field(default_factory=list)
    landing_lines: dict[str, int] = field(default_factory=dict)
    files_renamed: dict[str, int] = field(default_factory=dict)
    quarantined: dict[str, int] = field(default_factory=dict)
    ambiguous: dict[str, int] = field(default_factory=dict)
    tables: dict[str, dict[str, int]] = field(default_factory=dict)
    published: list[int] = field(default_factory=list)
    read: dict[str, int] = field(default_factory=dict)
    store_versions_kept: list[str] = field(default_factory=list)

    @property
    def erased_anything(self) -> bool:
        """Whether there was anything to erase."""
        kinds = (self.landing_lines, self.files_renamed, self.quarantined)
        counts = [count for kind in kinds for count in kind.values()]
        return (
            any(counts)
            or bool(self.published)
            or any(any(each.values()) for each in self.tables.values())
        )

    @property
    def figures(self) -> dict[str, int | str]:
        """How many people were erased, from where, how much, and what was read to prove it."""
        changed = {
            name
            for each in (self.landing_lines, self.files_renamed, self.quarantined)
            for name, count in each.items()
            if count
        } | {name for name, deleted in self.tables.items() if any(deleted.values())}
        return {
            "people_erased": len(self.people),
            "erased_from": ", ".join(name for name in self.read if name in changed) or "no table",
            "landing_lines_erased": sum(self.landing_lines.values()),
            "file_names_erased": sum(self.files_renamed.values()),
            "quarantined_records_emptied": sum(self.quarantined.values()),
            "old_versions_deleted": self._deleted("versions"),
            "data_files_deleted": self._deleted("files"),
            "rows_read_as_proof": sum(self.read.values()),
            "tables_read_as_proof": len(self.read),
        }

    @property
    def tags(self) -> dict[str, str]:
        """Who, from where, how much and the proof, in the order in which Dagster sorts tags."""
        figures = self.figures
        return {
            "erased": (
                f"{_some(len(self.people), 'person', 'people')} from {figures['erased_from']}"
            ),
            "erased_versions": f"{self._deleted('versions'):,}",
            "proof": f"{_some(sum(self.read.values()), 'row')} read",
        }

    def _deleted(self, kind: str) -> int:
        return sum(each.get(kind, 0) for each in self.tables.values())

    def summary(self) -> str:
        """The number of people, how much was erased, and the proof."""
        files, versions = self._deleted("files"), self._deleted("versions")
        kept = ", ".join(self.store_versions_kept)
        return (
            f"Erased {_some(len(self.people), 'person', 'people')}: "
            f"{_some(sum(self.landing_lines.values()), 'line')} of landing and "
            f"{_some(sum(self.files_renamed.values()), 'file name')}, "
            f"{_some(sum(self.quarantined.values()), 'record')} of quarantine, "
            f"{_some(versions, 'old version')} of tables with {_some(files, 'data file')}, "
            f"{_some(len(self.published), 'published version')} of training_set. "
            f"Proof: {_some(sum(self.read.values()), 'row')} and lines, all that is left of "
            f"{_some(len(self.read), 'table')}, were read afterwards, and none is theirs. "
            f"Ambiguous: {_some(sum(self.ambiguous.values()), 'text')}. Text with their own phone "
            "or device beside another person's address is deleted; text with a name or birthday "
            "alone, or a phone or a device that others have too, stays."
            + (f" The bucket keeps old versions of {kept} until its lifecycle rule." * bool(kept))
        )

    def write(self, lakehouse: str) -> None:
        """Writes it, over an earlier record of the same run."""
        folder, name = _folder(lakehouse), f"{self.began}-{self.run}.json"
        folder.write(name, json.dumps(asdict(self)) + "\n", replaces=folder.file(name))


def records(lakehouse: str) -> Iterator[dict[str, Any]]:
    """The records of earlier erasures of a lakehouse, as parsed JSON."""
    folder = _folder(lakehouse)
    for file in folder.json_lines():
        with folder.open(file) as stored:
            yield json.load(stored)


def _folder(lakehouse: str) -> Folder:
    return storage.open_folder(f"{address.as_uri(lakehouse)}/{RECORDS}")


def _some(count: int, one: str, many: str = "") -> str:
    return f"{count:,} {one if count == 1 else many or f'{one}s'}"
