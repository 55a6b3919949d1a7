"""What must be in each table and what the checks must tell, by loops over plain rows.

It shares nothing with the rules that it is held against, neither code nor constants.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import networkx as nx

YEAR_2000 = 946_684_800_000
YEAR_2100 = 4_102_444_800_000

Rows = list[tuple]
# The options after_consent_only and match_device.
Options = tuple[bool, bool]
OPTIONS: list[Options] = [(after, match) for after in (False, True) for match in (False, True)]


class Customer(NamedTuple):
    """A row of any customer table."""

    name: str | None
    email: str
    phone: str | None
    birthday: str | None
    device: str | None
    registered: int | None
    updated: int | None
    research: int | None
    public: int | None
    friends: int | None

    @property
    def written(self) -> int:
        """When, if it says so; a time before 2000 is no time, and may be after all others."""
        odd = self.updated and self.updated < YEAR_2000
        return 2**63 - 1 if odd else self.updated or 0

    def agrees(self, now: int) -> bool:
        """Whether it gives consent that can be, by a record that can be."""
        given = self.research is not None and YEAR_2000 <= self.research <= now
        return given and (not self.updated or YEAR_2000 <= self.updated <= now)


class Landed(NamedTuple):
    """The well-formed records of the three sources.

    Besides, of each customer file that was replaced, what it said before and what it says now.
    """

    customers: Rows
    phones: Rows
    devices: Rows
    replaced: Sequence[tuple[Rows, Rows]] = ()

    def words(self, now: int) -> Rows:
        """The customer records that count."""
        counting = list(self.customers)
        for once, current in self.replaced:
            corrected = {person(Customer._make(row).email) for row in current}
            counting += [
                row
                for row in once
                if person(Customer._make(row).email) not in corrected or not impossible(row, now)
            ]
        return counting


class Tables(NamedTuple):
    """The rows of the tables that are made of them; the training table under each option."""

    customer_trusted: Counter
    accelerometer_trusted: Counter
    customer_curated: Counter
    step_trainer_trusted: Counter
    machine_learning_curated: Mapping[Options, Counter]
    customer_training: Counter
    training_set: Counter


def person(address: str) -> str:
    """Who an address names."""
    return address.strip().strip("\u200b\ufeff").strip().lower()


def impossible(row: tuple, now: int) -> bool:
    """Whether a customer record dates its consent, or itself, at a time that cannot be."""
    return any(date and not YEAR_2000 <= date <= now for date in row[6:8])


def latest(customers: Iterable[tuple]) -> dict[str, list[Customer]]:
    """Each person's records of the latest time at which they said anything."""
    found: defaultdict[str, list[Customer]] = defaultdict(list)
    for record in map(Customer._make, customers):
        found[person(record.email)].append(record)
    return {
        email: [one for one in said if one.written == max(other.written for other in said)]
        for email, said in found.items()
    }


def agreeing(customers: Iterable[tuple], now: int) -> dict[str, Customer]:
    """Who agrees to research, and the record that says so."""

    def before_others(record: Customer) -> list:
        assert record.research is not None
        return [-record.research, *[(value is None, value) for value in record]]

    return {
        email: min((one._replace(email=email) for one in said), key=before_others)
        for email, said in latest(customers).items()
        if all(one.agrees(now) for one in said)
    }


def owned(customers: Iterable[tuple]) -> dict[str, set[str]]:
    """Each person's devices."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for record in map(Customer._make, customers):
        if record.device is not None and record.device.strip():
            found[person(record.email)].add(record.device)
    return dict(found)


def modelled(landed: Landed, now: int) -> Tables:
    """The rows of every table.

    Args:
        landed: What landed.
        now: The time by which to judge consent.
    """
    words = landed.words(now)
    agreed, devices = agreeing(words, now), owned(words)
    people = {
        record._replace(device=device)
        for email, record in agreed.items()
        for device in devices.get(email, {None})
    }
    moved = {(person(user), *reading) for user, *reading in landed.phones if person(user) in agreed}
    curated = {one for one in people if one.email in {user for user, *_ in moved}}
    stepped = {row for row in landed.devices if row[1] in {one.device for one in curated}}

    def paired(after_consent_only: bool, match_device: bool) -> Rows:
        return [
            (*step, *phone)
            for step in stepped
            for user, *phone in moved
            if step[0] == phone[0]
            and (not match_device or step[1] in devices.get(user, ()))
            and (not after_consent_only or (agreed[user].research or 0) < step[0])
        ]

    trained = {one for one in curated if one.device is not None}
    firsts = first_of({(one.email, one.device) for one in trained})
    owners = {one.device: one.email for one in trained}
    return Tables(
        Counter(map(tuple, people)),
        Counter(moved),
        Counter(map(tuple, curated)),
        Counter(stepped),
        {options: Counter(paired(*options)) for options in OPTIONS},
        Counter((one.email, one.device, one.research, firsts[one.email]) for one in trained),
        Counter((*row, part(firsts[owners[row[1]]])) for row in paired(True, True)),
    )


def first_of(owned: set[tuple[str, str | None]]) -> dict[str, str]:
    """Each person and the smallest address of those who are connected with them by devices."""
    graph = nx.Graph()
    graph.add_edges_from((("person", person), ("device", device)) for person, device in owned)
    found: dict[str, str] = {}
    for component in nx.connected_components(graph):
        people = [name for kind, name in component if kind == "person"]
        found |= dict.fromkeys(people, min(people, key=str.encode))
    return found


def part(first: str, seed: str = "stedi", train: int = 80, validation: int = 10) -> str:
    """The part of the split that a group is in, by its smallest address."""
    digest = hashlib.sha256(f"{seed}\n{first}".encode()).digest()
    place = int.from_bytes(digest[:4], "big") * 100 / 2**32
    if place < train:
        return "train"
    return "validation" if place < train + validation else "test"


def out_of_balance(training: Counter) -> int:
    """How many rows parts have too many or too few, where more than chance explains."""
    total, devices = training.total(), len({row[1] for row in training})
    faults = 0
    for name, share in {"train": 0.8, "validation": 0.1, "test": 0.1}.items() if total else ():
        rows = sum(count for row, count in training.items() if row[-1] == name)
        chance = (share * (1 - share) / devices) ** 0.5
        if round(abs(rows / total - share), 9) > round(max(0.05, 3 * chance), 9):
            faults += round(abs(rows - share * total))
    return faults


def told(landed: Landed, now: int, options: Options) -> dict[str, int]:
    """What the checks of a run must say: `table/check` to how much is at fault, if anything.

    Args:
        landed: What landed.
        now: The time by which consent is judged.
        options: Those of the training table.
    """
    made = modelled(landed, now)
    words = landed.words(now)
    agreed, devices = agreeing(words, now), owned(words)
    others = {device for email in devices.keys() - agreed for device in devices[email]}
    odd = [
        email for email, said in latest(words).items() if any(impossible(one, now) for one in said)
    ]
    stepped, training = made.step_trainer_trusted, made.machine_learning_curated[options]
    narrower = {
        check: made.machine_learning_curated[options[0] or after, options[1] or match]
        for check, after, match in [
            ("readings_before_consent", True, False),
            ("pairs_of_two_people", False, True),
        ]
    }
    odd_dates = [
        record
        for record in landed.customers
        if any(date and not YEAR_2000 <= date <= YEAR_2100 for date in record[5:])
    ]
    figures = {
        "customer_landing/implausible_share": len(odd_dates),
        "step_trainer_landing/implausible_share": sum(row[2] < 1 for row in landed.devices),
        "customer_trusted/impossible_consent": len(odd),
        "customer_trusted/near_duplicate_people": 0,
        "step_trainer_trusted/keys": len(stepped) - len({row[:2] for row in stepped}),
        "step_trainer_trusted/values": sum(row[2] < 1 for row in stepped),
        "step_trainer_trusted/devices_shared_without_consent": sum(
            row[1] in others for row in stepped
        ),
        "machine_learning_curated/values": sum(row[2] < 1 for row in training.elements()),
        "training_set/values": sum(row[2] < 1 for row in made.training_set.elements()),
        "training_set/split_balance": out_of_balance(made.training_set),
        **{
            f"machine_learning_curated/{check}": (training - rows).total()
            for check, rows in narrower.items()
        },
    }
    return {check: count for check, count in figures.items() if count}
