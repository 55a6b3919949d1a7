"""The pseudonyms of e-mail addresses, by which `erase_from_landing` names people."""

from __future__ import annotations

import re
from collections.abc import Iterable

from stedi_assets.errors import LakehouseError
from stedi_assets.pseudonyms import Pseudonyms
from stedi_assets.tables.consent import person_of

ADDRESS = re.compile(r"[^\s@]+@[^\s@]+")


def pseudonyms_of(lines: Iterable[str], pseudonyms: Pseudonyms) -> list[str]:
    """The pseudonym of the address in each line; blank lines have none.

    Raises:
        LakehouseError: If STEDI_PSEUDONYM_KEY is missing or too short, or a line is no e-mail
            address; the message has the line's number, not its text.
    """
    made = []
    try:
        for number, line in enumerate(lines, 1):
            if not (person := person_of(line)):
                continue
            if not ADDRESS.fullmatch(person):
                raise LakehouseError(
                    f"Line {number:,} is no e-mail address. Write one address a line."
                )
            made.append(pseudonyms.of_text(person))
    except UnicodeError:
        raise LakehouseError("The addresses are not UTF-8 text. Save them as UTF-8.") from None
    return made
