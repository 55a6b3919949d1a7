"""What in a text, JSON or not, may identify a person; linear in its length, without recursion."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))", re.DOTALL)
CONTROLS = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
# JSON within a string of JSON is escaped twice, and so on.
ESCAPED_AT_MOST = 3
# What stands between two quotes that are not escaped. Of a text that was cut short nothing says
# whether that is a value or what separates two values, so both are looked at.
SPAN = re.compile(r'(?:[^"\\]++|\\.?)++', re.DOTALL)
WORD = re.compile(r'[^\s"<>()\[\]{}\\,:;|=&?/]+')
ONE_ADDRESS = re.compile(r"[^\s\"<>()\[\]{}\\,:;|@]+@[^\s\"'<>()\[\]{}\\,:;|=&?/@]+")
CELLS, ASSIGNMENT = re.compile(r'[",;|\t\r\n]'), re.compile(r"[:=]")
# As around 'ann@example.com', or at the end of a sentence.
PUNCTUATION = "'`.!*~#^"
NOT_OF_A_PHONE = re.compile(r'[",;:|{}\[\]=<>&?\\]+')
PHONE_PART = re.compile(r"[+0-9()./-]+")
PHONE = re.compile(r"[+0-9\s()./-]+")
NOT_A_DIGIT = re.compile(r"[^0-9]")
# A shorter number may be anything, such as a distance.
PHONE_DIGITS = 7
# As in +1 (801) 555 0101.
PHONE_PARTS = 4
SERIAL_NUMBER = re.compile(r'"serialNumber"\s*+:\s*+(?:"([^"\\]*+)|([^\s",{}\[\]]++))')
TOKEN = re.compile(
    r'\s*+(?:(?P<string>"(?:[^"\\]++|\\.)*+")|(?P<mark>[{}\[\],:])|(?P<scalar>[^\s"{}\[\],:\\]++))',
    re.DOTALL,
)
NUMBER = re.compile(r"-?[0-9]+")
# Between records: white space, the byte-order mark, and what makes a list of them.
FRAMING = " \t\r\n,[]\ufeff\0"
NAME_MARK = re.compile(r"[\W_]")
OPENS = {"}": "{", "]": "["}


@dataclass(frozen=True)
class Piece:
    """A part of a line.

    Attributes:
        text: The part.
        is_object: Whether it is a whole JSON object, or else text that belongs to none.
    """

    text: str
    is_object: bool


def phone_of(text: str) -> str:
    """A phone number without what only makes it readable: spaces, brackets, dots, dashes and +.

    A text that has other characters, or fewer digits than a phone number, stays as it is.
    """
    digits = NOT_A_DIGIT.sub("", text)
    return digits if len(digits) >= PHONE_DIGITS and PHONE.fullmatch(text) else text.strip()


def decoded(text: str) -> list[str]:
    """A text as it stands, and with its JSON escapes decoded as often as it has some."""
    found = [text.replace("\0", "")]  # as between the letters of UTF-16
    while len(found) <= ESCAPED_AT_MOST and (once := _unescaped(found[-1])) != found[-1]:
        found.append(once)
    return found


def addresses(text: str) -> set[str]:
    """Every part of a text that may be an e-mail address."""
    return {
        address
        for span, is_quoted in _spans(text)
        for each in decoded(span)
        for address in _addresses(each, is_quoted=is_quoted)
    }


def embedded_addresses(name: str) -> set[str]:
    """Every part of a file's name that may be an e-mail address: it may stand in any company."""
    local, _, domain = name.partition("@")
    starts = [0, *(mark.end() for mark in NAME_MARK.finditer(local))]
    ends = [*(mark.start() for mark in NAME_MARK.finditer(domain)), len(domain)]
    return {f"{local[start:]}@{domain[:end]}" for start in starts for end in ends}


def mentions(text: str) -> set[str]:
    """Every part of a text that may be an address, a phone, a serial number or a name."""
    found = {
        part
        for span, is_quoted in _spans(text)
        for each in decoded(span)
        for part in _parts(each, is_quoted=is_quoted)
    }
    return found | addresses(text)


def serial_numbers(text: str) -> set[str]:
    """What a text calls a `serialNumber`, be it a string or a number."""
    return {"".join(value) for each in decoded(text) for value in SERIAL_NUMBER.findall(each)}


def values(record: str) -> set[str]:
    """The values and the names of the fields of a JSON object, however deep; numbers as typed."""
    return {_value(token) for token in TOKEN.finditer(record) if token["mark"] is None}


def fields(record: str) -> dict[str, str]:
    """The fields of a JSON object that are strings or numbers; the last of those of one name."""
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


def blanked(record: str, is_theirs: Callable[[str], bool]) -> str:
    """A JSON object with nothing in place of each string, be it a value or a name, of a kind.

    Args:
        record: The object.
        is_theirs: Whether a string, as it is written, is of that kind.
    """

    def keep(token: re.Match[str]) -> str:
        for kind, nothing in (("string", '""'), ("scalar", "null")):
            if token[kind] is not None and is_theirs(token[kind]):
                before = token.start(kind) - token.start()
                return token[0][:before] + nothing
        return token[0]

    return TOKEN.sub(keep, record)


def pieces(line: str) -> Iterator[Piece]:
    """The outermost whole JSON objects of a line, and the text between them.

    What was cut short ends where the next object begins.
    """
    ends: dict[int, int | None] = {}
    start = 0
    while (opens := line.find("{", start)) >= 0:
        if line[start:opens].strip(FRAMING):
            yield Piece(line[start:opens], is_object=False)
        if opens not in ends:
            _find_objects(line, opens, ends)
        end = ends[opens]
        if end is None:
            following = line.find("{", opens + 1)
            start = following if following > 0 else len(line)
        else:
            start = end
        yield Piece(line[opens:start], is_object=end is not None)
    if line[start:].strip(FRAMING):
        yield Piece(line[start:], is_object=False)


def _find_objects(line: str, start: int, ends: dict[int, int | None]) -> None:
    """Reads the JSON object that opens at a place, and notes where it ends; None where it does not.

    The same is noted of every object within it. So no place is read twice as the beginning of one,
    except within what an earlier reading took for a string: then that one has failed by there, or
    this one fails at the next quote. The work grows as the line's length.
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


def _spans(text: str) -> Iterator[tuple[str, bool]]:
    """What stands between quotes that are not escaped, and whether there is one on either side."""
    for span in SPAN.finditer(text):
        yield span[0], span.start() > 0 and span.end() < len(text)


def _addresses(text: str, *, is_quoted: bool) -> Iterator[str]:
    if "@" not in text:
        return
    if is_quoted and ONE_ADDRESS.fullmatch(text.strip()):
        yield text.strip()
        return
    yield text  # an odd one, as with a space in it
    for word in WORD.findall(text):
        for local, domain in itertools.pairwise(word.split("@")):
            domain = domain.partition("'")[0]
            for name in {local, local.lstrip(PUNCTUATION)}:
                for host in {domain, domain.rstrip(PUNCTUATION)}:
                    yield f"{name}@{host}"


def _parts(text: str, *, is_quoted: bool) -> Iterator[str]:
    whole = text.strip()
    yield whole
    if is_quoted and ONE_ADDRESS.fullmatch(whole):
        return
    for cell in CELLS.split(text):
        for part in (cell, *ASSIGNMENT.split(cell)):
            yield part.strip()
            yield part.strip().strip(PUNCTUATION)
    for word in WORD.findall(text):
        yield word
        yield word.strip(PUNCTUATION)
    yield from _phones(text)


def _phones(text: str) -> Iterator[str]:
    for run in NOT_OF_A_PHONE.split(text):
        words = run.split()
        for first in range(len(words)):
            number = ""
            for word in words[first : first + PHONE_PARTS]:
                if not PHONE_PART.fullmatch(word.strip(PUNCTUATION)):
                    break
                number += word.strip(PUNCTUATION)
                yield number


def _value(token: re.Match[str]) -> str:
    string, scalar = token["string"], token["scalar"]
    return _unescaped(string[1:-1]) if string is not None else str(scalar)


def _unescaped(text: str) -> str:
    if "\\" not in text:
        return text
    characters = ESCAPE.sub(_character, text)
    # Joins the two halves of a character that was escaped as such; a lone half stays.
    return characters.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")


def _character(escape: re.Match[str]) -> str:
    code, character = escape.groups()
    return chr(int(code, 16)) if code else CONTROLS.get(character, character)
