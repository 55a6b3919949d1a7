"""Which Java will do, and what is said where none does."""

from __future__ import annotations

from pathlib import Path

import pytest

from stedi_assets.engine import jvm
from stedi_assets.engine.spark import SparkResource
from stedi_assets.errors import LakehouseError


@pytest.fixture
def java(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where JAVA_HOME leads to; nothing is there yet."""
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    return tmp_path / "bin" / "java"


def install(java: Path, version: str) -> None:
    java.parent.mkdir()
    java.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\" 2025-04-15' >&2\n")
    java.chmod(0o755)


@pytest.mark.parametrize("version", ["17.0.15", "21", "25-ea"])
def test__require_java__new_enough(java: Path, version: str) -> None:
    install(java, version)
    jvm.require_java()


@pytest.mark.parametrize(("version", "found"), [("11.0.2", "Java 11"), ("1.8.0_292", "Java 8")])
def test__require_java__too_old(java: Path, version: str, found: str) -> None:
    install(java, version)
    with pytest.raises(LakehouseError, match=rf"{found}\."):
        jvm.require_java()


@pytest.mark.parametrize("home", [True, False])
def test__local__without_java(
    java: Path, home: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    if not home:
        monkeypatch.delenv("JAVA_HOME")
        monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LakehouseError, match="there is none"):
        _ = SparkResource(remote="local[*]").spark_session
