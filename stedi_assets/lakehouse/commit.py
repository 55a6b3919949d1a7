"""What a writer keeps with a Delta commit, so that later runs know how the table was made.

It is read tolerantly: a field that is missing or odd, and everything of a format that this release
does not know, is not known. The release before numbered no formats.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, ValidationError

from stedi_assets.lakehouse.changes import Change, Changes, Ranges, after
from stedi_assets.policy import NO_OPTION, Options
from stedi_assets.split import Split

FORMAT: Literal[1] = 1


class Landed(BaseModel, frozen=True):
    """What was in a landing table when a derived table was made.

    Attributes:
        records: Its well-formed records.
        superseded: A digest of which of its files are superseded.
    """

    records: int
    superseded: str


class Commit(BaseModel, frozen=True):
    """What is kept with a commit. Fields that are not known have their defaults.

    Attributes:
        format: The version of this model.
        run: The Dagster run that wrote it.
        as_of: The time by which consent was judged (epoch milliseconds, UTC).
        config: The options of the table's rule.
        split: How the table is split; None for one that is not.
        code: A digest of all code that decides the table's rows.
        key: A digest of the pseudonyms' key, where rows hold some.
        landing: Landing table to what was in it.
        weaker_until: The table's last version that was made under weaker options than its next;
            None if there is none, or unset if not known.
        accepted_rows: With how many rows the next version is compared.
        made_from: Table to the id of its state that this one was made from; of a table that does
            not stand here it is not known.
        valid: From when, included, until when, not included, the clock alone changes no row (epoch
            milliseconds, UTC); None where that is not known.
        changes: The last commits that changed rows, this one or an earlier one the last of them.
        foreign: Whether others than a run of this project had changed the table since, when their
            commits were deleted.
    """

    format: Literal[1] = FORMAT
    run: str | None = None
    as_of: int | None = None
    config: Options = NO_OPTION
    split: Split | None = None
    code: str = ""
    key: str | None = None
    landing: Mapping[str, Landed] = {}
    weaker_until: int | None = None
    accepted_rows: int | None = None
    made_from: Mapping[str, str] = {}
    valid: tuple[int, int] | None = None
    changes: Changes = ()
    foreign: bool = False

    @property
    def id(self) -> str | None:
        """The id of the state of the table; None where that is not known."""
        return self.changes[-1].id if self.changes else None

    def changed(self, id: str, version: int, ranges: Ranges | None = None) -> Commit:
        """The commit, as one that changes rows and becomes a version of the table.

        Args:
            id: The id of the state that it makes.
            version: The version.
            ranges: The times of all rows that change; None for any time.
        """
        change = Change(id=id, version=version, ranges=ranges)
        return self.model_copy(update={"changes": after(self.changes, change)})

    @property
    def knows_weaker(self) -> bool:
        """Whether `weaker_until` is known."""
        return "weaker_until" in self.model_fields_set

    def version_of(self, version: int) -> int:
        """The version that it says to become; another than given only where it changes rows."""
        return self.changes[-1].version if self.changes else version

    def as_version(self, version: int) -> Commit:
        """The commit, as one that becomes another version of the table."""
        if not self.changes:
            return self
        last = self.changes[-1].model_copy(update={"version": version})
        return self.model_copy(update={"changes": (*self.changes[:-1], last)})

    def without_provenance(self) -> Commit:
        """The commit without what a later run would need to make less than the whole table."""
        return self.model_copy(update={"made_from": {}, "valid": None, "changes": ()})

    @property
    def text(self) -> str:
        """The commit as Delta keeps it."""
        return json.dumps({"format": FORMAT, **self.model_dump(exclude_unset=True)})

    @staticmethod
    def is_one(text: str) -> bool:
        """Whether a text is one that this project keeps, of this or another release."""
        try:
            found = json.loads(text)
        except ValueError:
            return False
        return isinstance(found, dict) and not found.keys().isdisjoint(("format", "run"))

    @classmethod
    def read(cls, text: str) -> Commit:
        """The commit that a text keeps, as far as this release knows it; never raises."""
        try:
            found = json.loads(text)
            return cls.model_validate(found)
        except ValidationError as error:
            odd = {each["loc"][:1] for each in error.errors()}
        except ValueError:
            return UNKNOWN
        if ("format",) in odd or () in odd:
            return UNKNOWN
        return cls.model_validate({name: found[name] for name in found if (name,) not in odd})


UNKNOWN = Commit()
