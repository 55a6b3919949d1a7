"""A history of runs is one lakehouse's: it never shows another's rows and checks as its own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from stedi_assets.errors import Code, LakehouseError
from stedi_assets.orchestration import history
from stedi_assets.orchestration.history import claim, home_of, identity, opened, require_own
from stedi_assets.orchestration.sqlite import KEPT_OPEN
from stedi_assets.tables import LANDING_TABLES

FIRST, SECOND = "file:///first", "file:///second"


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """The history of the first lakehouse."""
    home = home_of(FIRST, tmp_path / "base")
    history.create(home)
    with opened(home) as instance:
        claim(instance, FIRST)
    return home


@pytest.fixture
def unmarked(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    """A history of an earlier release, which has a table of the first lakehouse and no mark."""
    [table, *_] = LANDING_TABLES
    with opened(home_of(FIRST, tmp_path / "base")) as instance:
        uri = f"{FIRST}/{table.location}"
        made = dg.AssetMaterialization(table.name, metadata={"dagster/uri": uri})
        instance.report_runless_asset_event(made)
        yield instance


def test__home__is_the_same_for_the_same_lakehouse(base: Path) -> None:
    assert home_of(FIRST, base) == base
    assert (base / "dagster.yaml").read_bytes() == history.INSTANCE.read_bytes()


def test__home__of_another_lakehouse_is_its_own(base: Path) -> None:
    home = home_of(SECOND, base)

    with opened(home) as instance:
        claim(instance, SECOND)
    assert home != base
    assert home_of(SECOND, base) == home_of(SECOND, home) == home


def test__home__of_an_earlier_release_is_that_of_its_tables(
    unmarked: dg.DagsterInstance, tmp_path: Path
) -> None:
    assert home_of(FIRST, tmp_path / "base") == tmp_path / "base"
    assert home_of(SECOND, tmp_path / "base") != tmp_path / "base"

    with pytest.raises(LakehouseError) as refused:
        claim(unmarked, SECOND)
    assert refused.value.code is Code.HISTORY
    claim(unmarked, FIRST)


def test__require_own__names_the_folder_to_set(base: Path) -> None:
    require_own(base, FIRST)
    require_own(base.parent / "new", SECOND)

    with pytest.raises(LakehouseError) as refused:
        require_own(base, SECOND)
    assert refused.value.code is Code.HISTORY
    assert f"DAGSTER_HOME to {home_of(SECOND, base)}," in str(refused.value)


def test__identity__tells_stores_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL_S3", raising=False)
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    here = identity("s3://bucket/prefix/")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://user:secret@localhost:9000")

    assert here == "s3://bucket/prefix"
    assert identity("s3://bucket/prefix") != here
    assert "secret" not in identity("s3://bucket/prefix")
    assert identity("/first") == FIRST


def test__opened__keeps_few_files_open_that_dagster_reads_too(tmp_path: Path) -> None:
    def open_databases() -> int:
        found = {os.path.realpath(each) for each in Path("/proc/self/fd").iterdir()}
        return sum(name.startswith(str(tmp_path)) and name.endswith(".db") for name in found)

    with opened(tmp_path) as instance:
        runs = [instance.create_run_for_job(nothing).run_id for _ in range(2 * KEPT_OPEN)]
        for run_id in runs:
            run = instance.get_run_by_id(run_id)
            assert run is not None
            instance.report_engine_event("seen", run)
        assert 1 < open_databases() <= KEPT_OPEN + 1  # those of events, and that of runs

    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        for run_id in runs:
            messages = [entry.message for entry in instance.all_logs(run_id)]
            assert messages == ["seen"]


@dg.job
def nothing() -> None:
    """Does nothing."""
