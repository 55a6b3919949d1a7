"""What identifies people is the same in the engine and in the texts that it is looked for in."""

from __future__ import annotations

import pytest

from stedi_assets.erasure import text, whom
from stedi_assets_tests.rows import CUSTOMERS, Frame, customer


@pytest.mark.parametrize(
    "phone",
    ["+1 (801) 555-0103", "8015550103", "801.555.0103", "555 01 00"],
)
def test__identifiers__phone(phone: str, frame: Frame) -> None:
    customers = frame(CUSTOMERS, [customer("Ann@Example.com", "d", phone=phone)])
    people = frame("email string", [("ann@example.com",)])
    found = {row.kind: row.value for row in whom._identifiers(customers, people).collect()}
    assert found == {
        whom.ADDRESS: "ann@example.com",
        whom.PHONE: text.phone_of(phone),
        whom.DEVICE: "d",
        whom.NAME: "example person",
        whom.OTHER: "1980-02-29",
    }


@pytest.mark.parametrize("phone", [" 12 ", "555-01", "0", "n/a", "-", "+-()", "1-800-FLOWERS", ""])
def test__identifiers__what_is_no_phone_is_no_ones(phone: str, frame: Frame) -> None:
    """Or else another's reading would go, because its distance is that number."""
    customers = frame(CUSTOMERS, [customer("ann@example.com", "d", phone=phone)])
    people = frame("email string", [("ann@example.com",)])
    found = {row.kind for row in whom._identifiers(customers, people).collect()}
    assert found == {whom.ADDRESS, whom.DEVICE, whom.NAME, whom.OTHER}


def test__identifiers__shared_with_others(frame: Frame) -> None:
    customers = frame(
        CUSTOMERS,
        [
            customer("ann@example.com", "hers", phone="801 555 0101"),
            customer("ann@example.com", "of-both", phone="8015550100"),
            customer("bob@example.com", "of-both", phone="801-555-0100"),
        ],
    )
    people = frame("email string", [("ann@example.com",)])
    found = {row.value: row.others for row in whom._identifiers(customers, people).collect()}
    assert found == {
        "ann@example.com": 0,
        "hers": 0,
        "8015550101": 0,
        "of-both": 1,
        "8015550100": 1,
        "example person": 1,
        "1980-02-29": 1,
    }
