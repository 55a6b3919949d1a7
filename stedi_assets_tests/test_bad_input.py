"""What a user can get wrong ends in one clear sentence, and nothing is lost."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import psutil
import pytest

from stedi_assets.engine import spark
from stedi_assets.errors import CANCELLED, CANCELLED_STATUS
from stedi_assets.orchestration.history import INSTANCE
from stedi_assets.tables import LANDING_TABLES
from stedi_assets_tests.conftest import PROJECT, Materialize
from stedi_assets_tests.runs import HANGING_SECONDS, Run

pytestmark = pytest.mark.slow

SAMPLE = PROJECT / "data"


@pytest.fixture
def listener() -> Iterator[int]:
    """A port where something listens that is no Spark Connect server."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield server.getsockname()[1]


def test__source_data__does_not_exist(materialize: Materialize, tmp_path: Path) -> None:
    run = materialize(tmp_path / "nowhere")

    assert not run.result.success
    assert run.printed.count("[SETTING]") == 1  # though three steps meet it


def test__path__with_brackets_is_printed_as_it_is(materialize: Materialize, tmp_path: Path) -> None:
    assert f"{tmp_path}/no[red]where" in materialize(tmp_path / "no[red]where").printed


def test__landing__pretty_printed_array(materialize: Materialize, small: Path) -> None:
    [file] = (small / "customer" / "landing").iterdir()
    people = [json.loads(line) for line in file.read_text().splitlines()]
    file.write_text(json.dumps(people, indent=2))

    run = materialize(small)

    [check] = [line for line in run.printed.splitlines() if "malformed_share" in line]
    assert "jq -c '.[]'" in check
    assert "customer_trusted" not in run.rows


def test__ctrl_c__cancels(small: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "dagster.yaml").write_bytes(INSTANCE.read_bytes())
    run = Run(
        {
            **os.environ,
            "STEDI_SOURCE_DATA": str(small),
            "STEDI_LAKEHOUSE_URI": str(tmp_path / "lakehouse"),
            "STEDI_SPARK_REMOTE": "",
            "DAGSTER_HOME": str(home),
        }
    )
    give_up = time.monotonic() + HANGING_SECONDS
    while "customer_landing" not in run.printed and run.exit_status is None:
        assert time.monotonic() < give_up
        time.sleep(0.01)
    assert run.process.pid
    command = psutil.Process(run.process.pid)
    for process in (*command.children(recursive=True), command):  # as a terminal does
        process.send_signal(signal.SIGINT)

    assert run.end().exit_status == CANCELLED_STATUS, run.printed
    assert run.printed.endswith(f"{CANCELLED}\n")
    assert "Traceback" not in run.printed
    with dg.DagsterInstance.from_config(str(home)) as instance:
        [told] = instance.get_runs()
        assert told.status is not dg.DagsterRunStatus.SUCCESS


def test__source_data__empty_and_nothing_landed(materialize: Materialize, tmp_path: Path) -> None:
    run = materialize("")

    assert not run.result.success
    assert run.printed.count("[LANDING_EMPTY]") == len(LANDING_TABLES)


def test__lakehouse__a_file_stands_in_its_place(
    materialize: Materialize, small: Path, tmp_path: Path
) -> None:
    (tmp_path / "lakehouse").write_text("not a folder")

    run = materialize(small)

    assert not run.result.success
    assert "[NOT_A_FOLDER] The lakehouse" in run.printed
    assert (tmp_path / "lakehouse").read_text() == "not a folder"


def test__table_folder__a_file_stands_in_its_place(
    materialize: Materialize, small: Path, tmp_path: Path
) -> None:
    (tmp_path / "lakehouse" / "customer").mkdir(parents=True)
    (tmp_path / "lakehouse" / "customer" / "trusted").write_text("not a folder")

    run = materialize(small)

    assert not run.result.success
    assert "failed customer_trusted: [NOT_A_FOLDER] The lakehouse" in run.printed


def test__landing__another_sources_file(materialize: Materialize, small: Path) -> None:
    stray = small / "accelerometer" / "landing" / "stray.json"
    stray.write_bytes((small / "customer" / "landing" / "customer-1.json").read_bytes())

    run = materialize(small)

    assert not run.result.success
    assert (
        "2 of 4 objects in accelerometer/landing cannot be read (50.0%, 1 % allowed). "
        "Some have no field that a record must have: if they are another source's, move that file "
        "out of accelerometer/landing." in run.printed
    )
    assert "accelerometer_trusted" not in run.rows
    assert "example.com" not in run.printed


def test__spark_remote__nothing_listens(
    materialize: Materialize, small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spark, "CONNECT_TIMEOUT_SECONDS", 1)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    run = materialize(small, remote=f"sc://127.0.0.1:{port}/;token=secret")

    assert not run.result.success
    assert run.printed.count("[ENGINE_UNREACHABLE]") == 1
    assert "secret" not in run.printed


def test__spark_remote__something_else_listens(
    materialize: Materialize, small: Path, listener: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spark, "CONNECT_TIMEOUT_SECONDS", 1)

    run = materialize(small, remote=f"sc://127.0.0.1:{listener}")

    assert not run.result.success
    assert "[ENGINE_UNREACHABLE]" in run.printed


def test__spark_remote__not_an_address(materialize: Materialize, small: Path) -> None:
    run = materialize(small, remote="spark.example.com")

    assert not run.result.success
    assert run.printed.count("[SETTING] STEDI_SPARK_REMOTE") == 1


def test__delta_log__cut_short(materialize: Materialize, small: Path, tmp_path: Path) -> None:
    materialize(small)
    table = tmp_path / "lakehouse" / "customer" / "trusted"
    commit = table / "_delta_log" / "00000000000000000000.json"
    commit.write_bytes(commit.read_bytes()[:100])
    kept = sorted(table.glob("*.parquet"))

    run = materialize(small)

    assert not run.result.success
    assert "failed customer_trusted: [LOG_DAMAGED]" in run.printed
    assert sorted(table.glob("*.parquet")) == kept != []


def test__make_dev__port_in_use(listener: int) -> None:
    command = [sys.executable, "-m", "stedi_assets.cli", "dev", "--port", str(listener)]

    ended = subprocess.run(command, capture_output=True, text=True, check=False, cwd=PROJECT)

    assert ended.returncode == 1
    assert ended.stderr.startswith(f"[PORT] Port {listener} is in use")


def test__make_materialize__exit_status_and_no_traceback(tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "STEDI_SOURCE_DATA": str(tmp_path / "nowhere"),
        "STEDI_LAKEHOUSE_URI": str(tmp_path / "lakehouse"),
        "DAGSTER_HOME": str(tmp_path),
    }
    (tmp_path / "dagster.yaml").write_bytes(INSTANCE.read_bytes())
    command = [sys.executable, "-m", "stedi_assets.cli", "materialize"]

    ended = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)

    assert ended.returncode == 1
    assert f"{tmp_path}/nowhere, which is not a folder" in ended.stdout
    assert ended.stderr == ""
