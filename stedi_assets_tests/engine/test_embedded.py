"""Nobody but its own process speaks to the embedded engine."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import dagster as dg
import pytest
from pysail.spark import SparkConnectServer

from stedi_assets.engine import linux
from stedi_assets.engine.embedded import EmbeddedEngine
from stedi_assets.engine.spark import SparkResource
from stedi_assets.errors import LakehouseError
from stedi_assets.orchestration import failures
from stedi_assets_tests import stranger

STARTS = 20
ON_LINUX = pytest.mark.skipif(
    sys.platform != "linux", reason="only there /proc/net/tcp has ports, and a call can be held"
)


@pytest.fixture
def resource() -> Iterator[SparkResource]:
    """A resource whose engine is stopped after the test."""
    resource = SparkResource()
    yield resource
    resource.stop()


@ON_LINUX
def test__another_user__gets_nowhere_in_20_starts(ports: list[int]) -> None:
    with stranger.watching() as watching:
        for _ in range(STARTS):
            resource = SparkResource()
            assert resource.spark_session.range(3).count() == 3
            resource.stop()
        watching.end()
    assert len(ports) == STARTS
    assert not set(ports) & set(watching.answered)


@ON_LINUX
def test__another_user__reaches_an_engine_that_stays_open() -> None:
    """The test above could not fail otherwise."""
    with stranger.watching() as watching:
        server = SparkConnectServer(ip="127.0.0.1", port=0)
        server.start(background=True)
        time.sleep(1)
        watching.end()
        _, port = server.listening_address
        server.stop()
    assert port in watching.answered


@pytest.mark.parametrize("platform", [sys.platform, "darwin"], ids=["filter", "no_filter"])
def test__port__is_closed_before_the_first_query(
    platform: str, resource: SparkResource, ports: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    assert resource.spark_session.range(3).count() == 3
    [port] = ports
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0
    assert resource.spark_session.range(4).count() == 4


def test__stranger__in_the_window_ends_the_run(
    resource: SparkResource, monkeypatch: pytest.MonkeyPatch
) -> None:
    strangers = []

    def late(listener: int, _: int) -> None:
        with socket.socket(fileno=os.dup(listener)) as end:
            strangers.append(socket.create_connection(end.getsockname()))

    monkeypatch.setattr(linux, "hold_accept", lambda: None)
    monkeypatch.setattr(linux, "admit_only", late)

    with pytest.raises(LakehouseError, match="Another process connected"):
        resource.spark_session.range(3).count()

    [connection] = strangers
    connection.settimeout(5)
    with connection, contextlib.suppress(ConnectionError):  # it has ended, either way
        while connection.recv(4096):
            pass
    monkeypatch.undo()
    assert resource.spark_session.range(3).count() == 3


@ON_LINUX
def test__stranger__in_the_window_is_never_accepted(
    resource: SparkResource, monkeypatch: pytest.MonkeyPatch
) -> None:
    strangers = []
    take: Callable = EmbeddedEngine._take

    def late(engine: EmbeddedEngine, server: tuple[str, int], held: int | None) -> None:
        assert held is not None
        strangers.append(socket.create_connection(server))
        take(engine, server, held)

    monkeypatch.setattr(EmbeddedEngine, "_take", late)

    assert resource.spark_session.range(3).count() == 3

    [connection] = strangers
    connection.settimeout(5)
    with connection:
        assert connection.recv(4096) == b""


def test__connection_lost__ends_the_run_in_a_sentence(resource: SparkResource) -> None:
    assert resource.spark_session.range(3).count() == 3
    assert resource._engine is not None
    resource._engine._connection.shutdown(socket.SHUT_RDWR)
    began = time.monotonic()

    with pytest.raises(dg.Failure) as error, failures.faults_fail_step():
        resource.spark_session.range(3).count()

    assert error.value.metadata["code"].value == "ENGINE_LOST"
    assert time.monotonic() - began < 5  # PySpark would try again for ten minutes


def test__engine__rests_while_nothing_is_asked_of_it(resource: SparkResource) -> None:
    assert resource.spark_session.range(3).count() == 3
    before = time.process_time()
    time.sleep(1)
    assert time.process_time() - before < 0.2


def test__start__where_temporary_files_have_a_long_path(
    resource: SparkResource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / ("long" * 30)
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    assert resource.spark_session.range(3).count() == 3


@pytest.fixture
def ports(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The ports of the engines that are started."""
    found: list[int] = []
    take: Callable = EmbeddedEngine._take

    def note(engine: EmbeddedEngine, server: tuple[str, int], held: int | None) -> None:
        found.append(server[1])
        take(engine, server, held)

    monkeypatch.setattr(EmbeddedEngine, "_take", note)
    return found


def test__process__that_ends_without_a_stop_ends() -> None:
    """As by an error: what PySpark asks of a cache as it goes finds the connection closed."""
    code = (
        "from stedi_assets.engine.spark import SparkResource\n"
        "resource = SparkResource()\n"
        "cached = resource.cached(resource.spark_session.range(3))\n"
        "assert cached.count() == 3\n"
        "raise SystemExit(3)"
    )
    ended = subprocess.run([sys.executable, "-c", code], timeout=120, check=False)
    assert ended.returncode == 3
