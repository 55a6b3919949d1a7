"""The rows that a sample gives in every table, counted without an engine."""

from __future__ import annotations

from collections import Counter, defaultdict

from stedi_assets.sample.cohort import Cohort


def count_rows(cohort: Cohort) -> Counter[str]:
    """Counts the rows that a cohort's records give in every table.

    Args:
        cohort: The well-formed records.

    Returns:
        Table to number of rows. machine_learning_curated stands with neither option, and again
        with each option and with both, as `machine_learning_curated+option`.
    """
    trusted = [one for one in cohort.customers if one.get("shareWithResearchAsOfDate")]
    consent = {one["email"]: one["shareWithResearchAsOfDate"] for one in trusted}
    phones = Counter((one.user, one.timestamp) for one in cohort.accelerations)
    phones = Counter({phone: count for phone, count in phones.items() if phone[0] in consent})
    users = {user for user, _ in phones}
    curated = {tuple(one.items()) for one in trusted if one["email"] in users}
    device = {one["email"]: one["serialNumber"] for one in map(dict, curated)}
    serial_numbers = set(device.values())
    devices: defaultdict[int, Counter[str]] = defaultdict(Counter)
    for reading in cohort.distances:
        if reading.serial_number in serial_numbers:
            devices[reading.time][reading.serial_number] += 1
    rows = Counter(
        customer_landing=len(cohort.customers),
        accelerometer_landing=len(cohort.accelerations),
        step_trainer_landing=len(cohort.distances),
        customer_trusted=len(trusted),
        accelerometer_trusted=phones.total(),
        customer_curated=len(curated),
        step_trainer_trusted=sum(map(Counter.total, devices.values())),
    )
    table = "machine_learning_curated"
    # Every user left is curated: one who consented and has readings.
    for (user, time), count in phones.items():
        paired = count * devices[time].total()
        own = count * devices[time][device[user]]
        after = consent[user] < time
        rows[table] += paired
        rows[f"{table}+after_consent_only"] += paired if after else 0
        rows[f"{table}+match_device"] += own
        rows[f"{table}+after_consent_only+match_device"] += own if after else 0
    return rows
