"""One engine a run, started when needed and stopped with it."""

from __future__ import annotations

import socket

import dagster as dg
import pytest

from stedi_assets.resources.spark import SparkResource
from stedi_assets_tests.conftest import PROJECT, Materialize


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The addresses of the embedded engines that were started."""
    addresses: list[str] = []
    start = SparkResource._start_embedded

    def note(self: SparkResource) -> str:
        addresses.append(start(self))
        return addresses[-1]

    monkeypatch.setattr(SparkResource, "_start_embedded", note)
    return addresses


def test__run__starts_one_engine_and_stops_it(materialize: Materialize, started: list[str]) -> None:
    run = materialize(PROJECT / "data", remote="")

    assert run.result.success, run.printed
    [address] = started
    assert not _answers(address)


def test__resource__starts_nothing_until_asked(started: list[str]) -> None:
    resource = SparkResource()
    assert started == []

    assert resource.spark_session.range(3).count() == 3

    [address] = started
    assert _answers(address)
    resource.teardown_after_execution(dg.build_init_resource_context())
    assert not _answers(address)


def test__resource__two_have_a_session_each() -> None:
    one, two = SparkResource(), SparkResource()
    one.spark_session.sql("select 1 as n").createOrReplaceTempView("only_here")

    assert not two.spark_session.catalog.tableExists("only_here")

    two.teardown_after_execution(dg.build_init_resource_context())
    assert one.spark_session.table("only_here").count() == 1
    one.teardown_after_execution(dg.build_init_resource_context())


def test__resource__remote_is_used_as_it_is(started: list[str]) -> None:
    server = SparkResource()
    assert server.spark_session.range(1).count() == 1
    [address] = started

    client = SparkResource(remote=address)

    assert client.spark_session.range(2).count() == 2
    assert started == [address]
    client.teardown_after_execution(dg.build_init_resource_context())
    assert _answers(address)
    server.teardown_after_execution(dg.build_init_resource_context())


def _answers(address: str) -> bool:
    host, _, port = address.removeprefix("sc://").partition(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) == 0
