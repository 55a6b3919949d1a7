"""The parts of a text that may identify a person; linear in its length, whatever it holds."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator

ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))", re.DOTALL)
CONTROLS = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
# JSON within a string of JSON is escaped twice, and so on.
ESCAPED_AT_MOST = 3
# The text between two unescaped quotes. If a line is cut short, nothing shows whether that is a
# value or separates two values, so both are looked at.
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
NAME_MARK = re.compile(r"[\W_]")


def phone_of(text: str) -> str:
    """A phone number without its formatting: spaces, brackets, dots, dashes and +.

    A text that has other characters, or fewer digits than a phone number, is only stripped.
    """
    digits = NOT_A_DIGIT.sub("", text)
    return digits if len(digits) >= PHONE_DIGITS and PHONE.fullmatch(text) else text.strip()


def decoded(text: str) -> list[str]:
    """A text as it is written, and after each round of decoding its JSON escapes."""
    found = [text.replace("\0", "")]  # as between the letters of UTF-16
    while len(found) <= ESCAPED_AT_MOST and (once := unescaped(found[-1])) != found[-1]:
        found.append(once)
    return found


def unescaped(text: str) -> str:
    """A text with its JSON escapes decoded once."""
    if "\\" not in text:
        return text
    characters = ESCAPE.sub(_character, text)
    # Joins the two halves of a surrogate pair; a lone half stays.
    return characters.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")


def addresses(text: str) -> set[str]:
    """Every part of a text that may be an e-mail address."""
    return {
        address
        for each, is_quoted in _spans(text)
        for address in _addresses(each, is_quoted=is_quoted)
    }


def embedded_addresses(name: str) -> set[str]:
    """Every part of a file's name that may be an e-mail address, next to whatever other words."""
    local, _, domain = name.partition("@")
    starts = [0, *(mark.end() for mark in NAME_MARK.finditer(local))]
    ends = [*(mark.start() for mark in NAME_MARK.finditer(domain)), len(domain)]
    return {f"{local[start:]}@{domain[:end]}" for start in starts for end in ends}


def mentions(text: str) -> set[str]:
    """Every part of a text that may be an address, a phone, a serial number or a name."""
    found = {part for each, is_quoted in _spans(text) for part in _parts(each, is_quoted=is_quoted)}
    return found | addresses(text)


def serial_numbers(text: str) -> set[str]:
    """The values, strings or numbers, that a text labels `serialNumber`."""
    return {"".join(value) for each in decoded(text) for value in SERIAL_NUMBER.findall(each)}


def _spans(text: str) -> Iterator[tuple[str, bool]]:
    """Each text between unescaped quotes, decoded, and whether a quote is on either side."""
    for span in SPAN.finditer(text):
        is_quoted = span.start() > 0 and span.end() < len(text)
        for each in decoded(span[0]):
            yield each, is_quoted


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
        words = [word.strip(PUNCTUATION) for word in run.split()]
        for first in range(len(words)):
            number = ""
            for word in words[first : first + PHONE_PARTS]:
                if not PHONE_PART.fullmatch(word):
                    break
                number += word
                yield number


def _character(escape: re.Match[str]) -> str:
    code, character = escape.groups()
    return chr(int(code, 16)) if code else CONTROLS.get(character, character)
