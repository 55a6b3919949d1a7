"""What is kept with a commit is read as far as it is known, whoever wrote it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from stedi_assets.lakehouse.commit import FORMAT, UNKNOWN, Commit, Landed
from stedi_assets.landing.profile import LandingProfile
from stedi_assets.policy import Options

# As the release before kept it, which numbered no formats.
MADE_BEFORE = {
    "run": "r-1",
    "as_of": 1655564376361,
    "config": {
        "after_consent_only": False,
        "match_device": True,
        "pseudonymise_devices": False,
    },
    "code": "4c1f6a3f0d2e",
    "landing": {"customer_landing": {"records": 956, "superseded": "e3b0c44298fc"}},
    "weaker_until": None,
    "accepted_rows": 32025,
}
QUARANTINED_BEFORE = {
    "run": "r-1",
    "landing": {
        "fingerprint": "f1",
        "reader": "r2",
        "objects": 10,
        "malformed": 3,
        "tidy": False,
        "superseded_tidy": True,
        "not_utf8": ["a1"],
        "unreadable": [],
        "implausible": 1,
        "implausible_values": {"z": 1},
    },
}
MADE = Commit(
    run="r-1",
    as_of=1655564376361,
    config=Options(match_device=True),
    code="4c1f6a3f0d2e",
    landing={"customer_landing": Landed(records=956, superseded="e3b0c44298fc")},
    weaker_until=None,
    accepted_rows=32025,
)
PROFILE = LandingProfile(
    fingerprint="f1",
    reader="r2",
    objects=10,
    malformed=3,
    conforming=False,
    superseded_conforming=True,
    not_utf8=["a1"],
    unreadable=[],
    implausible=1,
    implausible_values={"z": 1},
)
QUARANTINED = Commit(run="r-1", profile=PROFILE)


@pytest.mark.parametrize("commit", [MADE, QUARANTINED, UNKNOWN])
def test__read__what_this_release_kept(commit: Commit) -> None:
    assert json.loads(commit.text)["format"] == FORMAT
    assert Commit.read(commit.text) == commit
    assert Commit.read(commit.text).knows_weaker == commit.knows_weaker


@pytest.mark.parametrize(
    ("kept", "commit"), [(MADE_BEFORE, MADE), (QUARANTINED_BEFORE, QUARANTINED)]
)
def test__read__what_the_release_before_kept(kept: dict[str, Any], commit: Commit) -> None:
    assert Commit.read(json.dumps(kept)) == commit


@pytest.mark.parametrize(
    "text", ["", "{", "null", "[1]", '"run"', "NaN", '{"format": 2, "run": "r-1"}', '{"format": 0}']
)
def test__read__another_format_is_not_known(text: str) -> None:
    assert Commit.read(text) == UNKNOWN


@pytest.mark.parametrize(
    ("name", "odd"),
    [
        ("run", 7),
        ("as_of", "noon"),
        ("config", "strict"),
        ("config", {"match_device": []}),
        ("code", None),
        ("landing", {"customer_landing": {"records": 956}}),
        ("landing", {"customer_landing": {"records": "many", "superseded": 1}}),
        ("weaker_until", "never"),
        ("accepted_rows", 1.5),
        ("profile", {**PROFILE.model_dump(), "of_a_later_release": 1}),
        ("profile", {"objects": 10}),
    ],
)
@pytest.mark.parametrize("kept", [MADE_BEFORE, json.loads(MADE.text)])
def test__read__an_odd_field_alone_is_not_known(kept: dict, name: str, odd: object) -> None:
    found = Commit.read(json.dumps({**kept, name: odd}))

    others = {each: value for each, value in json.loads(MADE.text).items() if each != name}
    assert found == Commit.model_validate(others)
    assert found.knows_weaker == (name != "weaker_until")


def test__read__fields_of_a_later_release_are_ignored() -> None:
    assert Commit.read(json.dumps({**MADE_BEFORE, "input_versions": {"customer": 3}})) == MADE
