r"""JSON objects in lines of text, which every engine cuts and reads alike.

Engines' parsers differ: one rounds the digits of a number, another rewrites `1e3` as `1000.0`, one
takes `\ud800` and the other refuses the object, and each gives up at another depth. So a text is
rewritten before it is parsed: each number, `true` and `false` becomes a string of the characters
that were typed, and a value that is nested deeper than any engine reads becomes an empty one.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

if TYPE_CHECKING:
    from pyspark.sql import Column as Expression

# Off in the JSON standard and in the embedded engine, on by default in JVM Spark.
STRICT = {"allowSingleQuotes": "false", "allowNonNumericNumbers": "false"}

NOT_UTF8 = "\ufffd"
# The first letter of each rewritten name and scalar value, so that "1" and 1 stay apart.
TEXT, LITERAL = "t", "n"

# Opening brackets that a text may have for the engine to read it as it is. The embedded one reads
# 127 levels, JVM Spark 1,000.
DEPTH = 100
# Levels of objects and arrays in a value that a regular expression matches as a whole.
NESTING = 32

# Characters that JSON forbids, so that they can be placeholders here.
FORBIDDEN = r"[\x00-\x08\x0b\x0c\x0e-\x1f]"
BACKSLASH, QUOTE, BEGIN, MIDDLE, END, LONE = "\x01\x02\x03\x04\x05\x06"
BRACKETS = dict(zip("[{]}", "\x0e\x0f\x10\x11", strict=True))
OPENING, CLOSING = "\x0e\x0f", "\x10\x11"

SCALAR = r'"([^"]*)"|(-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?|true|false)'
HIGH = r"\\u[dD][89abAB][0-9a-fA-F]{2}"
LOW = r"\\u[dD][c-fC-F][0-9a-fA-F]{2}"


# Regular expressions for JSON; what is nested in a value is left to the parser to judge. No text
# matches one in two ways. So `*+`, by which JVM Spark neither goes back into a loop nor needs stack
# for each round of it, finds what `*` does; to the embedded engine they are one.
STRING = r'"[^"\\]*(?:\\.[^"\\]*)*+"'
PLAIN = r'[^"{}\[\]]'
NESTED = functools.reduce(
    lambda nested, _: rf"{STRING}|[\[{{]{PLAIN}*(?:(?:{nested}){PLAIN}*)*+[\]}}]",
    range(NESTING),
    STRING,
)
MEMBER = rf'{STRING}\s*:\s*(?:{NESTED}|[^\s"{{}}\[\],:]+)'
OBJECT = rf"\{{\s*(?:{MEMBER}[\s,]*)*+\}}"
# JSON but for the pairing of its brackets.
ITEM = (
    rf"(?:(?:{STRING}\s*:\s*)?[\[{{]\s*)*+(?:{STRING}\s*:\s*)?"
    rf'(?:{STRING}|[^\s"{{}}\[\],:]+)?\s*(?:[\]}}]\s*)*+'
)
ITEMS = rf"^{ITEM}(?:,\s*{ITEM})*+\z"
# What no bracket stands open in, or else brackets of one kind, each with what follows it.
RUN = (
    rf"(?:{NESTED}|{PLAIN}++)++"
    rf"|(?:[\[{{](?:{STRING}|{PLAIN}++)*+)++"
    rf"|(?:[\]}}](?:{STRING}|{PLAIN}++)*+)++"
    '|"'
)
# Between records: white space, the byte-order mark that one engine keeps, and what makes a list.
AROUND = " \t\r\n,[]\ufeff"


def is_deep(text: Expression) -> Expression:
    """Whether a text is an object that is too deep for `OBJECT`."""
    opened = F.length(text) - F.length(F.translate(text, "[{", ""))
    looks_whole = text.startswith("{") & text.endswith("}") & text.rlike(ITEMS)
    return (opened > NESTING) & looks_whole & ~text.rlike(f"^{OBJECT}")


def deep_apart(text: Expression) -> Expression:
    """A line cut before and after each object of which `is_deep` holds, and maybe elsewhere.

    Returns:
        An array of texts, without the framing around each; null if an object is not closed, or the
        line has a character that JSON forbids.
    """
    permitted = F.when(~text.rlike(FORBIDDEN), text)
    runs = F.regexp_extract_all(permitted, F.lit(RUN), F.lit(0))

    def weighed(run: Expression) -> Expression:
        brackets = F.regexp_replace(run, STRING, "")
        opened, closed, framing = (
            F.length(of) - F.length(F.translate(of, kind, ""))
            for of, kind in (
                (brackets, "[{"),
                (brackets, "]}"),
                (F.regexp_extract(run, r"^[\s,\[]*", 0), "["),
            )
        )
        return F.struct(
            (opened - closed).alias("step"),
            F.when(opened > closed, framing).otherwise(0).alias("framing"),
        )

    def read(state: Expression, run: Expression) -> Expression:
        outside = state["depth"] == 0
        # Lists of records are framing.
        step = run["step"] - F.when(outside, run["framing"]).otherwise(0)
        begins = outside & (run["step"] >= 0)
        return F.struct(
            F.greatest(F.lit(0), state["depth"] + step).alias("depth"),
            # A character for each run: to add the runs themselves would take the square of the
            # line's length.
            F.concat(state["marks"], F.when(begins, F.lit(BEGIN)).otherwise(F.lit(MIDDLE))).alias(
                "marks"
            ),
        )

    start = F.struct(F.lit(0).alias("depth"), F.lit("").alias("marks"))
    marks = F.aggregate(
        F.transform(runs, weighed),
        start,
        read,
        lambda end: F.when(end["depth"] == 0, end["marks"]),
    )
    each = F.regexp_extract_all(marks, F.lit(f"[{BEGIN}{MIDDLE}]"), F.lit(0))
    pairs = F.arrays_zip(each, runs).cast("array<struct<mark:string,run:string>>")
    marked = F.array_join(F.transform(pairs, lambda pair: F.concat(pair["mark"], pair["run"])), "")
    parts = F.split(F.replace(marked, F.lit(MIDDLE), F.lit("")), BEGIN)
    return F.transform(parts, lambda part: F.btrim(part, F.lit(AROUND)))


def rewritten(text: Expression) -> Expression:
    """A text of JSON in which every name and scalar value is a string, for any engine to parse.

    A name begins with `t`. A value that is a string begins with `t`, a number or boolean with `n`,
    then comes its text as typed. Null is null, and an object or array stays one, but is empty if
    the text has more than `DEPTH` of them. An escaped surrogate without its other half becomes
    U+FFFD. What is no JSON stays so, or becomes null.
    """
    brackets = F.length(text) - F.length(F.translate(text, "[{", ""))
    masked = _masked(F.when(brackets > DEPTH, _flattened(text)).otherwise(text))
    paired = F.regexp_replace(masked, f"({HIGH}{LOW})|{HIGH}|{LOW}", f"$1{LONE}")
    halved = F.regexp_replace(paired, f"({LOW}){LONE}", "$1")
    marked = F.regexp_replace(halved, SCALAR, f"{BEGIN}$1{MIDDLE}$2{END}")
    of_texts = _replaced(marked, {LONE: NOT_UTF8, MIDDLE + END: '"'})
    # A name must be a string: without its second quote the text is no JSON.
    of_names = F.regexp_replace(of_texts, rf"{END}(\s*:)", "$1")
    quotes = {BEGIN + MIDDLE: f'"{LITERAL}', BEGIN: f'"{TEXT}', END: '"'}
    return F.when(~text.rlike(FORBIDDEN), _unmasked(_replaced(of_names, quotes)))


def _masked(text: Expression) -> Expression:
    """A text in which a quote always begins or ends a string."""
    return _replaced(text, {r"\\": BACKSLASH, r"\"": QUOTE})


def _unmasked(text: Expression) -> Expression:
    return _replaced(text, {QUOTE: r"\"", BACKSLASH: r"\\"})


def _flattened(text: Expression) -> Expression:
    """An object's text with its nested objects and arrays empty; null if a bracket is not closed.

    What they hold is not judged.
    """
    marked = F.regexp_replace(_masked(text), r'("[^"]*"?)|([\[\]{}])', f"$1{BEGIN}$2{END}")
    marks = {BEGIN + END: ""} | {BEGIN + bracket + END: mark for bracket, mark in BRACKETS.items()}
    open_, close, rest = f"[{OPENING}]", f"[{CLOSING}]", f"[^{OPENING}{CLOSING}]*"
    # Runs of brackets, each with what follows it: a step for each bracket would take long.
    run = f"(?:{open_}{rest})++|(?:{close}{rest})++|[^{OPENING}{CLOSING}]+"
    runs = F.regexp_extract_all(_replaced(marked, marks), F.lit(run), F.lit(0))

    def outermost(run: Expression) -> Expression:
        """How many levels a run opens, and what of it is outermost if it is of level 0 or 1."""
        opened, closed = (
            F.length(run) - F.length(F.translate(run, each, "")) for each in (OPENING, CLOSING)
        )
        last = f"((?:{close}{rest})?{close}{rest})$"
        return F.struct(
            (opened - closed).alias("step"),
            F.when(opened > 0, F.regexp_extract(run, f"^({open_}{rest}{open_}?)", 1))
            .when(closed > 0, F.regexp_extract(run, last, 1))
            .otherwise(run)
            .alias("at_0"),
            F.when(opened > 0, F.substring(run, 1, 1))
            .otherwise(F.regexp_extract(run, f"({close}{rest})$", 1))
            .alias("at_1"),
        )

    def read(state: Expression, run: Expression) -> Expression:
        depth = state["depth"] + run["step"]
        level = F.least(state["depth"], depth)
        kept = F.when(level == 0, run["at_0"]).when(level == 1, run["at_1"])
        # Closed more often than opened: no JSON, however it goes on.
        kept = F.when(level < 0, "]").otherwise(F.coalesce(kept, F.lit("")))
        return F.struct(depth.alias("depth"), F.concat(state["text"], kept).alias("text"))

    start = F.struct(F.lit(0).alias("depth"), F.lit("").alias("text"))
    flat = F.aggregate(
        F.transform(runs, outermost),
        start,
        read,
        lambda end: F.when(end["depth"] == 0, end["text"]),
    )
    return _unmasked(_replaced(flat, {mark: bracket for bracket, mark in BRACKETS.items()}))


def _replaced(text: Expression, by: dict[str, str]) -> Expression:
    return functools.reduce(
        lambda so_far, each: F.replace(so_far, F.lit(each[0]), F.lit(each[1])), by.items(), text
    )
