"""The invented people of a sample, and what their phones and devices record."""

from __future__ import annotations

import functools
import itertools
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from random import Random
from typing import Any, NamedTuple

from stedi_assets.sample.spec import SampleSpec

PEOPLE = 956
# When people consent, relative to their recording: how many of a cohort.
CONSENT = {"before": 96, "during": 368, "after": 18, "never": 474}
TIMES = 30
# Accelerations at one person's timestamp: at how many timestamps of a cohort. The sums are 28,680
# timestamps and 81,273 accelerations.
ROWS_AT_TIME = {3: 24_011, 2: 4_540, 1: 120, 4: 6, 5: 2, 6: 1}
ROWS_OF_PERSON = range(77, 91)

SECOND = 1_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
FIRST_HOUR = int(datetime(2022, 6, 14, 9, tzinfo=UTC).timestamp()) * SECOND
STEP = (2_033, 4_000)
# So few milliseconds for so many recordings that about one timestamp in twenty has two people.
STARTS = 4 * MINUTE

FIRST_NAMES = """
    Ada Alan Alice Amara Anton Beatriz Bruno Carla Cedric Clara Dario Diana Elena Elias Emma Felix
    Fiona George Grace Hana Hugo Ines Ivan Julia Kofi Laura Leo Lucia Marco Maria Mei Nadia Nora
    Oscar Paula Pedro Rosa Samuel Teresa Victor
"""
LAST_NAMES = """
    Adeyemi Almeida Baker Becker Bianchi Castro Dubois Eriksen Fischer Fontaine Garcia Greene Hughes
    Ito Keller Kowalski Larsen Martin Meyer Moreau Nakamura Novak Okafor Park Pereira Rossi Silva
    Tanaka Vargas Young
"""
NAMES = list(itertools.product(FIRST_NAMES.split(), LAST_NAMES.split()))
DOMAINS = ("example.com", "example.org", "example.net")
BIRTHDAYS = (date(1930, 1, 1).toordinal(), date(2005, 12, 31).toordinal())
DISTANCES = range(201, 301)
VECTORS = [
    f'"x":{x},"y":{y},"z":{z}'
    for x, y, z in itertools.product((-1.0, 0.0, 1.0), (-1.0, 0.0, 1.0), (-1.0, 0.0))
]
CONSENTED = "shareWithResearchAsOfDate"


class Moment(NamedTuple):
    """What a person's phone and device record in one millisecond.

    Attributes:
        time: Epoch milliseconds, UTC.
        distance: What the device measures, in its unit.
        vectors: The phone's accelerations, each the fields x, y and z as JSON.
    """

    time: int
    distance: int
    vectors: list[str]


class Person(NamedTuple):
    """A customer with a phone and a device.

    Attributes:
        customer: The customer record that lands.
        moments: The recording, in order.
    """

    customer: dict[str, Any]
    moments: list[Moment]

    @property
    def email(self) -> str:
        """The phone's user."""
        return str(self.customer["email"])

    @property
    def serial_number(self) -> str:
        """The device's."""
        return str(self.customer["serialNumber"])


@dataclass(frozen=True)
class Cohort:
    """956 people.

    Attributes:
        spec: What determines the sample.
        number: Which cohort, from 0.
        people: The people.
        withdrawals: Later records of some of them, which withdraw consent.
    """

    spec: SampleSpec
    number: int
    people: Sequence[Person]
    withdrawals: Sequence[dict[str, Any]]

    @functools.cached_property
    def consenting(self) -> Sequence[Person]:
        """The people who have consented and not withdrawn."""
        withdrawn = {record["email"] for record in self.withdrawals}
        return [p for p in self.people if CONSENTED in p.customer and p.email not in withdrawn]

    def random(self, purpose: str) -> Random:
        """Random numbers for one purpose, such as a source's records."""
        return self.spec.random(self.number, purpose)


def make_cohort(spec: SampleSpec, number: int) -> Cohort:
    """Invents the people of a cohort.

    Args:
        spec: What determines the sample.
        number: Which cohort, from 0.
    """
    random = spec.random(number, "people")
    consents = [kind for kind, people in CONSENT.items() for _ in range(people)]
    random.shuffle(consents)
    names = random.sample(NAMES, PEOPLE)
    people = []
    for name, consent, rows in zip(names, consents, _rows_at_times(random), strict=True):
        step = random.randint(*STEP)
        start = FIRST_HOUR + number * HOUR + random.randrange(STARTS)
        times = range(start, start + TIMES * step, step)
        customer = _make_customer(random, name, number, consent, times)
        moments = [
            Moment(time, random.choice(DISTANCES), random.sample(VECTORS, count))
            for time, count in zip(times, rows, strict=True)
        ]
        people.append(Person(customer, moments))
    return Cohort(spec, number, people, _withdrawals(spec, number, people))


def _rows_at_times(random: Random) -> list[list[int]]:
    rows = [count for count, times in ROWS_AT_TIME.items() for _ in range(times)]
    while True:
        random.shuffle(rows)
        people = [rows[first : first + TIMES] for first in range(0, len(rows), TIMES)]
        if all(sum(person) in ROWS_OF_PERSON for person in people):
            return people


def _make_customer(
    random: Random, name: tuple[str, str], cohort: int, consent: str, times: range
) -> dict[str, Any]:
    first, last = times[0], times[-1]
    match consent:
        case "before":
            updated = first - random.randint(1, 15 * SECOND)
        case "after":
            updated = last + random.randint(0, 15 * SECOND)
        case "during" if random.random() < 0.05:
            # Only a strict comparison leaves out the reading of the very millisecond of consent.
            updated = random.choice(times[: TIMES // 2])
        case _:
            updated = random.randrange(first, times[TIMES // 2])
    registered = updated - (random.randint(1, MINUTE) if random.random() < 0.05 else 0)
    # The next cohort has the same names; its number keeps the addresses apart.
    address = ".".join((*name, str(cohort)) if cohort else name).lower()
    area, subscriber = random.randint(200, 989), random.randint(0, 99)
    customer = {
        "customerName": " ".join(name),
        "email": f"{address}@{random.choice(DOMAINS)}",
        "phone": f"{area}55501{subscriber:02d}",
        "birthDay": date.fromordinal(random.randint(*BIRTHDAYS)).isoformat(),
        "serialNumber": str(uuid.UUID(int=random.getrandbits(128), version=4)),
        "registrationDate": registered,
        "lastUpdateDate": updated,
    }
    if consent != "never":
        customer[CONSENTED] = updated
    for audience in ("Public", "Friends"):
        if random.random() < 0.5:
            customer[f"shareWith{audience}AsOfDate"] = updated
    return customer


def _withdrawals(spec: SampleSpec, number: int, people: list[Person]) -> list[dict[str, Any]]:
    random = spec.random(number, "withdrawn")
    consenting = [person.customer for person in people if CONSENTED in person.customer]
    withdrawals = []
    for customer in random.sample(consenting, round(spec.withdrawn * len(consenting))):
        later = customer["lastUpdateDate"] + random.randint(10 * MINUTE, 30 * MINUTE)
        withdrawals.append({**customer, "lastUpdateDate": later})
        del withdrawals[-1][CONSENTED]
    return withdrawals
