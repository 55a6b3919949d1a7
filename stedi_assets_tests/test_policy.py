"""The privacy policy is obeyed by every run, whoever starts it, and what it hides stays hidden."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow.parquet as pq
import pytest
from rich.console import Console

import stedi_assets.materialize
from stedi_assets import tables
from stedi_assets.definitions import define
from stedi_assets.engine.spark import SparkResource
from stedi_assets.erasure.erasure import Erasure
from stedi_assets.erasure.record import Record
from stedi_assets.errors import LakehouseError
from stedi_assets.lakehouse import delta
from stedi_assets.lakehouse.commit import Commit
from stedi_assets.lakehouse.lakehouse import Lakehouse
from stedi_assets.policy import NO_OPTION, Options
from stedi_assets.settings import PROJECT, Settings
from stedi_assets.storage.local import LocalFolder
from stedi_assets.tables import recount
from stedi_assets.tables.machine_learning import MACHINE_LEARNING_CURATED
from stedi_assets_tests.checks.conftest import GOOD, land
from stedi_assets_tests.rows import PSEUDONYMS

TABLE = MACHINE_LEARNING_CURATED
STRICT = Options(after_consent_only=True, match_device=True, pseudonymise_devices=True)
HIDDEN = Options(pseudonymise_devices=True)


class Project:
    """Two people with a device and a phone each, and the lakehouse that is made of them."""

    def __init__(self, folder: Path, instance: dg.DagsterInstance) -> None:
        self.lakehouse, self.source, self.instance = folder / "lakehouse", folder / "s", instance
        for table in tables.LANDING_TABLES:
            land(self.source, table, GOOD[table.name])

    def define(self, policy: Options, key: str = PSEUDONYMS.key) -> dg.Definitions:
        """The project under a policy."""
        place = (str(self.lakehouse), str(self.source))
        return define(Settings(*place, pseudonym_key=key, policy=policy))

    def run(
        self,
        policy: Options = NO_OPTION,
        key: str = PSEUDONYMS.key,
        job: str = "materialize_lakehouse",
        only: list[str] | None = None,
        **options: bool,
    ) -> dg.ExecuteInProcessResult:
        """A run that Dagster starts, whoever asked for it."""
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
        """The serial numbers in every data file there is, of whatever version."""
        files = (self.lakehouse / TABLE.location).rglob("*.parquet")
        return {
            serial
            for file in files
            if "_delta_log" not in file.parts
            for serial in pq.read_table(file, columns=["serialNumber"])["serialNumber"].to_pylist()
        }

    def log(self) -> str:
        """All that the Delta log says."""
        folder = self.lakehouse / TABLE.location / "_delta_log"
        return "".join(path.read_text() for path in folder.glob("*.json"))


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield Project(tmp_path, instance)


def check(result: dg.ExecuteInProcessResult, name: str) -> dg.AssetCheckEvaluation:
    [found] = [
        each
        for each in result.get_asset_check_evaluations()
        if (each.asset_key, each.check_name) == (dg.AssetKey(TABLE.name), name)
    ]
    return found


def metadata(result: dg.ExecuteInProcessResult) -> dict[str, Any]:
    [made] = [
        event.materialization.metadata
        for event in result.get_asset_materialization_events()
        if event.asset_key == dg.AssetKey(TABLE.name)
    ]
    return {name: value.value for name, value in made.items()}


def deleted(result: dg.ExecuteInProcessResult) -> int:
    """How many weaker versions a run deleted."""
    return int(str(check(result, "policy").metadata["weaker_versions_deleted"].value))


RAW = {"device-ann", "device-bob"}

# Settings


@pytest.mark.parametrize(
    ("value", "on"),
    [
        *((value, True) for value in ("true", "1", "YES", " on ")),
        *((value, False) for value in ("", "false", "0", "No", "off")),
    ],
)
def test__setting__is_on_or_off(value: str, on: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEDI_MATCH_DEVICE", value)
    assert Settings.from_environment().policy == Options(match_device=on)


def test__setting__is_neither(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEDI_PSEUDONYMISE_DEVICES", "sometimes")
    with pytest.raises(LakehouseError, match=r"^STEDI_PSEUDONYMISE_DEVICES is neither on nor off"):
        Settings.from_environment()


@pytest.mark.parametrize(
    "command",
    [
        "materialize",
        "report",
        "dev 3999",
        "erasure",
        "lakehouse.replay customer",
        "console.shell --query x",
    ],
)
def test__setting__is_neither_and_commands_end_in_a_sentence(command: str, tmp_path: Path) -> None:
    module, *arguments = command.split()
    ended = subprocess.run(
        [sys.executable, "-m", f"stedi_assets.{module}", *arguments],
        env={"STEDI_MATCH_DEVICE": "maybe", "DAGSTER_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 1
    assert ended.stdout + ended.stderr == (
        "STEDI_MATCH_DEVICE is neither on nor off. Set it to true or false, or to nothing for "
        "false.\n"
    )


# Runs


@pytest.mark.parametrize("job", ["materialize_lakehouse", "refresh_from_landing"])
def test__policy__is_obeyed_by_a_run_without_configuration(project: Project, job: str) -> None:
    result = project.run(STRICT, job=job)

    assert result.success
    assert project.state().commit.config == STRICT
    assert project.serials() and not project.serials() & RAW
    shown = metadata(result)
    assert shown["privacy_policy"] == shown["options"] == str(STRICT)
    assert "holds_once" not in shown
    figures = {name: value.value for name, value in check(result, "policy").metadata.items()}
    assert figures["privacy_policy"] == figures["options"] == str(STRICT)


def test__policy__is_the_default_of_the_run_configuration(project: Project) -> None:
    job = project.define(Options(match_device=True)).resolve_job_def("materialize_lakehouse")
    config = dg.validate_run_config(job)["ops"][TABLE.name]["config"]
    assert config == {
        "after_consent_only": False,
        "match_device": True,
        "pseudonymise_devices": False,
        "accept_volume": False,
    }


def test__policy__changes_the_code_version(project: Project) -> None:
    def versions(policy: Options) -> dict[str, str | None]:
        specs = project.define(policy).resolve_all_asset_specs()
        return {spec.key.to_user_string(): spec.code_version for spec in specs}

    before, after = versions(Options()), versions(HIDDEN)
    assert {name for name in before if before[name] != after[name]} == {TABLE.name}


def test__run__stricter_than_the_policy_holds_once(project: Project) -> None:
    result = project.run(Options(match_device=True), pseudonymise_devices=True)

    assert result.success
    assert metadata(result)["holds_once"] == (
        "pseudonymise_devices: for this run alone. Set STEDI_PSEUDONYMISE_DEVICES=true to have "
        "every run obey it."
    )
    assert project.state().commit.config == Options(match_device=True, pseudonymise_devices=True)
    assert check(result, "policy").passed


@pytest.mark.parametrize(
    "only", [None, [TABLE.name], ["customer_landing", "customer_quarantine"], ["customer_trusted"]]
)
def test__run__weaker_than_the_policy_writes_nothing(
    project: Project, only: list[str] | None
) -> None:
    assert project.run(HIDDEN).success
    before = _content(project.lakehouse)
    (project.source / "customer" / "landing" / "new.json").write_text('{"email":"x@example.com"}')

    result = project.run(HIDDEN, only=only, pseudonymise_devices=False)

    assert not result.success
    assert _content(project.lakehouse) == before
    assert not [event for event in result.all_events if event.is_step_event]


def test__run__weaker_than_the_policy_writes_nothing_where_each_step_is_a_process(
    project: Project, tmp_path: Path
) -> None:
    configuration = tmp_path / "run.yaml"
    configuration.write_text(
        "execution: {config: {multiprocess: {max_concurrent: 1, start_method: "
        "{forkserver: {preload_modules: [stedi_assets.definitions]}}}}}\n"
        f"ops: {{{TABLE.name}: {{config: {{match_device: false}}}}}}\n"
    )
    history = tmp_path / "history"
    history.mkdir()
    shutil.copy(PROJECT / "instance" / "dagster.yaml", history)
    dagster = str(Path(sys.executable).with_name("dagster"))
    job = ["job", "execute", "-m", "stedi_assets.definitions", "-j", "materialize_lakehouse"]

    run = subprocess.run(
        [dagster, *job, "-c", str(configuration)],
        env={
            **os.environ,
            "STEDI_LAKEHOUSE_URI": str(project.lakehouse),
            "STEDI_SOURCE_DATA": str(project.source),
            "STEDI_MATCH_DEVICE": "true",
            "DAGSTER_HOME": str(history),
        },
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert run.returncode != 0
    assert "customer_landing" in run.stderr
    assert "turns off match_device" in run.stderr
    assert not project.lakehouse.exists()


def test__run__weaker_than_the_policy_says_so_in_one_sentence(project: Project) -> None:
    printed = _materialized(project, STRICT, {"match_device": False, "after_consent_only": False})
    assert (
        "failed before the first step: The run configuration of machine_learning_curated turns off "
        "after_consent_only, match_device, which the privacy policy requires "
        "(STEDI_AFTER_CONSENT_ONLY=true, STEDI_MATCH_DEVICE=true). Take that out of the run "
        "configuration; nothing was written.\n"
    ) in printed
    assert not project.lakehouse.exists()


@pytest.mark.parametrize("key", ["", "too-short"])
@pytest.mark.parametrize(
    ("policy", "options"), [(HIDDEN, {}), (Options(), {"pseudonymise_devices": True})]
)
def test__policy__of_pseudonyms_without_a_key_writes_nothing(
    project: Project, policy: Options, options: dict[str, bool], key: str
) -> None:
    printed = _materialized(project, policy, options, key)
    assert "failed before the first step: Pseudonyms need a secret of 32 to 64" in printed
    assert not project.lakehouse.exists()


def test__policy__cannot_be_configured(project: Project) -> None:
    job = project.define(HIDDEN).resolve_job_def("materialize_lakehouse")
    weaker = {"resources": {"policy": {"config": {"pseudonymise_devices": False}}}}
    with pytest.raises(dg.DagsterInvalidConfigError):
        dg.validate_run_config(job, weaker)


# The table and the policy


def test__check__fails_for_a_table_that_is_older_than_the_policy(project: Project) -> None:
    assert project.run().success
    checks = dg.AssetSelection.checks(dg.AssetCheckKey(dg.AssetKey(TABLE.name), "policy"))
    defs = project.define(STRICT)
    job = dg.define_asset_job("checks_alone", selection=checks)
    alone = dg.Definitions.merge(defs, dg.Definitions(jobs=[job])).resolve_job_def("checks_alone")

    result = alone.execute_in_process(instance=project.instance, raise_on_error=False)

    found = check(result, "policy")
    assert not found.passed
    assert found.blocking
    assert found.description == (
        "machine_learning_curated was made without after_consent_only, match_device, "
        "pseudonymise_devices, which the privacy policy requires (STEDI_AFTER_CONSENT_ONLY=true, "
        "STEDI_MATCH_DEVICE=true, STEDI_PSEUDONYMISE_DEVICES=true). Materialise it again."
    )
    assert project.serials() == RAW


def test__erasure__knows_the_options_in_effect(
    project: Project, spark_resource: SparkResource
) -> None:
    assert project.run(HIDDEN).success
    stored = Lakehouse(str(project.lakehouse), spark_resource)
    erasure = Erasure(stored, PSEUDONYMS, frozenset(), Record("run", 2**42))
    assert erasure.stale() is None


# Versions made under a weaker policy


def test__weaker_versions__are_deleted_once_the_checks_have_passed(project: Project) -> None:
    assert project.run().success
    assert project.run().success
    assert project.serials() == RAW

    result = project.run(HIDDEN)

    assert not project.serials() & RAW
    assert not [serial for serial in RAW if serial in project.log()]
    assert deleted(result) == 2
    assert project.state().rows == 2
    assert project.state().commit.config == HIDDEN
    # From then on history is kept as ever.
    kept = project.state().version
    again = project.run(HIDDEN)
    assert deleted(again) == 0
    assert project.state().version == kept + 1


def test__weaker_versions__are_deleted_when_the_asset_alone_is_materialised(
    project: Project,
) -> None:
    assert project.run().success
    assert project.run(HIDDEN, only=[TABLE.name]).success
    assert not project.serials() & RAW


def test__weaker_versions__stay_while_a_blocking_check_fails(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert project.run().success
    with monkeypatch.context() as patched:
        # Judged long before anyone consented, nobody agrees.
        people = recount.people
        patched.setattr(recount, "people", lambda landed, _: people(landed, 0))
        failed = project.run(HIDDEN, only=[TABLE.name])
    assert not check(failed, "consent").passed
    assert project.serials() > RAW

    assert project.run(HIDDEN, only=[TABLE.name]).success
    assert not project.serials() & RAW


@pytest.mark.parametrize("moment", ["before", "within"])
def test__weaker_versions__are_deleted_by_the_next_run_when_one_dies(
    project: Project, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert project.run().success
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
        assert not project.run(HIDDEN, only=[TABLE.name]).success
    assert [serial for serial in RAW if serial in project.log()]

    assert project.run(HIDDEN, only=[TABLE.name]).success

    assert not project.serials() & RAW
    assert not [serial for serial in RAW if serial in project.log()]
    assert project.state().rows == 2


def test__weaker_versions__of_an_earlier_release_are_deleted(
    project: Project, spark_resource: SparkResource
) -> None:
    """Its commits do not say what came before."""
    assert project.run().success
    stored = Lakehouse(str(project.lakehouse), spark_resource)
    hidden = PSEUDONYMS.of(stored.read(TABLE), "serialNumber")
    stored.write(TABLE, hidden, Commit(config=HIDDEN))
    assert project.serials() > RAW

    assert project.run(HIDDEN).success

    assert not project.serials() & RAW


def test__versions__under_the_same_options_stay(project: Project) -> None:
    assert project.run(HIDDEN).success
    assert project.run(HIDDEN).success
    assert project.run(Options()).success
    table = delta.open_table(f"file://{project.lakehouse}/{TABLE.location}")
    assert table is not None
    assert len(table.history()) == 3


def _die(*_: Any) -> None:
    raise KeyboardInterrupt


def _materialized(
    project: Project, policy: Options, options: dict[str, bool], key: str = PSEUDONYMS.key
) -> str:
    """What `make materialize` prints."""
    printed = io.StringIO()
    stedi_assets.materialize.materialize(
        project.define(policy, key),
        project.instance,
        Console(file=printed, soft_wrap=True, width=400),
        {TABLE.name: {"config": options}},
    )
    return printed.getvalue()


def _content(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
