"""Prints the pseudonym of each e-mail address that it reads, one a line: `make pseudonyms`."""

import re
import sys

from stedi_assets.errors import fault_ends_process
from stedi_assets.pseudonyms import Pseudonyms
from stedi_assets.settings import Settings
from stedi_assets.tables.consent import person_of

ADDRESS = re.compile(r"[^\s@]+@[^\s@]+")


def main() -> int:
    """Reads addresses from standard input, so that none stays in a shell's history.

    It prints pseudonyms of all of them, or none.

    Returns:
        0, or 1 if STEDI_PSEUDONYM_KEY is missing or unfit, or a line is no e-mail address.
    """
    made = []
    with fault_ends_process():
        pseudonyms = Pseudonyms(Settings.from_environment().pseudonym_key)
        try:
            for number, line in enumerate(sys.stdin, 1):
                if not (person := person_of(line)):
                    continue
                if not ADDRESS.fullmatch(person):
                    sys.exit(f"Line {number:,} is no e-mail address. Write one address a line.")
                made.append(pseudonyms.of_text(person))
        except UnicodeError:
            sys.exit("The addresses are not UTF-8 text. Save them as UTF-8.")
    print("".join(f"{each}\n" for each in made), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
