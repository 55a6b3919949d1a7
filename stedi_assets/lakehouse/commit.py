"""What a writer keeps with a Delta commit, so that later runs know how the table was made.

It is read tolerantly: a field that is missing or odd, and everything of a format that this release
does not know, is not known. The release before numbered no formats.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ValidationError

from stedi_assets.landing.profile import LandingProfile
from stedi_assets.policy import NO_OPTION, Options

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
        code: A digest of all code that decides the table's rows.
        landing: Landing table to what was in it.
        weaker_until: The table's last version that was made under weaker options than its next;
            None if there is none, or unset if not known.
        accepted_rows: With how many rows the next version is compared.
        profile: Of quarantine: what reading the landing folder found.
    """

    format: Literal[1] = FORMAT
    run: str | None = None
    as_of: int | None = None
    config: Options = NO_OPTION
    code: str = ""
    landing: Mapping[str, Landed] = {}
    weaker_until: int | None = None
    accepted_rows: int | None = None
    profile: LandingProfile | None = None

    @property
    def knows_weaker(self) -> bool:
        """Whether `weaker_until` is known."""
        return "weaker_until" in self.model_fields_set

    @property
    def text(self) -> str:
        """The commit as Delta keeps it."""
        return json.dumps({"format": FORMAT, **self.model_dump(exclude_unset=True)})

    @classmethod
    def read(cls, text: str) -> Commit:
        """The commit that a text keeps, as far as this release knows it; never raises."""
        try:
            found = _unnumbered(json.loads(text))
            return cls.model_validate(found)
        except ValidationError as error:
            odd = {each["loc"][:1] for each in error.errors()}
        except ValueError:
            return UNKNOWN
        if ("format",) in odd or () in odd:
            return UNKNOWN
        return cls.model_validate({name: found[name] for name in found if (name,) not in odd})


UNKNOWN = Commit()


def _unnumbered(found: Any) -> Any:
    """What was read, of the release before in the words of format 1."""
    if not isinstance(found, dict) or "format" in found:
        return found
    landing = found.get("landing")
    if isinstance(landing, dict) and "fingerprint" in landing:  # of quarantine
        profile = {name.replace("tidy", "conforming"): value for name, value in landing.items()}
        return {"run": found.get("run"), "profile": profile}
    return found
