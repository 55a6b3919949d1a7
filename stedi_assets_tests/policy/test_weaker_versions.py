"""Versions of the training table that were made under a weaker policy are deleted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import dagster as dg
import pytest

from stedi_assets.engine.spark import SparkResource
from stedi_assets.erasure.erasure import Erasure
from stedi_assets.erasure.record import Record
from stedi_assets.lakehouse import delta
from stedi_assets.lakehouse.commit import Commit
from stedi_assets.lakehouse.lakehouse import Lakehouse
from stedi_assets.policy import Options
from stedi_assets.storage.local import LocalFolder
from stedi_assets.tables import recount
from stedi_assets_tests.policy.conftest import HIDDEN, RAW, TABLE, Project, check
from stedi_assets_tests.rows import PSEUDONYMS


def test__weaker_versions__are_deleted_once_the_checks_have_passed(unrestricted: Project) -> None:
    assert unrestricted.run(rebuild=True).success
    assert unrestricted.serials() == RAW

    result = unrestricted.run(HIDDEN)

    assert not unrestricted.serials() & RAW
    assert not [serial for serial in RAW if serial in unrestricted.log()]
    assert _deleted(result) == 2
    assert unrestricted.state().rows == 2
    assert unrestricted.state().commit.config == HIDDEN
    # From then on old versions are kept.
    kept = unrestricted.state().version
    again = unrestricted.run(HIDDEN, rebuild=True)
    assert _deleted(again) == 0
    assert unrestricted.state().version == kept + 1


def test__weaker_versions__stay_while_a_blocking_check_fails(
    unrestricted: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        # In 1970 nobody had consented yet.
        people = recount.people
        patched.setattr(recount, "people", lambda landed, _: people(landed, 0))
        failed = unrestricted.run(HIDDEN, only=[TABLE.name])
    assert not check(failed, "consent").passed
    assert unrestricted.serials() > RAW

    assert unrestricted.run(HIDDEN, only=[TABLE.name]).success
    assert not unrestricted.serials() & RAW


@pytest.mark.parametrize("moment", ["before", "within"])
def test__weaker_versions__are_deleted_by_the_next_run_when_one_dies(
    unrestricted: Project, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    remove = LocalFolder.remove

    def dies_at_the_log(folder: LocalFolder, names: Sequence[str]) -> None:
        if folder.uri.endswith("_delta_log"):
            raise KeyboardInterrupt
        remove(folder, names)

    with monkeypatch.context() as patched:
        if moment == "within":
            patched.setattr(LocalFolder, "remove", dies_at_the_log)
        else:
            patched.setattr(Lakehouse, "delete_weaker_versions", _die)
        assert not unrestricted.run(HIDDEN, only=[TABLE.name]).success
    assert [serial for serial in RAW if serial in unrestricted.log()]

    assert unrestricted.run(HIDDEN, only=[TABLE.name]).success

    assert not unrestricted.serials() & RAW
    assert not [serial for serial in RAW if serial in unrestricted.log()]
    assert unrestricted.state().rows == 2


def test__weaker_versions__of_an_earlier_release_are_deleted(
    unrestricted: Project, spark_resource: SparkResource
) -> None:
    """Its commits do not say what came before."""
    stored = Lakehouse(str(unrestricted.lakehouse), spark_resource)
    hidden = PSEUDONYMS.of(stored.read(TABLE), "serialNumber")
    stored.write(TABLE, hidden, Commit(config=HIDDEN))
    assert unrestricted.serials() > RAW

    assert unrestricted.run(HIDDEN).success

    assert not unrestricted.serials() & RAW


def test__versions__under_the_same_options_stay(
    project: Project, spark_resource: SparkResource
) -> None:
    assert project.run(HIDDEN).success
    assert project.run(HIDDEN, rebuild=True).success
    # Erasure compares devices by the options that the table was made with.
    stored = Lakehouse(str(project.lakehouse), spark_resource)
    assert Erasure(stored, PSEUDONYMS, frozenset(), Record("run", 2**42)).stale() is None
    assert project.run(Options()).success
    table = delta.open_table(f"file://{project.lakehouse}/{TABLE.location}")
    assert table is not None
    assert len(table.history()) == 3


def _die(*_: Any) -> None:
    raise KeyboardInterrupt


def _deleted(result: dg.ExecuteInProcessResult) -> int:
    """How many weaker versions a run deleted."""
    return int(str(check(result, "policy").metadata["weaker_versions_deleted"].value))
