"""The landing assets as Dagster runs them: figures, versions, checks, messages."""

from __future__ import annotations

import os
from pathlib import Path

import dagster as dg
import pytest

from stedi_assets.landing.fingerprint import fingerprint
from stedi_assets.orchestration.source import SourceData
from stedi_assets.storage import open_folder
from stedi_assets.tables.accelerometer import ACCELEROMETER_LANDING
from stedi_assets_tests.assets.conftest import (
    BROKEN,
    CUT_SHORT,
    MALFORMED_SHARE,
    QUARANTINE,
    check,
    data_version,
    failure,
    figures,
    materialization,
    quarantined,
)
from stedi_assets_tests.bound import LANDING, bound
from stedi_assets_tests.lines import ANN, BEN


def test__landing__metadata(landing):
    landing.arrive("a.json", ANN, BROKEN)
    landing.arrive("b.json", BEN)
    first = materialization(landing.run(max_malformed_share=1)).metadata
    names = ("files", "files_read", "files_uploaded", "malformed")
    assert figures(first, "dagster/row_count", *names) == {
        "dagster/row_count": 2,
        "files": 2,
        "files_read": 2,
        "files_uploaded": 2,
        "malformed": 1,
    }
    assert first["dagster/uri"].value == f"file://{landing.uri}/accelerometer/landing"

    landing.arrive("c.json", BEN)
    second = materialization(landing.run(max_malformed_share=1)).metadata
    assert figures(second, "dagster/row_count", *names) == {
        "dagster/row_count": 3,
        "files": 3,
        "files_read": 1,
        "files_uploaded": 1,
        "malformed": 1,
    }


@pytest.mark.parametrize("name", [ACCELEROMETER_LANDING.name, QUARANTINE.name])
def test__landing__one_asset_alone(landing, name):
    """A run that selects it shows no other, and keeps all that it read."""
    landing.arrive("a.json", ANN, BROKEN)

    result = landing.run(selection=[name], max_malformed_share=1)

    made = [event.asset_key.to_user_string() for event in result.get_asset_materialization_events()]
    checked = {each.asset_key.to_user_string() for each in result.get_asset_check_evaluations()}
    assert result.success
    assert (made, checked) == ([name], {name} & {ACCELEROMETER_LANDING.name})
    assert landing.lakehouse.landing_profile(ACCELEROMETER_LANDING).records == 1
    assert len(quarantined(landing)) == 1


def test__materialization__schema_is_what_dagsters_own_check_compares(landing):
    landing.arrive("a.json", ANN)
    names = [ACCELEROMETER_LANDING.name, QUARANTINE.name]
    [check_schema] = dg.build_column_schema_change_checks(assets=names)
    with dg.DagsterInstance.ephemeral() as instance:
        for _ in range(2):
            landing.run(instance=instance)
        fewer = dg.TableSchema([dg.TableColumn("user", "string")])
        metadata = {"dagster/column_schema": fewer}
        instance.report_runless_asset_event(dg.AssetMaterialization(names[0], metadata=metadata))
        found = dg.materialize(
            [LANDING[names[0]], check_schema],
            instance=instance,
            selection=dg.AssetSelection.checks(check_schema),
            resources={**bound(landing.lakehouse), "source": SourceData(path="")},
        )
    passed = {e.asset_key.to_user_string(): e.passed for e in found.get_asset_check_evaluations()}
    assert passed == {names[0]: False, names[1]: True}


def test__landing__lands_byte_for_byte(landing):
    landing.arrive("a.json", ANN, BROKEN)
    landing.run(max_malformed_share=1)
    landed = Path(landing.uri) / "accelerometer" / "landing" / "a.json"
    assert landed.read_text() == f"{ANN}\n{BROKEN}\n"


def test__data_version__is_the_fingerprint_of_what_landed(landing):
    landing.arrive("a.json", ANN)
    first = landing.run()
    again = landing.run()
    landed = open_folder(landing.lakehouse.uri_of(ACCELEROMETER_LANDING))
    assert data_version(first) == fingerprint(landed.digests(landed.json_lines()))
    assert data_version(again) == data_version(first)

    landing.arrive("b.json", BEN)
    assert data_version(landing.run()) != data_version(first)


def test__landing__unchanged_is_not_read_again(landing):
    landing.arrive("a.json", ANN, BROKEN)
    first = landing.run(max_malformed_share=1)
    again = landing.run(max_malformed_share=1)
    assert (again.success, landing.version()) == (True, 0)
    assert figures(materialization(again).metadata, "dagster/row_count", "malformed") == {
        "dagster/row_count": 1,
        "malformed": 1,
    }
    shares = [check(run, MALFORMED_SHARE).metadata for run in (first, again)]
    assert shares[0] == shares[1]

    landing.arrive("b.json", CUT_SHORT)
    landing.run(max_malformed_share=1)
    assert landing.version() == 1
    assert [line for line, _ in quarantined(landing)] == [BROKEN, CUT_SHORT]


def test__source__that_does_not_exist(landing, tmp_path):
    result = landing.run(source=str(tmp_path / "nowhere"))
    assert not result.success
    assert failure(result).startswith(
        f"[SETTING] STEDI_SOURCE_DATA names {tmp_path / 'nowhere'}, which is not a folder."
    )


def test__source__empty_reads_what_is_there(landing):
    landed = Path(landing.uri) / "accelerometer" / "landing"
    landed.mkdir(parents=True)
    (landed / "a.json").write_text(f"{ANN}\n{BEN}\n")
    result = landing.run(source="")
    assert result.success
    assert figures(
        materialization(result).metadata, "dagster/row_count", "files", "files_uploaded"
    ) == {"dagster/row_count": 2, "files": 1, "files_uploaded": 0}


def test__source__nothing_anywhere(landing):
    result = landing.run()
    assert not result.success
    assert failure(result).startswith(
        f"[LANDING_EMPTY] The landing folder file://{landing.uri}/accelerometer/landing has no "
        "*.json or *.json.gz file."
    )


@pytest.mark.parametrize(
    "arrive",
    [
        pytest.param(lambda landing: landing.arrive("b.json", BROKEN, CUT_SHORT), id="malformed"),
        pytest.param(lambda landing: landing.arrive("b.json.gz", BEN), id="not_compressed"),
        pytest.param(lambda landing: None, id="well_formed"),
    ],
)
def test__events__hold_no_personal_data(landing, arrive):
    """Neither events, metadata, check results nor errors tell what the files hold of people."""
    landing.arrive("a.json", ANN, BEN)
    arrive(landing)
    result = landing.run()
    told = "\n".join(repr(event) for event in result.all_events)
    assert "accelerometer_landing" in told
    for personal in ("ann@x.io", "ben@x.io", "cy@x.io", "di@x.io", "soon"):
        assert personal not in told


def test__landing__leaves_a_file_that_is_being_written_to_the_next_run(landing):
    landing.arrive("a.json", ANN)
    landing.arrive("b.json", BEN)
    landing.arrive("from-a-clock-that-is-ahead.json", BEN)
    folder = landing.source / ACCELEROMETER_LANDING.location
    os.utime(folder / "a.json", (1e9, 1e9))
    os.utime(folder / "from-a-clock-that-is-ahead.json", (1e10, 1e10))

    first = landing.run(settle_seconds=5)
    at_once = landing.run()

    assert materialization(first).metadata["files_uploaded"].value == 2
    assert materialization(at_once).metadata["files_uploaded"].value == 1
