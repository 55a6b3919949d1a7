"""What reading a landing folder found, as it is kept with the quarantine table that came of it."""

from __future__ import annotations

from pydantic import BaseModel


class LandingProfile(BaseModel, frozen=True, extra="forbid"):
    """What was found in a landing folder. One with other fields is another release's.

    Attributes:
        fingerprint: Changes with the contents of the files that count.
        reader: The version of the code that read them.
        objects: Records and malformed records of the current files together.
        malformed: The malformed records.
        conforming: Whether every line of the current files is one record exactly as declared.
        superseded_conforming: The same of the superseded files, where their records count.
        not_utf8: Ids of the files that hold bytes which are not UTF-8.
        unreadable: Ids of the superseded files that are damaged as a whole, and so not read.
        implausible: The records of the current files with a value out of its column's bounds.
        implausible_values: Column to the records whose value in it is out of bounds.
    """

    fingerprint: str
    reader: str
    objects: int
    malformed: int
    conforming: bool
    superseded_conforming: bool
    not_utf8: list[str]
    unreadable: list[str]
    implausible: int
    implausible_values: dict[str, int]

    @property
    def records(self) -> int:
        """Objects of the current files that could be read."""
        return self.objects - self.malformed
