"""Settings come from the environment, in one sentence where they are wrong, and change nothing."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from stedi_assets.errors import LakehouseError
from stedi_assets.settings import Settings
from stedi_assets.split import Split
from stedi_assets.storage.address import as_uri
from stedi_assets_tests.conftest import PROJECT

KEY = "0123456789abcdef" * 2


def test__mistakes__a_sentence_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEDI_WEBSERVER_HOSTS", "dagster.example.com, a b")
    monkeypatch.setenv("STEDI_PSEUDONYMISE_DEVICES", "sometimes")
    monkeypatch.setenv("STEDI_SPLIT_SHARES", "80/10")

    with pytest.raises(LakehouseError) as raised:
        Settings.from_environment()

    hosts, devices, shares = raised.value.args[0].splitlines()
    assert hosts.startswith("STEDI_WEBSERVER_HOSTS has a b, which is not the name of a host.")
    assert devices.startswith("STEDI_PSEUDONYMISE_DEVICES is neither on nor off.")
    assert shares.startswith("STEDI_SPLIT_SHARES is not the shares of train, validation and test.")


@pytest.mark.parametrize("shares", ["90/10/10", "100/0/0", "a/b/c", "70,15,15", "120/-10/-10"])
def test__split__wrong_shares(shares: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEDI_SPLIT_SHARES", shares)
    with pytest.raises(LakehouseError, match="STEDI_SPLIT_SHARES"):
        Settings.from_environment()


def test__split__seed_that_is_an_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEDI_SPLIT_SEED", "ann@example.com")
    with pytest.raises(LakehouseError, match="STEDI_SPLIT_SEED cannot be used") as raised:
        Settings.from_environment()
    assert "ann@" not in str(raised.value)


def test__split__is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEDI_SPLIT_SEED", "another")
    monkeypatch.setenv("STEDI_SPLIT_SHARES", "70/15/15")
    assert Settings.from_environment().split == Split("another", 70, 15, 15)
    monkeypatch.setenv("STEDI_SPLIT_SHARES", "")
    assert Settings.from_environment().split == Split("another")


def test__defaults__are_in_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STEDI_LAKEHOUSE_URI", "")
    monkeypatch.delenv("STEDI_SOURCE_DATA", raising=False)
    settings = Settings.from_environment()
    assert settings.lakehouse_uri == str(tmp_path / "lakehouse")
    assert settings.source_data == str(tmp_path / "data")

    monkeypatch.setenv("STEDI_SOURCE_DATA", "")
    assert Settings.from_environment().source_data == ""


def test__default_lakehouse__is_elsewhere_where_the_engine_cannot_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = set()
    for name in ("a b", "clône"):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
        monkeypatch.setenv("STEDI_LAKEHOUSE_URI", "")
        uri = Settings.from_environment().lakehouse_uri
        assert as_uri(uri).startswith(f"file://{tmp_path}/data/stedi_assets/lakehouse-")
        found.add(uri)
    assert len(found) == 2


def test__secrets__are_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PSEUDONYM_KEY", "SLACK_WEBHOOK_URL", "SPARK_REMOTE", "LAKEHOUSE_URI"):
        monkeypatch.setenv(f"STEDI_{name}", f"s3://user:{KEY}@bucket")
    settings = Settings.from_environment()
    assert settings.pseudonym_key.get_secret_value().endswith(f"{KEY}@bucket")
    assert KEY not in f"{settings}{settings!r}"


WRITES = ("setdefault", "update", "pop", "popitem", "clear")


def environment_writes(source: str) -> Iterator[int]:
    """The lines at which a module changes the environment of its process."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Subscript(value=value, ctx=ast.Store() | ast.Del()):
                written = ast.unparse(value)
            case ast.Call(func=ast.Attribute(value=value, attr=name)) if name in WRITES:
                written = ast.unparse(value)
            case ast.AugAssign(target=target):
                written = ast.unparse(target)
            case ast.Attribute(attr="putenv" | "unsetenv"):
                written = "environ"
            case _:
                continue
        if written.rpartition(".")[2] == "environ":
            yield node.lineno


def test__environment__only_the_module_that_starts_the_engine_writes_it() -> None:
    package = PROJECT / "stedi_assets"
    writing = {
        str(path.relative_to(package))
        for path in package.rglob("*.py")
        if list(environment_writes(path.read_text()))
    }
    assert writing == {"engine/spark.py"}


@pytest.mark.parametrize(
    "statement",
    [
        "os.environ['A'] = 'b'",
        "del os.environ['A']",
        "os.environ |= {}",
        "environ.update(A='b')",
        "os.environ.setdefault('A', 'b')",
        "os.putenv('A', 'b')",
    ],
)
def test__environment__every_way_to_write_is_seen(statement: str) -> None:
    assert list(environment_writes(f"import os\n{statement}")) == [2]
