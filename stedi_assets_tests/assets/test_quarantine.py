"""Lines that cannot be read are kept with their reason; too many of them fail the run."""

from __future__ import annotations

import datetime as dt
import shutil
from pathlib import Path

import dagster as dg
import pytest

from stedi_assets.tables.customer import CUSTOMER_LANDING
from stedi_assets_tests.assets.conftest import (
    ACCOUNTED_FOR,
    BROKEN,
    CUT_SHORT,
    MALFORMED_SHARE,
    QUARANTINE,
    check,
    data_version,
    figures,
    materialization,
    quarantined,
)
from stedi_assets_tests.bound import LANDING
from stedi_assets_tests.lines import ANN, BEN


def test__quarantine__metadata(landing):
    landing.arrive("a.json", ANN, BROKEN)
    result = landing.run(max_malformed_share=1)
    metadata = materialization(result, "accelerometer_quarantine").metadata
    assert figures(metadata, "dagster/row_count", "delta_version") == {
        "dagster/row_count": 1,
        "delta_version": 0,
    }
    assert data_version(result, "accelerometer_quarantine") == data_version(result)


def test__landing__read_again_where_the_quarantine_was_deleted(landing):
    landing.arrive("a.json", ANN, BROKEN)
    landing.run(max_malformed_share=1)
    shutil.rmtree(Path(landing.uri) / QUARANTINE.location)
    assert landing.run(max_malformed_share=1).success
    assert quarantined(landing) == [(BROKEN, "timestamp is not of type bigint")]


def test__quarantine__line_reason_and_time(landing):
    landing.arrive("a.json", ANN, BROKEN, BEN, CUT_SHORT)
    before = dt.datetime.now(dt.UTC)
    landing.run(max_malformed_share=1)
    after = dt.datetime.now(dt.UTC)
    assert quarantined(landing) == [
        (BROKEN, "timestamp is not of type bigint"),
        (CUT_SHORT, "not a JSON object"),
    ]
    times = landing.lakehouse.read(QUARANTINE).selectExpr("unix_micros(quarantinedAt)").collect()
    for [micros] in times:
        assert before.timestamp() - 1 <= micros / 1e6 <= after.timestamp() + 1


def test__quarantine__empty_where_all_is_well_formed(landing):
    landing.arrive("a.json", ANN, BEN)
    result = landing.run()
    assert result.success
    assert quarantined(landing) == []
    assert [evaluation.passed for evaluation in result.get_asset_check_evaluations()] == [True] * 4
    assert figures(check(result, ACCOUNTED_FOR).metadata, "objects", "records", "quarantined") == {
        "objects": 2,
        "records": 2,
        "quarantined": 0,
    }


def test__malformed_share__warns_under_the_threshold(landing):
    landing.arrive("a.json", *[ANN] * 199, BROKEN)
    result = landing.run()
    share = check(result, MALFORMED_SHARE)
    assert (result.success, share.passed) == (True, False)
    assert share.severity == dg.AssetCheckSeverity.WARN
    assert share.description == (
        "1 of 200 objects in accelerometer/landing cannot be read (0.5%, 1 % allowed). "
        "Correct or remove them in accelerometer/landing; accelerometer_quarantine lists them."
    )
    assert figures(share.metadata, "malformed", "objects", "share", "allowed_share") == {
        "malformed": 1,
        "objects": 200,
        "share": 0.005,
        "allowed_share": 0.01,
    }
    assert share.metadata["commonest_reasons"].value == {"timestamp is not of type bigint": 1}


def test__malformed_share__fails_the_run_over_the_threshold(landing):
    """Nothing is lost by it: the quarantine holds the lines, and both assets are materialised."""
    landing.arrive("a.json", *[ANN] * 9, BROKEN)
    result = landing.run()
    share = check(result, MALFORMED_SHARE)
    assert (result.success, share.passed) == (False, False)
    assert share.severity == dg.AssetCheckSeverity.ERROR
    assert quarantined(landing) == [(BROKEN, "timestamp is not of type bigint")]
    assert materialization(result).metadata["malformed"].value == 1


@pytest.mark.parametrize(("allowed", "success"), [(0.1, True), (0.09, False), (0.0, False)])
def test__malformed_share__threshold_is_run_configuration(landing, allowed, success):
    landing.arrive("a.json", *[ANN] * 9, BROKEN)
    assert landing.run(max_malformed_share=allowed).success is success


def test__malformed_share__another_sources_file(landing):
    landing.arrive("a.json", ANN)
    landing.arrive("people.json", '{"email":"ann@x.io","serialNumber":"s-1"}')
    result = landing.run()
    assert not result.success
    assert check(result, MALFORMED_SHARE).description == (
        "1 of 2 objects in accelerometer/landing cannot be read (50.0%, 1 % allowed). "
        "Some have no field that a record must have: if they are another source's, move that file "
        "out of accelerometer/landing."
    )


def test__landing__customer_without_consent_is_no_fault(landing):
    landing.arrive("a.json", '{"email":"ann@x.io","serialNumber":"s-1"}', table=CUSTOMER_LANDING)
    result = landing.run(asset=LANDING["customer_landing"])
    assert result.success
    assert check(result, MALFORMED_SHARE).passed
