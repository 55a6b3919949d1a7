"""What reading a landing folder has found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class LandingProfile:
    """What was found in the current files of a landing folder.

    Attributes:
        fingerprint: Changes with the contents of the files that count.
        objects: Records and malformed records together.
        malformed: The malformed records.
        records: The others.
        conforming: Whether every line is one record exactly as declared.
        implausible: The records with a value out of its column's bounds.
        implausible_values: Column to the records whose value in it is out of bounds.
    """

    fingerprint: str
    objects: int
    malformed: int
    records: int
    conforming: bool
    implausible: int
    implausible_values: Mapping[str, int]
