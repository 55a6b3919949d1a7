"""One engine a run, started when needed and stopped with it."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import dagster as dg
import pytest
from pysail.spark import SparkConnectServer
from pyspark.sql import SparkSession

from stedi_assets.engine.embedded import EmbeddedEngine
from stedi_assets.engine.spark import SCRATCH, SparkResource
from stedi_assets_tests.conftest import PROJECT, Materialize


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


def test__resource__starts_nothing_until_asked(started: list[EmbeddedEngine]) -> None:
    resource = SparkResource()
    assert started == []

    assert resource.spark_session.range(3).count() == 3

    [engine] = started
    assert engine.running
    resource.teardown_after_execution(dg.build_init_resource_context())
    assert not engine.running


def test__resource__two_have_a_session_each() -> None:
    one, two = SparkResource(), SparkResource()
    one.spark_session.sql("select 1 as n").createOrReplaceTempView("only_here")

    assert not two.spark_session.catalog.tableExists("only_here")

    two.teardown_after_execution(dg.build_init_resource_context())
    assert one.spark_session.table("only_here").count() == 1
    one.teardown_after_execution(dg.build_init_resource_context())


def test__resource__remote_is_used_as_it_is(started: list[EmbeddedEngine]) -> None:
    server = SparkConnectServer(ip="127.0.0.1", port=0)
    server.start(background=True)
    host, port = server.listening_address

    client = SparkResource(remote=f"sc://{host}:{port}")

    assert client.spark_session.range(2).count() == 2
    assert started == []
    client.teardown_after_execution(dg.build_init_resource_context())
    assert server.running
    server.stop()


def test__hold__is_read_once_and_goes_with_the_session(tmp_path: Path) -> None:
    """Later changes of the file are not seen, so it was not opened again."""
    file = tmp_path / "rows.txt"
    file.write_text("one\ntwo\n")
    resource = SparkResource()
    held = resource.cached(resource.spark_session.read.text(file.as_uri()))
    file.unlink()
    assert sorted(row.value for row in held.collect()) == ["one", "two"]
    assert held.join(held.limit(1), "value", "leftsemi").count() == 1

    scratch = Path(resource._scratch)
    assert scratch.stat().st_mode & 0o077 == 0
    assert list(scratch.rglob("*.parquet"))
    resource.teardown_after_execution(dg.build_init_resource_context())
    assert not scratch.exists()


def test__hold__beside_another_session(spark: SparkSession) -> None:
    resource = SparkResource()
    held = resource.cached(resource.spark_session.range(3))
    assert held.count() == 3
    assert spark.range(2).count() == 2
    resource.teardown_after_execution(dg.build_init_resource_context())


def test__hold__what_a_killed_run_left_goes_with_the_next() -> None:
    killed = subprocess.Popen(["true"])
    killed.wait()
    left = Path(tempfile.mkdtemp(prefix=f"{SCRATCH}{killed.pid}-"))
    (left / "rows.parquet").write_text("of a person")
    resource = SparkResource()
    assert resource.spark_session.range(1).count() == 1
    resource.teardown_after_execution(dg.build_init_resource_context())
    assert not left.exists()


def test__run__says_what_to_do_when_memory_is_short(
    materialize: Materialize, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAIL_RUNTIME__MEMORY_POOL__FAIR__MAX_SIZE", "1000000")

    run = materialize(PROJECT / "data", remote="")

    assert not run.result.success
    assert "The engine needs more memory than it may take" in run.printed
    assert "unexpected error" not in run.printed


def test__engine__spills_within_its_share(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAIL_RUNTIME__MEMORY_POOL__FAIR__MAX_SIZE", "10000000")
    resource = SparkResource()
    numbers = resource.spark_session.range(3_000_000)

    assert numbers.selectExpr("id % 2000000 as n").groupBy("n").count().count() == 2_000_000

    resource.stop()


def test__engine__settings_that_its_process_goes_by() -> None:
    """Memory is given back at once, batches are small, no expression is traced to its code."""
    run = _engine_alone()
    assert "'purge_delay': 0 " in run
    assert "'arena_eager_commit': 0 " in run
    assert "rows of a batch: 2048" in run
    assert "traced: False" in run


def test__engine__settings_are_the_users_to_change() -> None:
    run = _engine_alone(MIMALLOC_PURGE_DELAY="10", SAIL_EXECUTION__BATCH_SIZE="4096")
    assert "'purge_delay': 10 " in run
    assert "rows of a batch: 4096" in run


def _engine_alone(**environment: str) -> str:
    """What an engine that is started in a process of its own says of itself."""
    lines = [
        "from pyspark.errors.utils import is_debugging_enabled",
        "from stedi_assets.engine.spark import SparkResource",
        "resource = SparkResource()",
        "ids = resource.spark_session.range(10_000).orderBy('id').toArrow().column('id')",
        "print('rows of a batch:', len(ids.chunk(0)))",
        "print('traced:', is_debugging_enabled())",
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
    assert run.returncode == 0, run.stderr
    return run.stderr + run.stdout
