"""What reading a landing folder found, as it is kept with the quarantine table that came of it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import Any


@dataclass(frozen=True)
class LandingProfile:
    """What was found in a landing folder, kept with the quarantine table that came of it.

    Attributes:
        fingerprint: Changes with the contents of the files that count.
        reader: The version of the code that read them.
        objects: Records and fragments of the current files together.
        malformed: The fragments.
        tidy: Whether every line of the current files is one record just as declared, by
            `reader.is_tidy`.
        superseded_tidy: The same of the superseded files, where their records count.
        not_utf8: Ids of the files that hold bytes which are not UTF-8.
        unreadable: Ids of the superseded files that are damaged as a whole, and so not read.
        implausible: The records of the current files with a value out of its column's bounds.
        implausible_values: Column to the records whose value in it is out of bounds.
    """

    fingerprint: str
    reader: str
    objects: int
    malformed: int
    tidy: bool
    superseded_tidy: bool = True
    not_utf8: list[str] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)
    implausible: int = 0
    implausible_values: dict[str, int] = field(default_factory=dict)

    @property
    def records(self) -> int:
        """Objects of the current files that could be read."""
        return self.objects - self.malformed

    def as_dict(self) -> dict[str, Any]:
        """The profile as plain values."""
        return asdict(self)

    @classmethod
    def of(cls, commit: dict[str, Any]) -> LandingProfile | None:
        """The profile that a commit keeps; None where it keeps none, or another release's."""
        known = commit.get("landing")
        names = [each.name for each in fields(cls)]
        return cls(**known) if known and sorted(known) == sorted(names) else None
