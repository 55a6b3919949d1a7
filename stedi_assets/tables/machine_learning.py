"""What models train on: a device's and a phone's readings of the same millisecond."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stedi_assets.tables import accelerometer, recount, step_trainer
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
