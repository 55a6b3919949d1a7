"""One engine a run, started when needed and stopped with it."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from pysail.spark import SparkConnectServer
from pyspark.sql import SparkSession

from stedi_assets.engine import memory
from stedi_assets.engine.embedded import EmbeddedEngine
from stedi_assets.engine.spark import MUCH_MEMORY, PURGE_DELAY_MILLISECONDS, SCRATCH, SparkResource
from stedi_assets_tests.conftest import PROJECT, Materialize


@pytest.fixture
def resource() -> Iterator[SparkResource]:
    """A resource whose engine is stopped after the test."""
    resource = SparkResource()
    yield resource
    resource.stop()


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[EmbeddedEngine]:
    """The embedded engines that were started."""
    engines: list[EmbeddedEngine] = []
    start = SparkResource._start_embedded

    def note(self: SparkResource) -> EmbeddedEngine:
        engines.append(start(self))
        return engines[-1]

    monkeypatch.setattr(SparkResource, "_start_embedded", note)
    return engines


def test__run__starts_one_engine_and_stops_it(
    materialize: Materialize, started: list[EmbeddedEngine]
) -> None:
    run = materialize(PROJECT / "data", remote="")

    assert run.result.success, run.printed
    [engine] = started
    assert not engine.running


def test__resource__starts_nothing_until_asked(
    resource: SparkResource, started: list[EmbeddedEngine]
) -> None:
    assert started == []

    assert resource.spark_session.range(3).count() == 3

    [engine] = started
    assert engine.running
    resource.teardown_after_execution(dg.build_init_resource_context())
    assert not engine.running


def test__resource__two_have_a_session_each(resource: SparkResource) -> None:
    other = SparkResource()
    resource.spark_session.sql("select 1 as n").createOrReplaceTempView("only_here")

    assert not other.spark_session.catalog.tableExists("only_here")

    other.stop()
    assert resource.spark_session.table("only_here").count() == 1


def test__resource__remote_is_used_as_it_is(started: list[EmbeddedEngine]) -> None:
    server = SparkConnectServer(ip="127.0.0.1", port=0)
    server.start(background=True)
    host, port = server.listening_address

    client = SparkResource(remote=f"sc://{host}:{port}")

    assert client.spark_session.range(2).count() == 2
    assert started == []
    client.stop()
    assert server.running
    server.stop()


def test__cached__is_read_once_and_goes_with_the_session(
    resource: SparkResource, spark: SparkSession, tmp_path: Path
) -> None:
    """Also beside another session. Later changes of the file are not seen: it is read once."""
    file = tmp_path / "rows.txt"
    file.write_text("one\ntwo\n")
    cached = resource.cached(resource.spark_session.read.text(file.as_uri()))
    file.unlink()
    assert sorted(row.value for row in cached.collect()) == ["one", "two"]
    assert cached.join(cached.limit(1), "value", "leftsemi").count() == 1
    assert spark.range(2).count() == 2

    scratch = Path(resource._scratch)
    assert scratch.stat().st_mode & 0o077 == 0
    assert list(scratch.rglob("*.parquet"))
    resource.stop()
    assert not scratch.exists()


def test__cached__what_a_killed_run_left_goes_with_the_next(resource: SparkResource) -> None:
    killed = subprocess.Popen(["true"])
    killed.wait()
    left = Path(tempfile.mkdtemp(prefix=f"{SCRATCH}{killed.pid}-"))
    (left / "rows.parquet").write_text("of a person")
    assert resource.spark_session.range(1).count() == 1
    assert not left.exists()


def test__run__says_what_to_do_when_memory_is_short(
    materialize: Materialize, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAIL_RUNTIME__MEMORY_POOL__FAIR__MAX_SIZE", "1000000")

    run = materialize(PROJECT / "data", remote="")

    assert not run.result.success
    assert run.printed.count("[OUT_OF_MEMORY]") == 1  # three steps met it


def test__engine__spills_within_its_share(
    resource: SparkResource, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAIL_RUNTIME__MEMORY_POOL__FAIR__MAX_SIZE", "10000000")
    numbers = resource.spark_session.range(3_000_000)

    assert numbers.selectExpr("id % 2000000 as n").groupBy("n").count().count() == 2_000_000


@pytest.mark.parametrize(
    ("environment", "delay", "batch"),
    [
        ({}, PURGE_DELAY_MILLISECONDS if memory.available() >= MUCH_MEMORY else 0, 2048),
        ({"MIMALLOC_PURGE_DELAY": "25", "SAIL_EXECUTION__BATCH_SIZE": "4096"}, 25, 4096),
    ],
    ids=["by_default", "by_the_user"],
)
def test__engine__settings_of_its_process(
    environment: dict[str, str], delay: int, batch: int
) -> None:
    """Memory is returned soon, batches are small, sessions last, nothing is traced to its code."""
    lines = [
        "import os",
        "from pyspark.errors.utils import is_debugging_enabled",
        "from stedi_assets.engine.spark import SparkResource",
        "resource = SparkResource()",
        "ids = resource.spark_session.range(10_000).orderBy('id').toArrow().column('id')",
        "print('rows of a batch:', len(ids.chunk(0)))",
        "print('traced:', is_debugging_enabled())",
        "print('days idle:', int(os.environ['SAIL_SPARK__SESSION_TIMEOUT_SECS']) // 86400)",
        "resource.stop()",
    ]
    settings = ("MIMALLOC_", "SAIL_EXECUTION__BATCH_SIZE")
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(settings)}
    run = subprocess.run(
        [sys.executable, "-c", "\n".join(lines)],
        env=inherited | {"MIMALLOC_VERBOSE": "1"} | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    printed = run.stderr + run.stdout
    assert run.returncode == 0, printed
    assert f"'purge_delay': {delay} " in printed
    assert "'arena_eager_commit': 0 " in printed
    assert f"rows of a batch: {batch}\n" in printed
    assert "traced: False" in printed
    assert "days idle: 30" in printed


def test__session__ends_when_the_engine_says_it_is_idle(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that what keeps it, by default, is our setting."""
    lines = [
        "import time",
        "from stedi_assets.engine.spark import SparkResource",
        "session = SparkResource().spark_session",
        "time.sleep(3)",
        "print('answers:', session.range(3).count())",
    ]
    monkeypatch.setenv("SAIL_SPARK__SESSION_TIMEOUT_SECS", "1")
    idle = subprocess.run(
        [sys.executable, "-c", "\n".join(lines)], capture_output=True, check=False
    )
    monkeypatch.delenv("SAIL_SPARK__SESSION_TIMEOUT_SECS")
    kept = subprocess.run(
        [sys.executable, "-c", "\n".join(lines)], capture_output=True, check=False
    )

    assert (idle.returncode, b"is not running" in idle.stderr) == (1, True)
    assert (kept.returncode, kept.stdout) == (0, b"answers: 3\n")
