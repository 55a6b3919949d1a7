"""The invented people of a sample, their devices and their phones."""

from __future__ import annotations

import itertools
import json
import uuid
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from random import Random
from typing import Any, NamedTuple

from stedi_assets.sample.recipe import (
    CONSENT,
    PEOPLE,
    ROWS_AT_TIME,
    ROWS_OF_PERSON,
    TIMES,
    Recipe,
)
from stedi_assets.tables import Table
from stedi_assets.tables.accelerometer import ACCELEROMETER_LANDING
from stedi_assets.tables.customer import CUSTOMER_LANDING
from stedi_assets.tables.step_trainer import STEP_TRAINER_LANDING

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

Customer = dict[str, Any]


class Acceleration(NamedTuple):
    """A phone's reading.

    Attributes:
        user: Its owner's e-mail address.
        timestamp: Epoch milliseconds.
        vector: The fields x, y and z, as JSON.
    """

    user: str
    timestamp: int
    vector: str


class Distance(NamedTuple):
    """A Step Trainer's reading.

    Attributes:
        time: Epoch milliseconds.
        serial_number: The device's.
        distance: To the object, in the device's unit.
    """

    time: int
    serial_number: str
    distance: int


class Cohort(NamedTuple):
    """The well-formed records of 956 people.

    Attributes:
        customers: Records as they land, with their JSON's fields.
        accelerations: The phones' readings.
        distances: The devices' readings.
    """

    customers: list[Customer]
    accelerations: list[Acceleration]
    distances: list[Distance]

    def lines(self) -> Iterator[tuple[Table, list[str]]]:
        """Yields each landing table with its records as JSON."""
        yield CUSTOMER_LANDING, [json.dumps(customer) for customer in self.customers]
        yield (
            ACCELEROMETER_LANDING,
            [
                f'{{"user":"{user}","timestamp":{timestamp},{vector}}}'
                for user, timestamp, vector in self.accelerations
            ],
        )
        yield (
            STEP_TRAINER_LANDING,
            [
                f'{{"sensorReadingTime":{time},"serialNumber":"{serial_number}",'
                f'"distanceFromObject":{distance}}}'
                for time, serial_number, distance in self.distances
            ],
        )


def make_cohort(recipe: Recipe, number: int) -> Cohort:
    """Makes up the people of a cohort, with the recipe's withdrawals and duplicates.

    Args:
        recipe: What determines the sample.
        number: Which cohort, from 0.

    Returns:
        Its records, with times in epoch milliseconds.
    """
    random = recipe.random(number, "people")
    cohort = Cohort([], [], [])
    consents = [kind for kind, people in CONSENT.items() for _ in range(people)]
    random.shuffle(consents)
    names = random.sample(NAMES, PEOPLE)
    for name, consent, rows in zip(names, consents, _rows_at_times(random), strict=True):
        step = random.randint(*STEP)
        start = FIRST_HOUR + number * HOUR + random.randrange(STARTS)
        times = range(start, start + TIMES * step, step)
        customer = _make_customer(random, name, number, consent, times)
        user, serial_number = customer["email"], customer["serialNumber"]
        cohort.customers.append(customer)
        for time, count in zip(times, rows, strict=True):
            cohort.distances.append(Distance(time, serial_number, random.choice(DISTANCES)))
            for vector in random.sample(VECTORS, count):
                cohort.accelerations.append(Acceleration(user, time, vector))
    cohort.customers.extend(_withdrawals(recipe, number, cohort.customers))
    random = recipe.random(number, "duplicates")
    for records in cohort:
        again: list[Any] = random.sample(records, round(recipe.duplicates * len(records)))
        records.extend(again)
    return cohort


def _rows_at_times(random: Random) -> list[list[int]]:
    rows = [count for count, times in ROWS_AT_TIME.items() for _ in range(times)]
    while True:
        random.shuffle(rows)
        people = [rows[first : first + TIMES] for first in range(0, len(rows), TIMES)]
        if all(sum(person) in ROWS_OF_PERSON for person in people):
            return people


def _make_customer(
    random: Random, name: tuple[str, str], cohort: int, consent: str, times: range
) -> Customer:
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
    # Names come again in the next cohort; its number keeps the addresses apart.
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
        customer["shareWithResearchAsOfDate"] = updated
    for audience in ("Public", "Friends"):
        if random.random() < 0.5:
            customer[f"shareWith{audience}AsOfDate"] = updated
    return customer


def _withdrawals(recipe: Recipe, number: int, customers: Sequence[Customer]) -> list[Customer]:
    random = recipe.random(number, "withdrawn")
    consenting = [one for one in customers if "shareWithResearchAsOfDate" in one]
    withdrawals = []
    for customer in random.sample(consenting, round(recipe.withdrawn * len(consenting))):
        later = customer["lastUpdateDate"] + random.randint(10 * MINUTE, 30 * MINUTE)
        withdrawal = customer | {"lastUpdateDate": later}
        del withdrawal["shareWithResearchAsOfDate"]
        withdrawals.append(withdrawal)
    return withdrawals
