"""Several writers on S3 at once: one wins, and the tables stay whole."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from stedi_assets.demo_s3 import S3Server
from stedi_assets.tables.step_trainer import STEP_TRAINER_TRUSTED
from stedi_assets_tests.runs import HANGING_SECONDS
from stedi_assets_tests.storage.conftest import GOOD_ROWS, Start, content, failures, row_counts


def test__s3__two_runs_at_once(
    start: Start, run: Start, uri: str, s3_server: S3Server, tmp_path: Path
) -> None:
    """Each ends well or says that the other was first; the tables are whole either way."""
    homes = [tmp_path / "one", tmp_path / "two"]
    for home in homes:
        home.mkdir()
    runs = [start(DAGSTER_HOME=str(home)) for home in homes]
    for each in runs:
        each.end()
        told = failures(each)
        # The other was first, or its rows were read before they were replaced.
        overtaken = any("same time" in line or ", counts: " in line for line in told)
        assert each.exit_status == 0 or overtaken, told
    if any(each.exit_status for each in runs):
        assert run().exit_status == 0
    assert row_counts(uri, s3_server) == GOOD_ROWS


WRITER = f"""
import sys
from stedi_assets.lakehouse.lakehouse import Lakehouse
from stedi_assets.lakehouse.commit import Commit
from stedi_assets.engine.spark import SparkResource
from stedi_assets.tables.step_trainer import {STEP_TRAINER_TRUSTED.name.upper()} as table

lakehouse = Lakehouse(sys.argv[1], SparkResource())
number = int(sys.argv[2])
rows = [(1655564376361 + each, "device", number) for each in range(100 + number)]
frame = lakehouse.spark_session.createDataFrame(rows, table.ddl)
before = lakehouse.state(table)
print("ready", flush=True)
sys.stdin.readline()
written = lakehouse.write(table, frame, Commit(run=str(number)))
print(written.rows)
"""


def test__write__several_at_once_never_mix(
    settings: dict[str, str], uri: str, s3_server: S3Server
) -> None:
    """Also where none of them found a table, so that each would make it."""
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, uri, str(number)],
            env=settings,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in (1, 2, 3)
    ]
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
    printed = [writer.communicate("\n", timeout=HANGING_SECONDS) for writer in writers]
    won = [
        number
        for number, (out, error) in enumerate(printed, 1)
        if out == f"{100 + number}\n" or "another run wrote it at the same time" not in error
    ]
    assert won
    stored = content(uri, STEP_TRAINER_TRUSTED, s3_server)
    [number] = set(stored["distanceFromObject"].to_pylist())
    assert stored.num_rows == 100 + number
    assert number in won
