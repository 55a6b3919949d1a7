"""A project of two people, run under privacy policies."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow.parquet as pq
import pytest

from stedi_assets import tables
from stedi_assets.definitions import define
from stedi_assets.lakehouse import delta
from stedi_assets.policy import NO_OPTION, Options
from stedi_assets.settings import Settings
from stedi_assets.tables.machine_learning import MACHINE_LEARNING_CURATED
from stedi_assets_tests.checks.conftest import GOOD, land
from stedi_assets_tests.rows import PSEUDONYMS

TABLE = MACHINE_LEARNING_CURATED
STRICT = Options(after_consent_only=True, match_device=True, pseudonymise_devices=True)
HIDDEN = Options(pseudonymise_devices=True)
RAW = {"device-ann", "device-bob"}


class Project:
    """Two people with a device and a phone each, and the lakehouse that is made of them."""

    def __init__(self, folder: Path, instance: dg.DagsterInstance) -> None:
        self.lakehouse, self.source, self.instance = folder / "lakehouse", folder / "s", instance
        for table in tables.LANDING_TABLES:
            land(self.source, table, GOOD[table.name])

    def define(self, policy: Options, key: str = PSEUDONYMS.key) -> dg.Definitions:
        """The project under a policy."""
        settings = Settings(
            lakehouse_uri=str(self.lakehouse),
            source_data=str(self.source),
            pseudonym_key=key,
            **dict[str, Any](policy.as_dict()),
        )
        return define(settings)

    def run(
        self,
        policy: Options = NO_OPTION,
        key: str = PSEUDONYMS.key,
        job: str = "materialize_lakehouse",
        only: list[str] | None = None,
        **options: bool,
    ) -> dg.ExecuteInProcessResult:
        """Runs a job."""
        ops = {"ops": {TABLE.name: {"config": options}}} if options else {}
        return (
            self.define(policy, key)
            .resolve_job_def(job)
            .execute_in_process(
                instance=self.instance,
                run_config=ops,
                raise_on_error=False,
                asset_selection=[dg.AssetKey(name) for name in only] if only else None,
            )
        )

    def state(self) -> delta.TableState:
        """The training table's."""
        state = delta.state(f"file://{self.lakehouse}/{TABLE.location}")
        assert state is not None
        return state

    def serials(self) -> set[str]:
        """The serial numbers in the data files of every version."""
        files = (self.lakehouse / TABLE.location).rglob("*.parquet")
        return {
            serial
            for file in files
            if "_delta_log" not in file.parts
            for serial in pq.read_table(file, columns=["serialNumber"])["serialNumber"].to_pylist()
        }

    def log(self) -> str:
        """The text of the Delta log."""
        folder = self.lakehouse / TABLE.location / "_delta_log"
        return "".join(path.read_text() for path in folder.glob("*.json"))


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield Project(tmp_path, instance)


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lakehouse that was materialised without a policy."""
    with dg.DagsterInstance.ephemeral() as instance:
        project = Project(tmp_path_factory.mktemp("made"), instance)
        assert project.run().success
    return project.lakehouse


@pytest.fixture
def unrestricted(project: Project, made: Path) -> Project:
    """The project with a copy of that lakehouse."""
    shutil.copytree(made, project.lakehouse)
    return project


def check(result: dg.ExecuteInProcessResult, name: str) -> dg.AssetCheckEvaluation:
    [found] = [
        each
        for each in result.get_asset_check_evaluations()
        if (each.asset_key, each.check_name) == (dg.AssetKey(TABLE.name), name)
    ]
    return found
