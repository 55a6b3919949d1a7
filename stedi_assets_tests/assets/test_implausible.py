"""Values that cannot be stop a run before anything is made of them, if they are many."""

from __future__ import annotations

import re
from pathlib import Path
from unittest import mock

import dagster as dg
import pytest

from stedi_assets.landing.folder import LandingFolder
from stedi_assets.tables.customer import CUSTOMER_LANDING
from stedi_assets.tables.step_trainer import STEP_TRAINER_LANDING
from stedi_assets_tests.assets.conftest import Landing, check, materialization
from stedi_assets_tests.bound import LANDING
from stedi_assets_tests.conftest import Materialize
from stedi_assets_tests.lines import ANN
from stedi_assets_tests.test_pipeline import SAMPLE

SHARE = "implausible_share"
SECONDS = ANN.replace("1655564376361", "1655564376")


def phones(implausible: int, of: int) -> list[str]:
    return [SECONDS] * implausible + [ANN] * (of - implausible)


@pytest.mark.parametrize(
    ("implausible", "of", "passed", "success"),
    [(0, 10, True, True), (1, 100, False, True), (2, 100, False, False), (3, 3, False, False)],
)
def test__implausible_share__blocks_above_the_threshold(
    landing: Landing, implausible: int, of: int, passed: bool, success: bool
) -> None:
    landing.arrive("a.json", *phones(implausible, of))
    result = landing.run()
    share = check(result, SHARE)
    assert (share.passed, result.success) == (passed, success)
    assert share.blocking
    assert share.metadata["implausible"].value == implausible
    assert materialization(result).metadata["implausible"].value == implausible
    if not passed:
        warns = share.severity is dg.AssetCheckSeverity.WARN
        assert warns is success


def test__implausible_share__says_what_is_wrong(landing: Landing) -> None:
    landing.arrive("a.json", *phones(2, 100))
    assert check(landing.run(), SHARE).description == (
        "2 of 100 records in accelerometer/landing have a value out of its range (2.0%, 1 % "
        "allowed): timestamp 2. Times are epoch milliseconds, distances at least 1. Correct the "
        "files at their source, or allow more by max_implausible_share in the run configuration of "
        "accelerometer_landing."
    )


@pytest.mark.parametrize(("allowed", "success"), [(0.019, False), (0.02, True)])
def test__implausible_share__threshold_is_run_configuration(
    landing: Landing, allowed: float, success: bool
) -> None:
    landing.arrive("a.json", *phones(2, 100))
    assert landing.run(max_implausible_share=allowed).success is success


def test__implausible_share__beside_malformed_lines(landing: Landing) -> None:
    """Records are counted, not fragments."""
    landing.arrive("a.json", *phones(1, 1), "no record")
    share = check(landing.run(max_malformed_share=1), SHARE)
    assert (share.metadata["implausible"].value, share.metadata["records"].value) == (1, 1)


@pytest.mark.parametrize(
    ("distance", "time", "implausible"),
    [
        (1, 1655564376361, 0),
        (0, 1655564376361, 1),
        (-3, 1655564376361, 1),
        (1, 1655564376361000, 1),
        (1, -1655564376361, 1),
        (0, 0, 1),
    ],
)
def test__implausible_share__devices(
    landing: Landing, distance: int, time: int, implausible: int
) -> None:
    line = f'{{"sensorReadingTime":{time},"serialNumber":"s-1","distanceFromObject":{distance}}}'
    landing.arrive("a.json", line, table=STEP_TRAINER_LANDING)
    result = landing.run(asset=LANDING["step_trainer_landing"])
    assert check(result, SHARE).metadata["implausible"].value == implausible


@pytest.mark.parametrize(
    ("fields", "implausible"),
    [
        ("", 0),
        ('"shareWithResearchAsOfDate":0', 0),
        ('"shareWithResearchAsOfDate":null', 0),
        ('"shareWithResearchAsOfDate":1655564376361,"lastUpdateDate":1655564376361', 0),
        ('"shareWithResearchAsOfDate":1655564376', 1),
        ('"lastUpdateDate":1655564376', 1),
        ('"registrationDate":-1', 1),
        ('"shareWithFriendsAsOfDate":253370764800000', 1),
        # Tomorrow can be: whether it counts as consent is for the rules to say.
        ('"shareWithResearchAsOfDate":4070908800000', 0),
    ],
)
def test__implausible_share__customers(landing: Landing, fields: str, implausible: int) -> None:
    line = '{"email":"ann@x.io","serialNumber":"s-1"' + (f",{fields}" if fields else "") + "}"
    landing.arrive("a.json", line, table=CUSTOMER_LANDING)
    result = landing.run(asset=LANDING["customer_landing"])
    assert check(result, SHARE).metadata["implausible"].value == implausible


def test__implausible_share__is_known_of_an_unchanged_folder(landing: Landing) -> None:
    landing.arrive("a.json", *phones(1, 100))
    first = landing.run()
    with mock.patch.object(LandingFolder, "judged", side_effect=AssertionError):
        again = landing.run()
    assert again.success
    assert check(again, SHARE).description == check(first, SHARE).description


def test__implausible_share__stops_the_run(materialize: Materialize, tmp_path: Path) -> None:
    """Phone readings in seconds pair with nothing: no table that they would empty is made."""
    assert materialize(SAMPLE).result.success
    landed = tmp_path / "lakehouse" / "accelerometer" / "landing"
    for path in landed.glob("*.json"):
        path.write_text(re.sub(r'("timestamp":\d{10})\d{3}', r"\1", path.read_text()))

    run = materialize("")

    assert not run.result.success
    assert "failed accelerometer_landing, implausible_share: 81,273 of 81,273" in run.printed
    made = set(run.rows)
    assert not made & {"accelerometer_trusted", "customer_curated", "machine_learning_curated"}
