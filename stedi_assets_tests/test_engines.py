"""The same tables from a JVM Spark as from the embedded engine."""

from __future__ import annotations

import gzip
import os
import shutil
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pyarrow as pa
import pytest
from dagster import DagsterEventType

from stedi_assets.engine.spark import SparkResource
from stedi_assets.lakehouse import delta
from stedi_assets.lakehouse.lakehouse import Lakehouse
from stedi_assets.orchestration.history import INSTANCE
from stedi_assets.sample.files import write_sample
from stedi_assets.sample.spec import SampleSpec
from stedi_assets.tables import DELTA_TABLES, LANDING_TABLES, TABLES
from stedi_assets_tests.conftest import PROJECT, Materialize
from stedi_assets_tests.lines import ANN
from stedi_assets_tests.rows import PLACE

pytestmark = [pytest.mark.jvm, pytest.mark.timeout(900)]

ROWS_OF_SMALL = {table.name: 1 for table in DELTA_TABLES}
# A step makes a table or checks it; a landing step does both, and makes the quarantine table. One
# more checks the drift of what is published.
STEPS = 2 * len(DELTA_TABLES) + len(LANDING_TABLES) + 1

# What engines have been seen to read each in its own way; the people are of no cohort.
LINE = ANN.encode()
HARD = {
    "accelerometer/landing/hard.json": (
        b"\xef\xbb\xbf" + LINE + b"\r\n"  # a byte-order mark, and Windows' line ends
        b"\n" + LINE + LINE + b"," + LINE + b"\n"  # a blank line, and three objects on one
        b'{"user":"ann@x.io","timeStamp":"1655564376361","x":"1","y":1e4,"z":0}\n'
        b'{"user":"ann@x.io","timestamp":99999999999999999999,"x":1.0,"y":0.0,"z":0.0}\n'
        b'{"user":"ann@x.io","timestamp":1655564376361,"x":NaN,"y":0.0,"z":0.0}\n'
        b"{'user':'ann@x.io','timestamp':1655564376361,'x':1.0,'y':0.0,'z':0.0}\n"
        b'{"user":"ann@x.io","timestamp":16555\n'
    ),
    "accelerometer/landing/bytes.json": LINE + b"\n" + LINE.replace(b"ann", b"\xe4nn") + b"\n",
    "accelerometer/landing/packed.json.gz": gzip.compress(LINE + b"\n", mtime=0),
    "accelerometer/landing/empty.json": b"",
    "step_trainer/landing/hard.json": (
        b'{"sensorReadingTime":1655564376361,"serialNumber":7,"distanceFromObject":99999999999}\n'
        b'{"sensorReadingTime":1655564376361.0,"serialNumber":7,"distanceFromObject":"7"}\n'
        b'{"sensorReadingTime":1.655564376361e12,"serialNumber":"{a}","distanceFromObject":2.5}\n'
    ),
    "customer/landing/hard.json": (
        '{"email":"ann@x.io","serialNumber":"7","customerName":"Zoë \\"A\\" Ångström",'
        '"phone":5550100,"shareWithResearchAsOfDate":"1655564376000","unknown":{"a":[1]}}\n'
        '{"email":"bea@x.io","serialNumber":"8","shareWithResearchAsOfDate":0}\n'
        '{"email":null,"serialNumber":"9"}\n'
    ).encode(),
}


@pytest.fixture
def hard(tmp_path: Path) -> Path:
    """A sample with repeated and malformed records, and lines that engines differ on."""
    source = tmp_path / "source"
    write_sample(source, SampleSpec(malformed=0.002, duplicates=0.01))
    (source / "manifest.json").unlink()  # which does not tell of what follows
    for name, content in HARD.items():
        (source / name).write_bytes(content)
    return source


def test__pipeline__every_table_as_on_the_embedded_engine(
    jvm_server: str, materialize: Materialize, hard: Path, tmp_path: Path
) -> None:
    found: dict[str, dict[str, pa.Table]] = {}
    verdicts: dict[str, list] = {}
    for remote in ("", jvm_server):
        run = materialize(hard, remote=remote)
        assert run.result.success, run.printed
        found[remote] = contents(tmp_path / "lakehouse", remote)
        verdicts[remote] = sorted(
            (check.asset_key.to_user_string(), check.check_name, check.passed, check.description)
            for check in run.result.get_asset_check_evaluations()
        )
        shutil.rmtree(tmp_path / "lakehouse")

    for name, expected in found[""].items():
        assert expected.num_rows > 0, f"{name} is empty, so that nothing is compared"
        assert found[jvm_server][name].equals(expected), f"{name} differs"
    assert verdicts[jvm_server] == verdicts[""]


def contents(lakehouse: Path, remote: str) -> dict[str, pa.Table]:
    """The rows of every table in order, but for when they were set aside."""
    spark = SparkResource(remote=remote)
    stored = Lakehouse(str(lakehouse), spark)
    found = {}
    for table in TABLES.values():
        columns = [name for name in table.column_names if name not in PLACE]
        rows = stored.read(table).select(*columns).toArrow()
        found[table.name] = rows.sort_by([(column, "ascending") for column in columns])
    spark.stop()
    return found


def test__local__whole_command(jvm_server: str, small: Path, tmp_path: Path) -> None:
    """With `local[2]` the run starts a JVM of its own; the server only tells that there is one."""
    run = subprocess.run(
        [sys.executable, "-m", "stedi_assets.cli", "materialize"],
        env=environment(tmp_path, small, "local[2]"),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert run.returncode == 0, run.stdout + run.stderr
    assert "Failed to set" not in run.stderr
    assert rows(tmp_path) == ROWS_OF_SMALL


def test__multiprocess__a_process_a_step(jvm_server: str, small: Path, tmp_path: Path) -> None:
    configuration = tmp_path / "run.yaml"
    configuration.write_text(
        "execution: {config: {multiprocess: {max_concurrent: 2, start_method: "
        "{forkserver: {preload_modules: [stedi_assets.definitions]}}}}}"
    )
    dagster = str(Path(sys.executable).with_name("dagster"))
    job = ["job", "execute", "-m", "stedi_assets.definitions", "-j", "materialize_lakehouse"]

    run = subprocess.run(
        [dagster, *job, "-c", str(configuration)],
        env=environment(tmp_path, small, jvm_server),
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert run.returncode == 0, run.stdout + run.stderr
    assert rows(tmp_path) == ROWS_OF_SMALL
    with dg.DagsterInstance.from_config(str(tmp_path / "history")) as instance:
        [made] = instance.get_runs()
        started = instance.all_logs(made.run_id, of_type=DagsterEventType.STEP_WORKER_STARTED)
        assert len(started) == STEPS


def environment(tmp_path: Path, source: Path, remote: str) -> dict[str, str]:
    history = tmp_path / "history"
    history.mkdir()
    shutil.copy(INSTANCE, history)
    return {
        **os.environ,
        "STEDI_LAKEHOUSE_URI": str(tmp_path / "lakehouse"),
        "STEDI_SOURCE_DATA": str(source),
        "STEDI_SPARK_REMOTE": remote,
        "DAGSTER_HOME": str(history),
    }


def rows(tmp_path: Path) -> dict[str, int]:
    states = {
        table.name: delta.state(f"file://{tmp_path}/lakehouse/{table.location}")
        for table in DELTA_TABLES
    }
    return {name: state.rows for name, state in states.items() if state}


def test__hold__goes_with_the_session(jvm_server: str, tmp_path: Path) -> None:
    """What the server caches outlives a session: another would be given it, stale."""
    file = tmp_path / "rows.txt"
    file.write_text("one\n")
    first = SparkResource(remote=jvm_server)
    held = first.cached(first.spark_session.read.text(file.as_uri()))
    assert held.count() == 1
    file.write_text("one\ntwo\n")
    assert held.count() == 1  # read once
    first.stop()

    second = SparkResource(remote=jvm_server)

    assert second.spark_session.read.text(file.as_uri()).count() == 2
    second.stop()
