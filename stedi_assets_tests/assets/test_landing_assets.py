"""The landing assets as Dagster runs them: figures, versions, checks, quarantine, messages."""

from __future__ import annotations

import datetime as dt
import json
import os
import shutil
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from stedi_assets.assets.landing import accelerometer_landing, customer_landing
from stedi_assets.lakehouse.fingerprint import fingerprint
from stedi_assets.lakehouse.io_manager import LakehouseIOManager
from stedi_assets.lakehouse.storage import open_folder
from stedi_assets.resources.source import SourceData
from stedi_assets.resources.spark import SparkResource
from stedi_assets.tables import ACCELEROMETER_LANDING, CUSTOMER_LANDING, Table, quarantine_of

ANN = '{"user":"ann@x.io","timestamp":1655564376361,"x":1.0,"y":-2.5,"z":0.0}'
BEN = '{"user":"ben@x.io","timestamp":1655564376362,"x":2.0,"y":0.5,"z":3.0}'
BROKEN = '{"user":"cy@x.io","timestamp":"soon","x":2.0,"y":0.5,"z":3.0}'
CUT_SHORT = '{"user":"di@x.io","times'
QUARANTINE = quarantine_of(ACCELEROMETER_LANDING)

ACCOUNTED_FOR, MALFORMED_SHARE = "objects_accounted_for", "malformed_share"


class Landing:
    """A source folder, the lakehouse it lands in, and runs of the assets over them."""

    def __init__(self, folder: Path, spark: SparkResource) -> None:
        self.source = folder / "source"
        self.source.mkdir()
        self.uri = str(folder / "lakehouse")
        self.spark = spark

    def arrive(self, name: str, *lines: str, table: Table = ACCELEROMETER_LANDING) -> None:
        """Puts a file of lines into the source folder."""
        path = self.source / table.location / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"{line}\n" for line in lines))

    @property
    def lakehouse(self) -> LakehouseIOManager:
        """The lakehouse as a new run sees it."""
        return LakehouseIOManager(uri=self.uri, spark=self.spark)

    def run(
        self,
        *,
        asset: dg.AssetsDefinition = accelerometer_landing,
        source: str | None = None,
        **config: float,
    ) -> dg.ExecuteInProcessResult:
        """Materialises a landing asset."""
        return dg.materialize(
            [asset],
            resources={
                "io_manager": self.lakehouse,
                "source": SourceData(path=str(self.source) if source is None else source),
            },
            run_config={"ops": {asset.op.name: {"config": config}}},
            raise_on_error=False,
        )

    def version(self) -> int:
        """The quarantine table's Delta version, which grows with every reading of the files."""
        state = self.lakehouse.state(QUARANTINE)
        assert state is not None
        return state.version


@pytest.fixture
def landing(tmp_path: Path, spark_resource: SparkResource) -> Landing:
    return Landing(tmp_path, spark_resource)


def materialization(
    result: dg.ExecuteInProcessResult, name: str = "accelerometer_landing"
) -> dg.AssetMaterialization:
    [found] = [
        event.materialization
        for event in result.get_asset_materialization_events()
        if event.asset_key == dg.AssetKey(name)
    ]
    return found


def data_version(result: dg.ExecuteInProcessResult, name: str = "accelerometer_landing") -> str:
    return (materialization(result, name).tags or {})["dagster/data_version"]


def figures(metadata: Any, *names: str) -> dict[str, Any]:
    return {name: metadata[name].value for name in names}


def check(result: dg.ExecuteInProcessResult, name: str) -> dg.AssetCheckEvaluation:
    [found] = [e for e in result.get_asset_check_evaluations() if e.check_name == name]
    return found


def failure(result: dg.ExecuteInProcessResult) -> str:
    """What the failed step says."""
    [event] = [event for event in result.all_events if event.is_step_failure]
    data = event.step_failure_data
    return str(data.user_failure_data.description if data.user_failure_data else data.error)


def quarantined(landing: Landing) -> list[tuple[str, str]]:
    rows = landing.lakehouse.read(QUARANTINE).collect()
    return sorted((row.line, row.reason) for row in rows)


def test__landing__metadata(landing):
    landing.arrive("a.json", ANN, BROKEN)
    landing.arrive("b.json", BEN)
    sizes = [len(f"{ANN}\n{BROKEN}\n"), len(f"{BEN}\n")]

    first = materialization(landing.run(max_malformed_share=1)).metadata
    names = ("files", "size_bytes", "files_uploaded", "bytes_uploaded", "malformed")
    assert figures(first, "dagster/row_count", *names) == {
        "dagster/row_count": 2,
        "files": 2,
        "size_bytes": sum(sizes),
        "files_uploaded": 2,
        "bytes_uploaded": sum(sizes),
        "malformed": 1,
    }
    assert first["dagster/uri"].value == f"file://{landing.uri}/accelerometer/landing"

    landing.arrive("c.json", BEN)
    second = materialization(landing.run(max_malformed_share=1)).metadata
    assert figures(second, "dagster/row_count", *names) == {
        "dagster/row_count": 3,
        "files": 3,
        "size_bytes": sum(sizes) + sizes[1],
        "files_uploaded": 1,
        "bytes_uploaded": sizes[1],
        "malformed": 1,
    }


def test__quarantine__metadata(landing):
    landing.arrive("a.json", ANN, BROKEN)
    result = landing.run(max_malformed_share=1)
    metadata = materialization(result, "accelerometer_quarantine").metadata
    assert figures(metadata, "dagster/row_count", "delta_version") == {
        "dagster/row_count": 1,
        "delta_version": 0,
    }
    assert data_version(result, "accelerometer_quarantine") == data_version(result)


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
    assert [evaluation.passed for evaluation in result.get_asset_check_evaluations()] == [True] * 2
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
        "1 of 200 objects in accelerometer/landing cannot be read (0.50%, 1.00% allowed). "
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
        "1 of 2 objects in accelerometer/landing cannot be read (50.00%, 1.00% allowed). "
        "Some have no field that a record must have: if they are another source's, move that file "
        "out of accelerometer/landing."
    )


def test__landing__customer_without_consent_is_no_fault(landing):
    landing.arrive("a.json", '{"email":"ann@x.io","serialNumber":"s-1"}', table=CUSTOMER_LANDING)
    result = landing.run(asset=customer_landing)
    assert result.success
    assert check(result, MALFORMED_SHARE).passed


def manifest(landing: Landing, rows: int, fingerprint: str) -> None:
    recorded = {
        "sources": {"accelerometer": {"fingerprint": fingerprint}},
        "rows": {"accelerometer_landing": rows},
    }
    (landing.source / "manifest.json").write_text(json.dumps(recorded))


@pytest.mark.parametrize(
    ("rows", "told_of", "passed", "recorded"),
    [
        pytest.param(2, "these files", True, 2, id="agrees"),
        pytest.param(3, "these files", False, 3, id="differs"),
        pytest.param(3, "other files", True, None, id="tells_of_other_files"),
    ],
)
def test__objects_accounted_for__manifest(landing, rows, told_of, passed, recorded):
    landing.arrive("a.json", ANN, BEN)
    these = data_version(landing.run())
    manifest(landing, rows, these if told_of == "these files" else "0" * 64)

    result = landing.run()
    found = check(result, ACCOUNTED_FOR)
    assert (result.success, found.passed) == (passed, passed)
    value = found.metadata.get("recorded_in_manifest")
    assert (value.value if value else None) == recorded


def test__source__that_does_not_exist(landing, tmp_path):
    result = landing.run(source=str(tmp_path / "nowhere"))
    assert not result.success
    assert failure(result).startswith(
        f"STEDI_SOURCE_DATA names {tmp_path / 'nowhere'}, which is not a folder."
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
        f"The landing folder file://{landing.uri}/accelerometer/landing has no "
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
