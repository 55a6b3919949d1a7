"""What is kept with a commit is read as far as it is known, whoever wrote it."""

from __future__ import annotations

import json

import pytest

from stedi_assets.lakehouse.changes import Change
from stedi_assets.lakehouse.commit import FORMAT, UNKNOWN, Commit, Landed
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
MADE = Commit(
    run="r-1",
    as_of=1655564376361,
    config=Options(match_device=True),
    code="4c1f6a3f0d2e",
    landing={"customer_landing": Landed(records=956, superseded="e3b0c44298fc")},
    weaker_until=None,
    accepted_rows=32025,
)
MADE_NOW = MADE.model_copy(
    update={
        "made_from": {"customer_landing": "a1"},
        "valid": (1655564376361, 1655564376362),
        "changes": (Change(id="b1", version=3, ranges=((0, 299_999),)), Change(id="b2", version=4)),
    }
)


@pytest.mark.parametrize("commit", [MADE, MADE_NOW, UNKNOWN])
def test__read__what_this_release_kept(commit: Commit) -> None:
    assert json.loads(commit.text)["format"] == FORMAT
    assert Commit.read(commit.text) == commit
    assert Commit.read(commit.text).knows_weaker == commit.knows_weaker


def test__read__what_a_release_before_kept() -> None:
    assert Commit.read(json.dumps(MADE_BEFORE)) == MADE


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
        ("changes", [{"id": "a1"}]),
        ("made_from", {"customer_landing": 1}),
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
