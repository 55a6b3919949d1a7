"""Writes the list of error codes, docs/ERRORS.md: `python -m docs.errors`."""

from __future__ import annotations

from pathlib import Path

from stedi_assets.errors import Code

PAGE = Path(__file__).with_name("ERRORS.md")
HEAD = """\
# Error codes

Written by `python -m docs.errors`.

A command that fails, a failed step and a message about a failed run say what is wrong in one
sentence, after its code in brackets: `[DISK_FULL] The lakehouse cannot be used at …`. A failed step
in the Dagster UI has the code in its metadata too. Every table stays at its last good version, but
one that `LOG_DAMAGED` or `DATA_FILE_DAMAGED` names. What is marked *retried* may pass by itself: a
step that makes a table is tried once more, one that only evaluates checks is not. Ctrl-C ends a
command with "Cancelled" and exit status 130, any of these with 1, an unknown option with 2.

| code | what is wrong | fix | |
| --- | --- | --- | --- |
"""


def page() -> str:
    """The page as the codes are now."""
    rows = (
        f"| `{code.name}` | {code.meaning} | {code.fix} | {'retried' if code.transient else ''} |\n"
        for code in Code
    )
    return HEAD + "".join(rows)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
