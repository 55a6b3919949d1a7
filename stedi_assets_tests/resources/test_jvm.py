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


@pytest.mark.parametrize(("version", "told"), [("11.0.2", "Java 11"), ("1.8.0_292", "Java 8")])
def test__require_java__too_old(java: Path, version: str, told: str) -> None:
    install(java, version)

    with pytest.raises(LakehouseError, match=rf"needs Java 17 or later, and there is {told}\."):
        jvm.require_java()


def test__local__without_java(java: Path) -> None:
    with pytest.raises(LakehouseError, match=r"there is none.*STEDI_SPARK_REMOTE empty"):
        _ = SparkResource(remote="local[*]").spark_session


def test__require_java__none_on_the_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(LakehouseError, match="there is none"):
        jvm.require_java()
