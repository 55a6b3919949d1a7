"""The JSON objects of a line, in time linear in its length and without recursion.

A line of landing may hold any text, so no object is parsed before it is known where it ends.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from stedi_assets.erasure.text import unescaped

TOKEN = re.compile(
    r'\s*+(?:(?P<string>"(?:[^"\\]++|\\.)*+")|(?P<mark>[{}\[\],:])|(?P<scalar>[^\s"{}\[\],:\\]++))',
    re.DOTALL,
)
NUMBER = re.compile(r"-?[0-9]+")
# Between records: white space, the byte-order mark, and what makes a list of them.
FRAMING = " \t\r\n,[]\ufeff\0"
OPENS = {"}": "{", "]": "["}


@dataclass(frozen=True)
class Segment:
    """A part of a line: a whole JSON object, or text outside of any."""

    text: str
    is_object: bool


def segments(line: str) -> Iterator[Segment]:
    """The outermost whole JSON objects of a line, and the text between them.

    An object that is cut short is text up to where the next object begins.
    """
    ends: dict[int, int | None] = {}
    start = 0
    while (opens := line.find("{", start)) >= 0:
        if line[start:opens].strip(FRAMING):
            yield Segment(line[start:opens], is_object=False)
        if opens not in ends:
            _find_objects(line, opens, ends)
        end = ends[opens]
        if end is None:
            following = line.find("{", opens + 1)
            start = following if following > 0 else len(line)
        else:
            start = end
        yield Segment(line[opens:start], is_object=end is not None)
    if line[start:].strip(FRAMING):
        yield Segment(line[start:], is_object=False)


def values(record: str) -> set[str]:
    """The values and field names of a JSON object at every depth; numbers as they are written."""
    return {_value(token) for token in TOKEN.finditer(record) if token["mark"] is None}


def fields(record: str) -> dict[str, str]:
    """The top-level fields of a JSON object whose values are strings or numbers.

    As in every JSON reader here, the last of several fields of one name counts.
    """
    found: dict[str, str] = {}
    depth, name = 0, None
    for token in TOKEN.finditer(record):
        mark = token["mark"]
        if mark in ("{", "["):
            depth += 1
            if depth == 2 and name is not None:
                found.pop(name, None)
        elif mark in ("}", "]"):
            depth -= 1
        elif depth == 1 and mark == ",":
            name = None
        elif depth == 1 and mark is None:
            if name is None:
                name = _value(token)
            elif token["string"] is not None or NUMBER.match(token["scalar"]):
                found[name] = _value(token)
            else:
                found.pop(name, None)
    return found


def emptied(record: str, is_theirs: Callable[[str], bool]) -> str:
    """A JSON object with `""` or null in place of its strings and scalars that are theirs."""

    def replace(token: re.Match[str]) -> str:
        for kind, nothing in (("string", '""'), ("scalar", "null")):
            if token[kind] is not None and is_theirs(token[kind]):
                return token[0].removesuffix(token[kind]) + nothing
        return token[0]

    return TOKEN.sub(replace, record)


def _find_objects(line: str, start: int, ends: dict[int, int | None]) -> None:
    """Adds to `ends` where the object at `start`, and each object within it, ends; None if nowhere.

    The work stays linear: no place is read twice as the beginning of an object, except inside of
    what an earlier attempt took for a string. By there that attempt has failed, or this one fails
    at the next quote.
    """
    opened: list[tuple[str, int]] = []
    expected = "value"
    at = start
    while (token := TOKEN.match(line, at)) is not None:
        at = token.end()
        mark = token["mark"]
        if mark is None:
            if expected not in ("value", "name") or (expected == "name" and token["scalar"]):
                break
            expected = "colon" if expected == "name" else "comma"
        elif mark in ("{", "["):
            if expected != "value":
                break
            opened.append((mark, at - 1))
            if mark == "{":
                ends[at - 1] = None
            expected = "name" if mark == "{" else "value"
        elif mark in OPENS:
            if opened[-1][0] != OPENS[mark] or expected == "colon":
                break
            _, begun = opened.pop()
            if mark == "}":
                ends[begun] = at
            if not opened:
                return
            expected = "comma"
        elif mark == ":" and expected == "colon":
            expected = "value"
        elif mark == "," and expected == "comma":
            expected = "name" if opened[-1][0] == "{" else "value"
        else:
            break
    ends.setdefault(start, None)


def _value(token: re.Match[str]) -> str:
    string, scalar = token["string"], token["scalar"]
    return unescaped(string[1:-1]) if string is not None else str(scalar)
