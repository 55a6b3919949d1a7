"""What Hypothesis lands: well-formed records of all sources.

A few people, devices and days, so that keys repeat, devices are shared, people take their consent
back, and consent falls on the very millisecond of a reading, or later than now.
"""

from __future__ import annotations

from hypothesis import strategies as st

from stedi_assets_tests.rows import NOON, customer, device_reading, phone_reading

DAY = 24 * 3_600_000
DAYS = [NOON, NOON + DAY, NOON + 2 * DAY]
# All but the last day are over.
NOW = DAYS[1] + 3_600_000
YEAR_9999 = 253_370_764_800_000

days = st.sampled_from(DAYS)
spellings = st.sampled_from(["{}", " {}", "{}\t\r\n", "\u00a0{} ", "\ufeff{}\u2003"])
people = st.sampled_from([f"{name}@example.com" for name in ("ann", "bob", "cid", "eve", "zoe")])
emails = st.builds(
    lambda written, email, change_case: written.format(change_case(email)),
    spellings,
    people,
    st.sampled_from([str.lower, str.upper, str.title]),
)
devices = st.sampled_from(["device-1", "device-2", "device-3"])
customers = st.builds(
    customer,
    emails,
    st.none() | devices,
    st.sampled_from([*DAYS[:2] * 8, DAYS[2], None, 0, -NOON, NOON // 1000, YEAR_9999]),
    name=st.sampled_from(["Ann", "Bob", None]),
    # Often at the same time, since it is ties that are easy to get wrong.
    updated=st.sampled_from(
        [*DAYS[1:2] * 12, *DAYS[:1] * 4, DAYS[2], None, 0, -NOON, NOON // 1000, YEAR_9999]
    ),
)
phone_readings = st.builds(phone_reading, emails, days, st.sampled_from([0.25, 0.5]))
device_readings = st.builds(device_reading, devices, days, st.sampled_from([0, 201, 202]))
