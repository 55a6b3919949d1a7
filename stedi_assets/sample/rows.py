"""The rows that a sample gives in every table, counted without an engine."""

from __future__ import annotations

from collections import Counter, defaultdict

from stedi_assets.sample.cohort import Cohort, Customer

CONSENT = "shareWithResearchAsOfDate"


def count_rows(cohort: Cohort) -> Counter[str]:
    """Counts the rows that a cohort's records give in every table.

    Args:
        cohort: The well-formed records.

    Returns:
        Table to number of rows. machine_learning_curated stands with neither option, and again
        with each option and with both, as `machine_learning_curated+option`.
    """
    # Each person has one device, and a record that says something else is later.
    latest = {one["email"]: one for one in sorted(cohort.customers, key=_last_updated)}
    trusted = {user: one for user, one in latest.items() if CONSENT in one}
    consent = {user: one[CONSENT] for user, one in trusted.items()}
    readings = set(cohort.accelerations)
    phones = Counter((one.user, one.timestamp) for one in readings if one.user in consent)
    device = {user: trusted[user]["serialNumber"] for user, _ in phones}
    serial_numbers = set(device.values())
    devices: defaultdict[int, Counter[str]] = defaultdict(Counter)
    for reading in set(cohort.distances):
        if reading.serial_number in serial_numbers:
            devices[reading.time][reading.serial_number] += 1
    rows = Counter(
        customer_landing=len(cohort.customers),
        accelerometer_landing=len(cohort.accelerations),
        step_trainer_landing=len(cohort.distances),
        customer_trusted=len(trusted),
        accelerometer_trusted=phones.total(),
        customer_curated=len(device),
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


def _last_updated(customer: Customer) -> int:
    time: int = customer.get("lastUpdateDate", 0)
    return time
