"""`stedi pseudonyms` turns addresses into what the job takes."""

from __future__ import annotations

import pytest

from stedi_assets.erasure.addresses import pseudonyms_of
from stedi_assets.errors import LakehouseError
from stedi_assets.pseudonyms import Pseudonyms
from stedi_assets_tests.rows import PSEUDONYMS


def test__pseudonyms_of__reads_addresses_however_written() -> None:
    expected = [PSEUDONYMS.of_text(person) for person in ("ann@example.com", "bob@example.com")]
    assert pseudonyms_of([" Ann@Example.com\n", "\n", "bob@example.com"], PSEUDONYMS) == expected


def test__pseudonyms_of__no_key() -> None:
    with pytest.raises(LakehouseError, match="in STEDI_PSEUDONYM_KEY"):
        pseudonyms_of(["ann@example.com"], Pseudonyms(""))


@pytest.mark.parametrize(
    "line", ["Ann Archer", "ann@", "@example.com", "ann@example.com bob@example.com", "a@b@c"]
)
def test__pseudonyms_of__no_address(line: str) -> None:
    """The message says which line, not what it holds."""
    with pytest.raises(LakehouseError) as raised:
        pseudonyms_of(["ann@example.com\n", "\n", f"{line}\n"], PSEUDONYMS)

    assert raised.value.args == ("Line 3 is no e-mail address. Write one address a line.",)
