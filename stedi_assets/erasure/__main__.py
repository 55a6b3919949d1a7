"""Prints the pseudonym of each e-mail address that it reads, one a line: `make pseudonyms`."""

import sys

from stedi_assets.consent import person_of
from stedi_assets.errors import LakehouseError
from stedi_assets.resources.pseudonyms import Pseudonyms
from stedi_assets.settings import Settings


def main() -> int:
    """Reads addresses from standard input, so that none stays in a shell's history.

    Returns:
        0, or 1 if STEDI_PSEUDONYM_KEY is missing or unfit.
    """
    pseudonyms = Pseudonyms(Settings.from_environment().pseudonym_key)
    try:
        for line in sys.stdin:
            if person := person_of(line):
                print(pseudonyms.of_text(person), flush=True)
    except LakehouseError as error:
        sys.exit(str(error))
    return 0


if __name__ == "__main__":
    sys.exit(main())
