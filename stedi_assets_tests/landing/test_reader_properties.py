"""Whatever is written is read back, and whatever is cut short is quarantined."""

from __future__ import annotations

import itertools
import json
import math
import re
import struct
import tempfile
from collections import Counter
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from stedi_assets.landing import conforming, reader
from stedi_assets.tables import LANDING_TABLES, Table
from stedi_assets.tables.accelerometer import ACCELEROMETER_LANDING
from stedi_assets_tests.lines import REASONS, count, lines_of, profile, rows_of

# Shrinking would run the engine for minutes before a failure shows.
FEW_LARGE_FRAMES = settings(
    phases=[Phase.generate],
    max_examples=8,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
# U+FFFD stands for a byte that was not UTF-8, so a record that holds it is malformed.
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\ufffd"), max_size=12)
VALUES = {
    "string": TEXT,
    "bigint": st.integers(-(2**63), 2**63 - 1),
    "int": st.integers(-(2**31), 2**31 - 1),
    "double": st.integers(-(10**12), 10**12).map(lambda millionths: millionths / 10**6),
}


def records_of(table: Table) -> st.SearchStrategy[dict[str, Any]]:
    """Well-formed records, with optional fields absent or null."""
    required = {c.name: VALUES[c.type] for c in table.columns if c.required}
    optional = {c.name: st.none() | VALUES[c.type] for c in table.columns if not c.required}
    return st.fixed_dictionaries(required, optional=optional)


@pytest.mark.parametrize("table", LANDING_TABLES, ids=lambda table: table.name)
@FEW_LARGE_FRAMES
@given(data=st.data())
def test__parse__reads_what_was_written(spark, table, data):
    """Both readers give back the values that a JSON writer was given."""
    records = data.draw(st.lists(records_of(table), min_size=1, max_size=50))
    ascii_only = data.draw(st.booleans())
    in_order = [{n: record[n] for n in table.column_names if n in record} for record in records]
    lines = [json.dumps(record, ensure_ascii=ascii_only) for record in in_order]
    written = [tuple(record.get(name) for name in table.column_names) for record in records]

    rows = rows_of(spark, table, lines)
    assert [tuple(row)[: len(table.columns)] for row in rows] == written
    assert {row[reader.REASON] for row in rows} == {None}

    # Only escapes and long integers keep a record just written from conforming.
    longest = {"bigint": 10**18, "int": 10**9}
    short = [
        all(abs(r.get(c.name) or 0) < longest[c.type] for c in table.columns if c.type in longest)
        for r in records
    ]
    conform = ["\\" not in line and is_short for line, is_short in zip(lines, short, strict=True)]
    plain = list(itertools.compress(lines, conform))
    assert profile(spark, table, plain) == (len(plain), 0, True)
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", suffix=".json") as file:
        file.writelines(f"{line}\n" for line in plain)
        file.flush()
        again = conforming.read_conforming(spark, [f"file://{file.name}"], table).collect()
    assert [tuple(row) for row in again] == list(itertools.compress(written, conform))


BITS = st.integers(0, 2**64 - 1).map(lambda bits: struct.unpack("d", struct.pack("Q", bits))[0])
DOUBLES = st.builds(
    lambda number, written: written(number),
    BITS.filter(math.isfinite) | st.floats(-100, 100) | st.floats(0, 2.3e-308) | st.just(-0.0),
    st.sampled_from([repr, "{:.17g}".format, "{:.16e}".format, "{:.25e}".format, "{:.20f}".format]),
)


@FEW_LARGE_FRAMES
@given(texts=st.lists(DOUBLES, min_size=200, max_size=2000), spaced=st.booleans())
def test__double__is_the_one_that_python_reads(spark, texts, spaced):
    """On both paths, as a number and as text."""
    table = ACCELEROMETER_LANDING
    numbers = [
        f'{{"user":"u","timestamp":{number},"x":{text},"y":0,"z":0}}'
        for number, text in enumerate(texts)
    ]
    as_texts = [
        line.replace(f'"x":{text}', f'"x":"{text}"')
        for line, text in zip(numbers, texts, strict=True)
    ]
    unknown = [f'{line[:-1]},"note":1}}' for line in numbers]
    expected = [repr(float(text) + 0.0) for text in texts]  # -0.0 is stored as 0.0
    for lines in (numbers, as_texts, unknown):
        rows = rows_of(spark, table, [f"{line} " if spaced else line for line in lines])
        found = sorted(rows, key=lambda row: row.timestamp)
        assert [repr(row.x) for row in found] == expected
    frame = lines_of(spark, numbers)
    conform = [row.value for row in frame.where(conforming.is_conforming(table)).collect()]
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        file.writelines(f"{line}\n" for line in conform)
        file.flush()
        again = conforming.read_conforming(spark, [f"file://{file.name}"], table).collect()
    assert {row.timestamp: row.x for row in again} == {
        json.loads(line)["timestamp"]: json.loads(line)["x"] for line in conform
    }


# Structure within texts, after a letter; a cut through such a text leaves stray braces and quotes.
CONFUSING = st.text(r'ab{}[],:"\é ' + "\n", max_size=8).map(lambda text: f"u{text}")
EXTRAS = st.sampled_from([None, 1, "}{", [{"a": [1, {"b": "]"}]}, {}], {"a": {"b": [1, 2]}}])
READINGS = st.fixed_dictionaries(
    {
        "user": CONFUSING,
        "timestamp": VALUES["bigint"],
        "x": VALUES["double"],
        "y": VALUES["double"],
        "z": VALUES["double"],
    },
    optional={"extra": EXTRAS},
)
COMPLETE = READINGS.map(lambda record: (json.dumps(record), record))
# Cut before its last brace: no part is a record, however it goes on, because what follows it is
# never a quote, a bracket or a brace that closes.
TRUNCATED = st.builds(
    lambda record, cut: (json.dumps(record)[: 1 + cut % (len(json.dumps(record)) - 1)], None),
    READINGS,
    st.integers(0, 1000),
)
# Words without quotes, braces or brackets, which could swallow a neighbour or complete it.
GARBAGE = st.text("abc 019.-é", min_size=1, max_size=8).map(lambda text: (text, None))
SEPARATORS = st.sampled_from(["", ",", " ", ", "])
LINES = st.lists(st.tuples(COMPLETE | TRUNCATED | GARBAGE, SEPARATORS), max_size=6)


@FEW_LARGE_FRAMES
@given(mixture=st.lists(LINES, min_size=1, max_size=30))
def test__split__mixture(spark, mixture):
    """Every complete object is read, whatever stands around it, and no text is dropped."""
    lines = ["".join(text + separator for (text, _), separator in line) for line in mixture]
    complete = [
        tuple(record.get(name) for name in ACCELEROMETER_LANDING.column_names)
        for line in mixture
        for (_, record), _ in line
        if record is not None
    ]
    rows = rows_of(spark, ACCELEROMETER_LANDING, lines)
    read_well = [tuple(row)[:5] for row in rows if row[reader.REASON] is None]
    malformed = [row for row in rows if row[reader.REASON] is not None]

    assert Counter(read_well) == Counter(complete)
    counted = count(spark, ACCELEROMETER_LANDING, lines)
    assert counted == (len(complete) + len(malformed), len(malformed))
    assert all(REASONS.fullmatch(row[reader.REASON]) for row in malformed)
    assert letters(row[reader.LINE] for row in rows) == letters(lines)


def letters(texts: Any) -> Counter[str]:
    """How often each character occurs, apart from what may stand between array elements."""
    return Counter(re.sub(r"[\s,\[\]]", "", "".join(texts)))
