"""How the JVM Spark server starts; test_engines.py has what it does then."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import dagster as dg
import psutil
import pytest

from stedi_assets import spark_server
from stedi_assets.engine.spark import SparkResource
from stedi_assets.loopback import HOST
from stedi_assets.orchestration import failures
from stedi_assets_tests import spark_server as spark_server_of_tests


def start(port: int, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "stedi_assets.cli", "spark-server", "--port", str(port)]
    return subprocess.run(
        command, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )


def test__main__port_in_use() -> None:
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        port = taken.getsockname()[1]

        run = start(port)

    assert run.returncode == 1
    assert run.stderr.startswith("[PORT]")


def test__main__no_java(tmp_path: Path) -> None:
    run = start(0, JAVA_HOME=str(tmp_path))

    assert run.returncode == 1
    assert run.stderr.startswith("[ENGINE_SETUP]")
    assert "Traceback" not in run.stderr


def test__main__ends_before_it_is_ready(tmp_path: Path) -> None:
    java = tmp_path / "bin" / "java"
    java.parent.mkdir()
    java.write_text('#!/bin/sh\necho \'openjdk version "17.0.1"\' >&2\n[ "$1" = -version ]\n')
    java.chmod(0o755)

    run = start(0, JAVA_HOME=str(tmp_path))

    assert run.returncode == 1
    *log, said = run.stderr.splitlines()
    assert log
    assert said.startswith("[ENGINE_SETUP]")
    assert "is ready" not in run.stdout


@pytest.mark.jvm
def test__server__says_when_it_is_ready_and_nothing_of_ivy(tmp_path: Path) -> None:
    with spark_server_of_tests.serving(tmp_path):
        until = time.monotonic() + 10
        while "is ready" not in (said := (tmp_path / "log").read_text()):
            assert time.monotonic() < until, said
            time.sleep(0.1)
    assert "ivy" not in said.lower()
    assert "export STEDI_SPARK_REMOTE='sc://" in said


def test__command__listens_on_loopback_only() -> None:
    assert "--conf=spark.connect.grpc.binding.address=127.0.0.1" in spark_server.command(15002)


@pytest.mark.jvm
@pytest.mark.parametrize("token", ["", ";token=another"])
def test__server__serves_only_who_has_its_token(jvm_server: str, token: str) -> None:
    address, _, own = jvm_server.partition(";token=")
    with_token = SparkResource(remote=jvm_server)
    assert with_token.spark_session.range(3).count() == 3
    with_token.stop()
    for process in psutil.process_iter(["cmdline"]):
        assert own not in " ".join(process.info["cmdline"] or [])

    resource = SparkResource(remote=f"{address}{token}")
    with pytest.raises(dg.Failure) as error, failures.faults_fail_step():
        resource.spark_session.range(3).count()
    assert error.value.metadata["code"].value == "ENGINE_TOKEN"
    resource.stop()
