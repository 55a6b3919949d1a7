"""A device's and a phone's readings of the same millisecond, paired for models to train on."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from stedi_assets.split import Split
from stedi_assets.tables import accelerometer, recount, step_trainer
from stedi_assets.tables.columns import Column, ColumnType
from stedi_assets.tables.groups import FIRST
from stedi_assets.tables.schema import Check, Device, Table, Through, Zone
from stedi_assets.tables.value_counts import ROWS

if TYPE_CHECKING:
    from pyspark.sql import Column as Expression
    from pyspark.sql import DataFrame

    from stedi_assets.policy import Options

# By how many points of a hundred a part's share of the rows may differ from what was asked for,
# since people differ in how many rows they have; and of few people, by how many standard deviations
# of chance.
MAX_IMBALANCE, MAX_DEVIATIONS = 5, 3


def machine_learning_curated(
    step_trainer_trusted: DataFrame,
    accelerometer_trusted: DataFrame,
    customer_curated: DataFrame,
    options: Options,
) -> DataFrame:
    """Pairs device and phone readings of the same millisecond, if the user is a curated customer.

    Options, all off unless the privacy policy has them on: `after_consent_only` and `match_device`
    narrow it, `pseudonymise_devices` hides which devices they were.
    """
    device, phone = step_trainer_trusted.alias("device"), accelerometer_trusted.alias("phone")
    paired = device.join(phone, device.sensorReadingTime == phone.timestamp)
    owner = customer_curated
    permitted = paired.user == owner.email
    if options.match_device:
        permitted &= paired.serialNumber == owner.serialNumber
    if options.after_consent_only:
        permitted &= owner.shareWithResearchAsOfDate < paired.sensorReadingTime
    return paired.join(owner, permitted, "left_semi").select(*[each.name for each in COLUMNS])


def training_set(
    step_trainer_trusted: DataFrame,
    accelerometer_trusted: DataFrame,
    customer_training: DataFrame,
    split: Split,
) -> DataFrame:
    """Pairs the readings of a person's own device and phone of the same millisecond.

    Only those after the person's consent, whatever the options. People who share devices, however
    indirectly, are in one part of the split: that of the SHA-256 of the seed and the smallest
    address among them. `pseudonymise_devices` hides which devices they were.
    """
    owner = customer_training.select(
        F.col("email").alias("_owner"),
        F.col("serialNumber").alias("_owned"),
        F.col("shareWithResearchAsOfDate").alias("_consented"),
        part_of(FIRST, split).alias("split"),
    )
    device, phone = step_trainer_trusted, accelerometer_trusted
    owned = owner.join(device, owner._owned == device.serialNumber)
    permitted = owned.where("_consented < sensorReadingTime")
    same = (permitted.sensorReadingTime == phone.timestamp) & (permitted._owner == phone.user)
    return permitted.join(phone, same).select(*[each.name for each in TRAINING_COLUMNS])


def part_of(first: str, split: Split) -> Expression:
    """Which part of the split a group of people is in, by its smallest address.

    The first 32 bits of a SHA-256 are a number, and of each hundred of these the first are of
    `train`, the next of `validation` and the last of `test`.
    """
    digest = F.sha2(F.concat(F.lit(f"{split.seed}\n"), F.col(first)), 256)
    place = F.conv(F.substring(digest, 1, 8), 16, 10).cast("bigint") * 100
    until = split.train, split.train + split.validation
    train, validation = (place < F.lit(share * 2**32) for share in until)
    # Not otherwise: the embedded engine would store a column that cannot be null, the JVM does not.
    parts = F.when(train, "train").when(validation, "validation")
    return parts.when(place.isNotNull(), "test")


def in_two_parts(
    value_counts: DataFrame,
    customer_curated: DataFrame,
    shown: Callable[[DataFrame, str], DataFrame],
) -> int:
    """Counts the rows of devices, and of people's devices, that are in more than one part."""
    parts = value_counts.groupBy("serialNumber").agg(
        F.min("split").alias("_first"),
        F.max("split").alias("_last"),
        F.sum(ROWS).alias("_rows"),
    )
    owners = customer_curated.select("email", "serialNumber").dropna().distinct()
    whose = shown(owners, "serialNumber").join(parts, "serialNumber")
    people = whose.groupBy("email").agg((F.min("_first") != F.max("_last")).alias("_twice"))
    theirs = people.where("_twice").join(whose, "email").select("serialNumber").distinct()
    of_people = theirs.withColumn("_theirs", F.lit(True)).join(parts, "serialNumber", "right")
    twice = of_people.where("_theirs or _first <> _last").agg(recount.total("_rows"))
    return int(twice.collect()[0][0])


def out_of_balance(value_counts: DataFrame, split: Split) -> int:
    """Counts the rows that parts have too many or too few, if they are far from their shares."""
    # Not count: the embedded engine fails to plan it where a table has one value of a key only.
    each = value_counts.groupBy("split", "serialNumber").agg(F.sum(ROWS).alias("rows"))
    sums = F.sum("rows").alias("rows"), F.sum(F.lit(1)).alias("devices")
    found = {row["split"]: row for row in each.groupBy("split").agg(*sums).collect()}
    total, devices = (sum(row[n] for row in found.values()) for n in ("rows", "devices"))
    faults = 0
    for part, share in split.shares.items() if total else ():
        rows = found[part]["rows"] if part in found else 0
        off = abs(100 * rows - share * total)
        # In whole numbers: the variance of a share, in points, is share * (100 - share) / devices.
        allowed = max(MAX_IMBALANCE**2 * devices, MAX_DEVIATIONS**2 * share * (100 - share))
        if off**2 * devices > total**2 * allowed:
            faults += round(off / 100)
    return faults


COLUMNS = (*step_trainer.COLUMNS, *accelerometer.READING_COLUMNS)
TRAINING_COLUMNS = (
    *COLUMNS,
    Column("split", ColumnType.STRING, "The part that it is for: train, validation or test"),
)

MACHINE_LEARNING_CURATED = Table(
    "machine_learning",
    Zone.CURATED,
    "A device's and a phone's readings of the same millisecond, for training; names no one.",
    COLUMNS,
    subjects=(
        Device("serialNumber", pseudonymised=True),
        Through("accelerometer_landing", ("timestamp", "x", "y", "z")),
    ),
    references={
        "serialNumber": ("step_trainer_trusted", "serialNumber"),
        "timestamp": ("accelerometer_trusted", "timestamp"),
    },
    time_column="timestamp",
    anonymous=True,
    rule=machine_learning_curated,
    recount=recount.pairs,
    checks=(
        Check(
            "pairs_of_two_people",
            "The share of rows that pair one person's phone with another's device, which the "
            "option match_device would remove, is about what it was.",
            "pair one person's phone with another's device, because both moved in the same "
            "millisecond. The option match_device leaves them out.",
            warns=True,
            bound=0.05,
        ),
        Check(
            "readings_before_consent",
            "The share of rows that were recorded before their person consented, which the option "
            "after_consent_only would remove, is about what it was.",
            "were recorded before the person consented. The option after_consent_only leaves them "
            "out.",
            warns=True,
            bound=0.05,
        ),
    ),
)

TRAINING_SET = Table(
    "machine_learning",
    Zone.TRAINING,
    "A reading of a person's device beside one of their phone, after their consent, in one part of "
    "a split by person; names no one.",
    TRAINING_COLUMNS,
    subjects=MACHINE_LEARNING_CURATED.subjects,
    references={"serialNumber": ("customer_training", "serialNumber")},
    time_column="timestamp",
    anonymous=True,
    rule=training_set,
    recount=recount.own_pairs,
    checks=(
        Check(
            "split_leakage",
            "No person and no device is in two parts of the split.",
            "are of a person or a device that is in more than one part of the split.",
            blocking=True,
            count=in_two_parts,
        ),
        Check(
            "split_balance",
            f"Each part of the split has its share of the rows, within {MAX_IMBALANCE} points, or "
            f"{MAX_DEVIATIONS} standard deviations of chance where people are few.",
            "are too many or too few in their part of the split. Few people, or large groups of "
            "people who share devices, cannot be split evenly: choose another seed or shares.",
            warns=True,
            count=out_of_balance,
        ),
    ),
    called="training_set",
    strict=("after_consent_only", "match_device"),
    derived={"split": ("customer_training", FIRST)},
)
