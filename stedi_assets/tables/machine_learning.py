"""What models train on: a device's and a phone's readings of the same millisecond."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from stedi_assets.tables import accelerometer, step_trainer
from stedi_assets.tables.recount import total
from stedi_assets.tables.schema import Check, Device, Table, Through, Zone

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from stedi_assets.policy import Options


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


def recount(
    step_trainer_trusted: DataFrame,
    accelerometer_trusted: DataFrame,
    customer_curated: DataFrame,
    options: Options,
) -> DataFrame:
    """For each reading of a device the phone readings of its millisecond, summed.

    Returns:
        One row: `expected`; of those, `pairs_of_two_people` whose device is not registered to the
        phone's owner, and `readings_before_consent` that are not later than the owner's consent;
        and how well a person is hidden among the others: `people`, and the
        `fewest_rows_of_a_person`.
    """
    # Not count: the embedded engine fails to plan it where a table has one value of a key only.
    phones = accelerometer_trusted.groupBy("timestamp", "user").agg(
        F.sum(F.lit(1)).alias("readings")
    )
    owners = customer_curated.select(
        F.col("email").alias("owner"),
        F.col("serialNumber").alias("owned"),
        F.col("shareWithResearchAsOfDate").alias("consented"),
    )
    # Unique by what is joined, so that whoever has two devices counts once.
    people = owners.groupBy("owner").agg(F.min("consented").alias("consented"))
    owned = owners.groupBy(F.col("owner").alias("its_owner"), "owned").agg(
        F.min("consented").alias("consented_with_it")
    )
    # The embedded engine keeps the left side of a join in memory: each time the smaller.
    moved = people.join(phones, F.col("owner") == F.col("user"))
    devices = step_trainer_trusted.select("sensorReadingTime", "serialNumber")
    beside = devices.join(moved, F.col("sensorReadingTime") == F.col("timestamp"))
    theirs = (F.col("its_owner") == F.col("user")) & (F.col("owned") == F.col("serialNumber"))
    pairs = owned.join(beside, theirs, "right").select(
        "user",
        "timestamp",
        "consented",
        "consented_with_it",
        # Whoever owns no device moved beside another's.
        F.col("owned").isNotNull().alias("matches"),
        F.col("readings").alias("rows"),
    )
    if options.match_device:
        pairs = pairs.where("matches")
    if options.after_consent_only:
        consented = "consented_with_it" if options.match_device else "consented"
        pairs = pairs.where(f"{consented} < timestamp")
    each = pairs.groupBy("user").agg(
        F.sum("rows").alias("rows"),
        F.sum(F.when(~F.col("matches"), F.col("rows"))).alias("of_two"),
        F.sum(F.when(F.col("consented") >= F.col("timestamp"), F.col("rows"))).alias("before"),
    )
    return each.agg(
        total("rows").alias("expected"),
        total("of_two").alias("pairs_of_two_people"),
        total("before").alias("readings_before_consent"),
        F.count(F.lit(1)).alias("people"),
        F.coalesce(F.min("rows"), F.lit(0)).alias("fewest_rows_of_a_person"),
    )


COLUMNS = (*step_trainer.COLUMNS, *accelerometer.READING_COLUMNS)

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
    recount=recount,
    checks=(
        Check(
            "pairs_of_two_people",
            "No row pairs one person's phone with another's device.",
            "pair one person's phone with another's device, because both moved in the same "
            "millisecond. The option match_device leaves them out.",
            warns=True,
        ),
        Check(
            "readings_before_consent",
            "No row was recorded before its person consented.",
            "were recorded before the person consented. The option after_consent_only leaves them "
            "out.",
            warns=True,
        ),
    ),
)
