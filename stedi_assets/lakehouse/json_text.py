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
# Levels of objects and arrays within an object that shares its line with others.
NESTING = 32

# Characters that may not stand in JSON, so that they can stand for something else here.
FORBIDDEN = r"[\x00-\x08\x0b\x0c\x0e-\x1f]"
BACKSLASH, QUOTE, BEGIN, MIDDLE, END, LONE = "\x01\x02\x03\x04\x05\x06"
BRACKETS = dict(zip("[{]}", "\x0e\x0f\x10\x11", strict=True))
OPENING, CLOSING = "\x0e\x0f", "\x10\x11"

SCALAR = r'"([^"]*)"|(-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?|true|false)'
HIGH = r"\\u[dD][89abAB][0-9a-fA-F]{2}"
LOW = r"\\u[dD][c-fC-F][0-9a-fA-F]{2}"


def _object_pattern(nesting: int) -> str:
    """A regular expression for a JSON object; what is nested in it is left to the parser to judge.

    No text matches it in two ways. So `*+`, by which JVM Spark neither goes back into a loop nor
    needs stack for each round of it, finds what `*` does; to the embedded engine they are one.
    """
    text = r'"[^"\\]*(?:\\.[^"\\]*)*+"'
    scalars = r'[^"{}\[\]]*'
    nested = text
    for _ in range(nesting):
        nested = rf"{text}|[\[{{]{scalars}(?:(?:{nested}){scalars})*+[\]}}]"
    member = rf'{text}\s*:\s*(?:{nested}|[^\s"{{}}\[\],:]+)'
    return rf"\{{\s*(?:{member}[\s,]*)*+\}}"


OBJECT = _object_pattern(NESTING)


def is_one_object(rewritten: Expression) -> Expression:
    """Whether a text, as `rewritten`, is a JSON object with nothing before or after it."""
    # JVM Spark stops reading at the end of a value. What could end one of these wrappings early
    # makes the other no JSON.
    listed = F.concat(F.lit("["), rewritten, F.lit("]"))
    member = F.concat(F.lit('{"of":'), rewritten, F.lit("}"))
    return (F.size(F.from_json(listed, "array<map<string,string>>", STRICT)) == 1) & (
        F.size(F.from_json(member, "map<string,string>", STRICT)) == 1
    )


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
