"""Whose data research may use: the one definition of a person and of their current consent.

Landing may hold many records of one person, of updates, of further devices, of consent given and
withdrawn, and those of files that the source has replaced since. The latest of them decides; in
doubt there is no consent.
"""

from __future__ import annotations

import functools
import unicodedata
from typing import TYPE_CHECKING

from pyspark.sql import Column as Expression
from pyspark.sql import Window
from pyspark.sql import functions as F

from stedi_assets.tables.columns import REPLACED, SUPERSEDED, YEAR_2000

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

AGREES = "_agrees"
UNKNOWN = 2**63 - 1
# What no one sees at the ends of an address: all White_Space of Unicode, the separators of ASCII,
# and the characters without width that copying leaves behind: joiners, marks of direction, soft
# hyphen, byte-order mark and variation selectors.
WHITE_SPACE = "".join(filter(str.isspace, map(chr, range(0x3001))))
WITHOUT_WIDTH = [(0x200B, 0x200F), (0x202A, 0x202E), (0x2060, 0x206F), (0xFE00, 0xFE0F)]
INVISIBLE = WHITE_SPACE + "\u00ad\u034f\u061c\u180e\ufeff"
INVISIBLE += "".join(chr(code) for first, last in WITHOUT_WIDTH for code in range(first, last + 1))
# The one capital whose small letter is two characters.
DOTTED_I = ("\u0130", "i\u0307")


@functools.cache
def _letters() -> tuple[str, str]:
    """The letters that have another case, and for each its small form, by simple case folding.

    One table for Python and the engines, whose own functions follow other versions of Unicode.
    """
    # No letter beyond has a case.
    letters = map(chr, range(0x20000))
    small = {letter: _small(letter) for letter in letters}
    cased = {letter: form for letter, form in small.items() if form != letter}
    return "".join(cased), "".join(cased.values())


@functools.cache
def _small_letters() -> dict[int, int]:
    """The same for Python; to make it for each address takes longer than all else."""
    return str.maketrans(*_letters())


def _small(letter: str) -> str:
    forms = (letter.casefold(), letter.lower())
    return next((form for form in forms if len(form) == 1), letter)


def person(email: Expression | str) -> Expression:
    """Who an e-mail address names: neither its case nor space around it makes another person.

    A blank address names no one, and is null.
    """
    address = F.btrim(F.col(email) if isinstance(email, str) else email, F.lit(INVISIBLE))
    small = F.translate(F.replace(address, *map(F.lit, DOTTED_I)), *_letters())
    return F.nullif(small, F.lit(""))


def person_of(address: str) -> str:
    """Who an e-mail address names, as `person` has it, outside of the engine."""
    return address.strip(INVISIBLE).replace(*DOTTED_I).translate(_small_letters())


def lookalike_of(person: str) -> str:
    """What the addresses of people who look alike have in common, though `person` differs.

    Equal are those that NFKC and full case folding make equal, without characters that are not
    seen, wherever they stand.
    """
    seen = "".join(c for c in person if c not in INVISIBLE and unicodedata.category(c) != "Cf")
    folded = unicodedata.normalize("NFKC", seen).casefold()
    return unicodedata.normalize("NFKC", folded)


def device(serial: Expression | str) -> Expression:
    """Which device a serial number names: a blank one names none, and is null."""
    number = F.col(serial) if isinstance(serial, str) else serial
    return F.when(F.btrim(number, F.lit(INVISIBLE)) != "", number)


def agrees(as_of: int) -> Expression:
    """Whether a customer record gives consent to research.

    Its shareWithResearchAsOfDate is there, not 0 and a time at which someone can have agreed:
    neither later than `as_of` nor before 2000, which is a wrong unit or sign. A record that says
    it was itself written at such a time gives none.

    Args:
        as_of: The time by which to judge (epoch milliseconds, UTC).
    """
    agreed = F.col("shareWithResearchAsOfDate").between(YEAR_2000, as_of)
    dated = F.nullif("lastUpdateDate", F.lit(0)).between(YEAR_2000, as_of)
    return F.coalesce(agreed & F.coalesce(dated, F.lit(True)), F.lit(False))


def written() -> Expression:
    """When a customer record was written: 0, before all others, where it does not say.

    A time before 2000 is a wrong unit or sign, so that its record may be the latest: it comes after
    all others, where it can withdraw consent but gives none.
    """
    date = F.coalesce("lastUpdateDate", F.lit(0))
    return F.when((date < YEAR_2000) & (date != 0), F.lit(UNKNOWN)).otherwise(date)


def impossible(as_of: int) -> Expression:
    """Whether a customer record dates its consent, or itself, before 2000 or later than `as_of`.

    Args:
        as_of: The time by which to judge (epoch milliseconds, UTC).
    """
    dates = [F.nullif(name, F.lit(0)) for name in ("shareWithResearchAsOfDate", "lastUpdateDate")]
    odd = [F.coalesce(~date.between(YEAR_2000, as_of), F.lit(False)) for date in dates]
    return odd[0] | odd[1]


def effective_records(customer_landing: DataFrame, as_of: int) -> DataFrame:
    """The customer records that count.

    What a person said in a file that the source has replaced they have said all the same, so that
    a replaced file cannot bring a consent back. Only where such a record has an impossible date
    does a record of that person in the current version of the file stand in its place, or else a
    date in a wrong unit could never be corrected.

    Args:
        customer_landing: The customer records.
        as_of: The time by which to judge (epoch milliseconds, UTC).
    """
    if SUPERSEDED not in customer_landing.columns:
        return customer_landing
    current = customer_landing.where(f"not {SUPERSEDED} and {REPLACED} is not null")
    said = current.select(person("email").alias("_person"), F.col(REPLACED).alias("_file"))
    of_file = (person("email") == F.col("_person")) & (F.col(REPLACED) == F.col("_file"))
    wrong = F.col(SUPERSEDED) & impossible(as_of)
    kept = customer_landing.join(said.distinct(), wrong & of_file, "left_anti")
    return kept.drop(SUPERSEDED, REPLACED)


def latest_records(customer_landing: DataFrame, as_of: int) -> DataFrame:
    """The latest record of each person that counts, by lastUpdateDate.

    Of records of the same time one without consent counts before one with, a later consent
    before an earlier, and otherwise the first by its values. A record without a time is the
    oldest; of one with a time that cannot be it is not known, and it counts as the latest.

    Args:
        customer_landing: The customer records.
        as_of: The time by which to judge (epoch milliseconds, UTC).

    Returns:
        The customer columns, `email` as `person` writes it, and the boolean `_agrees`.
    """
    records = effective_records(customer_landing, as_of)
    latest = Window.partitionBy("email").orderBy(
        written().desc(),
        F.col(AGREES),
        F.col("shareWithResearchAsOfDate").desc_nulls_last(),
        *[F.col(name).asc_nulls_last() for name in records.columns],
    )
    return (
        records.withColumn("email", person("email"))
        .where("email is not null")
        .withColumn(AGREES, agrees(as_of))
        .withColumn("_rank", F.row_number().over(latest))
        .where("_rank = 1")
        .drop("_rank")
    )


def consenting_customers(customer_landing: DataFrame, as_of: int) -> DataFrame:
    """The people who agree to research, as their latest records say, once for each device.

    Whichever record registers a device, it is the person's. One who has none has one row.

    Args:
        customer_landing: The customer records.
        as_of: The time by which to judge (epoch milliseconds, UTC).

    Returns:
        The customer columns, `email` as `person` writes it; no two rows share e-mail and device.
    """
    records = effective_records(customer_landing, as_of)
    people = latest_records(records, as_of).where(AGREES).drop("serialNumber")
    return people.join(devices(records), "email", "left").select(*records.columns)


def devices(customer_landing: DataFrame) -> DataFrame:
    """Every device of every person: `email` as `person` writes it, and `serialNumber`."""
    registered = customer_landing.select(
        person("email").alias("email"), device("serialNumber").alias("serialNumber")
    )
    return registered.dropna().distinct()
