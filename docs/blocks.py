"""The fenced blocks of the documents.

A block of shell commands is labelled `bash`. What neither a test nor CI can run says why, after
`not-run:` on the line that opens it; docs/COMMANDS.md lists those.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
PAGES = ("*.md", "docs/*.md", "data/*.md", "sql/*.md", "deploy/*/*.md", "benchmarks/*.md")
FENCE = re.compile(r"^ *```(?P<label>.*)\n(?P<text>(?:.*\n)*?) *```$", re.MULTILINE)
NOT_RUN = "not-run:"


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Attributes:
        page: The path of its page in the project.
        line: The number of the line that opens it, from 1.
        language: What it is labelled as; empty if nothing.
        why_not: Why nothing runs it as it stands; empty if something does.
        text: What is in it.
    """

    page: str
    line: int
    language: str
    why_not: str
    text: str


def pages() -> list[Path]:
    """The documents, in order."""
    return [path for pattern in PAGES for path in sorted(PROJECT.glob(pattern))]


def blocks() -> Iterator[Block]:
    """The blocks of all documents."""
    for path in pages():
        text = path.read_text(encoding="utf-8")
        for found in FENCE.finditer(text):
            language, _, why_not = found["label"].partition(f" {NOT_RUN} ")
            yield Block(
                str(path.relative_to(PROJECT)),
                text.count("\n", 0, found.start()) + 1,
                language,
                why_not,
                found["text"],
            )
