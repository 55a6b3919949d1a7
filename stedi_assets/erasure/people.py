"""The people to erase, and what of a line is theirs: one rule for landing and for quarantine."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from stedi_assets.erasure import objects
from stedi_assets.erasure import text as texts
from stedi_assets.erasure.objects import Segment
from stedi_assets.pseudonyms import Pseudonyms
from stedi_assets.tables import LANDING_TABLES, Table, consent
from stedi_assets.tables.schema import Person

# A shorter serial number identifies a device only where it is labelled as one.
DISTINCTIVE = 6
ADDRESSES_REMEMBERED = 1 << 16
LETTERS = re.compile(r"[\W_]+")


@dataclass(frozen=True)
class Remainder:
    """A line without the people.

    Attributes:
        line: Its text, or None if nothing is left.
        ambiguous: How many of its segments may be of the people or of others: those that stay,
            with a name or birthday alone, or a phone or a device that others have too; and text
            that goes for a phone or a device, though it has another person's address.
    """

    line: str | None
    ambiguous: int = 0


@dataclass
class People:
    """The people to erase, and what identifies them.

    Attributes:
        pseudonyms: Makes pseudonyms of addresses.
        asked: Pseudonyms of those whose addresses may be known by nothing else.
        addresses: Their e-mail addresses, as `consent.person_of` has them, as far as known.
        phones: Their phone numbers, by `text.phone_of`, that no one else has.
        devices: Serial numbers of devices that are registered to no one else.
        shared: Phone numbers and serial numbers of theirs that others have too.
        names: Their names.
    """

    pseudonyms: Pseudonyms
    asked: frozenset[str] = frozenset()
    addresses: frozenset[str] = field(default=frozenset(), repr=False)
    phones: frozenset[str] = field(default=frozenset(), repr=False)
    devices: frozenset[str] = field(default=frozenset(), repr=False)
    shared: frozenset[str] = field(default=frozenset(), repr=False)
    names: frozenset[str] = field(default=frozenset(), repr=False)
    _known: dict[str, bool] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        self.names = frozenset(map(_name, self.names))
        found = {self.pseudonyms.of_text(each) for each in self.addresses} if self.asked else set()
        # Only an address can show that something is theirs.
        self._unresolved = self.asked - found
        phones = self.phones | self.shared
        self._digits = [each for each in phones if each.isdigit()]
        words = self.addresses | self.devices | self.names | phones
        self._words = [each.casefold() for each in words]

    def include(self, address: str) -> bool:
        """Whether an e-mail address is one of theirs."""
        person = consent.person_of(address)
        if person in self.addresses:
            return True
        if not self._unresolved or not person:
            return False
        if person not in self._known:
            if len(self._known) >= ADDRESSES_REMEMBERED:
                self._known.clear()
            self._known[person] = self._pseudonym(person) in self._unresolved
        return self._known[person]

    def pseudonyms_in(self, line: str) -> set[str]:
        """The pseudonyms of those of them whose addresses are in a line."""
        theirs = {consent.person_of(each) for each in texts.addresses(line) if self.include(each)}
        return set(map(self.pseudonyms.of_text, theirs))

    def without(self, line: str, table: Table) -> Remainder:
        """A line without them; all that is of others stays as it was.

        - A record of one of them is deleted.
        - A record of another person stays. A field of it with an address of theirs becomes empty.
        - A record that names no person, as a device's reading, is deleted if it has an address of
          theirs, or a phone or a device that is theirs alone.
        - So is text that is no record, even if it has another person's address.

        Args:
            line: A line of a landing file or of quarantine.
            table: The landing table of its source.
        """
        if not self._may_be_in(line):
            return Remainder(line)
        segments = list(objects.segments(line))
        left = [self._without(segment, table) for segment in segments]
        ambiguous = sum(each.ambiguous for each in left)
        kept = [each.line for each in left if each.line is not None]
        if kept == [segment.text for segment in segments]:
            return Remainder(line, ambiguous)
        return Remainder("\n".join(kept) or None, ambiguous)

    def named_in(self, file_name: str) -> bool:
        """Whether a file's name has what identifies one of them, or their name."""
        name = file_name.casefold()
        words = LETTERS.split(name)
        known = (*self.addresses, *(each for each in self.devices if len(each) >= DISTINCTIVE))
        return (
            any(each.casefold() in name for each in known)
            or any(each in "".join(words) for each in self.phones)
            or any(_is_among(each, words) for each in self.names)
            or (bool(self._unresolved) and self._includes_any(texts.embedded_addresses(file_name)))
        )

    def _may_be_in(self, line: str) -> bool:
        """A quick test, false only if they cannot be in a line."""
        for each in texts.decoded(line):
            folded = each.casefold()
            if any(word in folded for word in self._words):
                return True
            if self._digits:
                digits = texts.NOT_A_DIGIT.sub("", each)
                if any(number in digits for number in self._digits):
                    return True
        return bool(self._unresolved) and self._includes_any(texts.addresses(line))

    def _without(self, segment: Segment, table: Table) -> Remainder:
        text = segment.text
        addresses = texts.addresses(text)
        theirs = self._includes_any(addresses)
        if segment.is_object:
            fields = objects.fields(text)
            owners = (fields.get(name, "") for name in owner_fields(table))
            owner = next(filter(consent.person_of, owners), None)
            if owner is not None and not self.include(owner):
                return Remainder(objects.emptied(text, self._is_in) if theirs else text)
            device = {fields.get("serialNumber", "")}
            found = objects.values(text)
            if owner is not None or theirs or self._identified(found, device):
                return Remainder(None)
            return Remainder(text, int(self._ambiguous(found - device)))
        if theirs:
            return Remainder(None)
        found = texts.mentions(text)
        if self._identified(found, texts.serial_numbers(text)):
            others = any(texts.ONE_ADDRESS.fullmatch(each) for each in addresses)
            return Remainder(None, int(others))
        return Remainder(text, int(self._ambiguous(found)))

    def _includes_any(self, addresses: set[str]) -> bool:
        return any(map(self.include, addresses))

    def _is_in(self, text: str) -> bool:
        return self._includes_any(texts.addresses(text))

    def _identified(self, found: set[str], devices: set[str]) -> bool:
        """Whether a phone or a device that is theirs alone is among the parts of a text.

        `devices` are those that the text labels as serial numbers.
        """
        return bool(devices & self.devices) or any(
            (each in self.devices and len(each) >= DISTINCTIVE)
            or (each in self.phones or texts.phone_of(each) in self.phones)
            for each in found
        )

    def _ambiguous(self, found: set[str]) -> bool:
        """Whether a name of theirs, or what they share with others, is among parts of a text."""
        return any(
            _name(each) in self.names or each in self.shared or texts.phone_of(each) in self.shared
            for each in found
        )

    def _pseudonym(self, person: str) -> str | None:
        try:
            return self.pseudonyms.of_text(person)
        except UnicodeEncodeError:
            return None  # half of a surrogate pair, or an undecoded byte: not an address


def owner_fields(table: Table) -> list[str]:
    """The fields that say whose a record of a landing table is, the table's own first."""
    subjects = [each for known in (table, *LANDING_TABLES) for each in known.subjects]
    fields = [each.column for each in subjects if isinstance(each, Person)]
    return list(dict.fromkeys(fields))


def _is_among(name: str, words: list[str]) -> bool:
    """Whether a person's name is among the words of a file's name, or in its words run together."""
    parts = [part for part in LETTERS.split(name) if part]
    together = len(parts) > 1 and "".join(parts) in "".join(words)
    return bool(parts) and (together or f" {' '.join(parts)} " in f" {' '.join(words)} ")


def _name(text: str) -> str:
    return text.strip().casefold()


def remainder_of(record: str, people: People, landed: Table) -> Remainder:
    """What is left of a malformed record, line by line, without what is of people."""
    left = [people.without(line, landed) for line in record.split("\n")]
    kept = [each.line for each in left if each.line is not None]
    return Remainder("\n".join(kept), sum(each.ambiguous for each in left))
