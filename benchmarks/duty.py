"""What this project does to files before any rule, for rivals: copy, hash, judge, quarantine.

Each file is read once. A file whose every line conforms is left to the rival's own JSON reader; of
another the lines that do not conform are parsed here, one by one, as `landing.reader` says. It has
no dependency of the project, whose imports would count as the rival's.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

TEXT = r'"[^"\\\x00-\x1f' + "\ufffd" + r']*"'
BIGINT = r"(?:0|-?[1-9][0-9]{0,17})"
INT = r"(?:0|-?[1-9][0-9]{0,8})"
DOUBLE = r"-?(?:0|[1-9][0-9]{0,17})(?:\.[0-9]+)?(?:[eE][-+]?[0-9]{1,2})?"
NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?")
# Whole doubles up to this stand for one integer each.
EXACT_DOUBLE, EXACT_DIGITS = 2**53, 16
PADDING = " \t\r\n,\ufeff"
FRAMING = PADDING + "[]"
LINE = re.compile(rb"([^\r\n]*)(?:\r\n|\r|\n)|([^\r\n]+)")
YEAR_2000 = 946_684_800_000
# At the ends of an e-mail address.
INVISIBLE = " \t\n\r\v\f\x1c\x1d\x1e\x1f\x85\xa0\u200b\u2028\u2029\u202f\u205f\u3000\ufeff"
RANGES = {"bigint": 2**63, "int": 2**31}
ARROW = {"string": pa.string(), "bigint": pa.int64(), "int": pa.int32(), "double": pa.float64()}
PATTERNS = {"string": TEXT, "bigint": BIGINT, "int": INT, "double": DOUBLE}
QUARANTINE = pa.schema(
    {
        "line": pa.string(),
        "reason": pa.string(),
        "file": pa.string(),
        "lineNumber": pa.int64(),
        "byteOffset": pa.int64(),
        "quarantinedAt": pa.timestamp("us", "UTC"),
    }
)


@dataclass(frozen=True)
class Field:
    """A field of a record, whose value is read from the first of its names that is not null."""

    name: str
    type: str = "bigint"
    required: bool = False
    aliases: tuple[str, ...] = ()


SOURCES = {
    "customer": (
        Field("customerName", "string"),
        Field("email", "string", required=True),
        Field("phone", "string"),
        Field("birthDay", "string"),
        Field("serialNumber", "string"),
        Field("registrationDate"),
        Field("lastUpdateDate"),
        Field("shareWithResearchAsOfDate"),
        Field("shareWithPublicAsOfDate"),
        Field("shareWithFriendsAsOfDate"),
    ),
    "accelerometer": (
        Field("user", "string", required=True),
        Field("timestamp", required=True, aliases=("timeStamp",)),
        *(Field(axis, "double", required=True) for axis in "xyz"),
    ),
    "step_trainer": (
        Field("sensorReadingTime", required=True),
        Field("serialNumber", "string", required=True),
        Field("distanceFromObject", "int", required=True),
    ),
}


@dataclass
class Landed:
    """A source's files after they have been copied, hashed and judged.

    Attributes:
        fields: The fields of a record.
        files: Those in which every line conforms, for the rival's own JSON reader.
        digests: The SHA-256 of each copy, by its name.
        records: The records parsed here.
        quarantined: The malformed records, each as a row of `QUARANTINE`.
    """

    fields: tuple[Field, ...]
    files: list[str] = field(default_factory=list)
    digests: dict[str, str] = field(default_factory=dict)
    records: list[dict[str, Any]] = field(default_factory=list)
    quarantined: list[dict[str, Any]] = field(default_factory=list)

    @property
    def table(self) -> pa.Table:
        """The records parsed here."""
        schema = pa.schema([(each.name, ARROW[each.type]) for each in self.fields])
        return pa.Table.from_pylist(self.records, schema)

    @property
    def quarantine(self) -> pa.Table:
        """The malformed records."""
        return pa.Table.from_pylist(self.quarantined, QUARANTINE)


def land(source: str, output: str, name: str) -> Landed:
    """Copies a source's files, on all cores, and judges their lines."""
    landing, clean = Path(output, name, "landing"), Path(f"{output}-clean", name)
    for folder in (landing, clean):
        folder.mkdir(parents=True)
    landed = Landed(SOURCES[name])
    pattern = _pattern(landed.fields)
    whole = rf"\A(?:{pattern}\n)*(?:{pattern})?\z"
    line = re.compile(pattern)

    def take(file: Path) -> tuple[str, bool]:
        content = file.read_bytes()
        (landing / file.name).write_bytes(content)
        return hashlib.sha256(content).hexdigest(), _is_whole(content, whole)

    files = sorted(Path(source, name, "landing").glob("*.json"))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for file, (digest, conforms) in zip(files, pool.map(take, files), strict=True):
            landed.digests[file.name] = digest
            if conforms:
                landed.files.append(str(landing / file.name))
            else:
                _judge(landing / file.name, clean / file.name, line, landed)
    (landing / ".files.json").write_text(json.dumps(landed.digests))
    return landed


def _pattern(fields: tuple[Field, ...]) -> str:
    """A line with the declared fields in their order, where optional ones may be null or absent."""
    space, line, leads = r"[ \t]*", "", False
    for each in fields:
        value = PATTERNS[each.type] if each.required else f"(?:{PATTERNS[each.type]}|null)"
        member = f'"{each.name}"{space}:{space}{value}{space}'
        member = f",{space}{member}" if leads else member
        if each.required:
            line, leads = line + member, True
        else:
            line += f"(?:{member})?" if leads else f"(?:{member},{space})?"
    return rf"{space}\{{{space}{line}\}}{space}"


def _is_whole(content: bytes, pattern: str) -> bool:
    try:
        text = pa.array([content.decode()], pa.large_string())
    except UnicodeDecodeError:
        return False
    return bool(pc.match_substring_regex(text, pattern)[0].as_py())


def _judge(file: Path, clean: Path, pattern: re.Pattern[str], landed: Landed) -> None:
    """Writes a file's conforming lines to another, and parses the rest with care."""
    now = int(time.time() * 1_000_000)
    landed.files.append(str(clean))
    with clean.open("w") as conforming:
        for number, found in enumerate(LINE.finditer(file.read_bytes()), 1):
            text = (found[1] or found[2] or b"").decode("utf-8", "replace")
            if pattern.fullmatch(text):
                conforming.write(f"{text}\n")
                continue
            for part, value in _parts(text):
                record, reason = _record(value, part, landed.fields)
                if record is not None:
                    landed.records.append(record)
                    continue
                place = (file.name, number, found.start(), now)
                row = dict(zip(QUARANTINE.names, (part, reason, *place), strict=True))
                landed.quarantined.append(row)


class _Literal(str):
    """A number as typed."""

    __slots__ = ()


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


DECODER = json.JSONDecoder(parse_int=_Literal, parse_float=_Literal, parse_constant=_refuse)


def _parts(text: str) -> Iterator[tuple[str, Any]]:
    """Each object of a line with its text, and each text between objects with None."""
    text = text.strip(PADDING)
    at = between = 0
    while (at := text.find("{", at)) >= 0:
        try:
            value, end = DECODER.raw_decode(text, at)
        except (ValueError, RecursionError):
            at += 1
            continue
        if text[between:at].strip(FRAMING):
            yield text[between:at], None
        yield text[at:end], value
        at = between = end
    if text[between:].strip(FRAMING):
        yield text[between:], None


def _record(value: Any, text: str, fields: tuple[Field, ...]) -> tuple[dict[str, Any] | None, str]:
    """The record of an object, or None and what is wrong with it."""
    if value is None:
        return None, "not UTF-8" if "\ufffd" in text else "not a JSON object"
    record, faults = dict[str, Any](), list[str]()
    for each in fields:
        given = (value.get(name) for name in (each.name, *each.aliases))
        typed = next((one for one in given if one is not None), None)
        record[each.name] = None if typed is None else _value(typed, each.type)
        if record[each.name] is None and typed is not None:
            faults.append(f"{each.name} is not of type {each.type}")
        elif typed is None and each.required:
            faults.append(f"{each.name} is missing")
    if not faults:
        return record, ""
    return None, "not UTF-8" if "\ufffd" in text else "; ".join(faults)


def _value(typed: Any, kind: str) -> Any:
    """A value as its column holds it, or None if that would lose anything."""
    if not isinstance(typed, str):  # true, false, an object or an array
        return None
    if kind == "string":
        return None if "\ufffd" in typed else str(typed)
    if not NUMBER.fullmatch(typed):
        return None
    number = float(typed)
    if kind == "double":
        return number + 0.0 if math.isfinite(number) else None
    digits = re.sub(r"[eE].*|[^0-9]", "", typed).strip("0")
    if re.fullmatch(r"-?[0-9]+", typed):
        whole = int(typed)
    elif number.is_integer() and abs(number) < EXACT_DOUBLE and len(digits) <= EXACT_DIGITS:
        whole = int(number)
    else:
        return None
    return whole if -RANGES[kind] <= whole < RANGES[kind] else None
