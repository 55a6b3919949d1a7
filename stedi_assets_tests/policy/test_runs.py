"""The privacy policy is obeyed by every run, whoever starts it."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from rich.console import Console

import stedi_assets.materialize
from stedi_assets.orchestration.history import INSTANCE
from stedi_assets.policy import NO_OPTION, Options
from stedi_assets_tests.conftest import PROJECT
from stedi_assets_tests.policy.conftest import HIDDEN, RAW, STRICT, TABLE, Project, check
from stedi_assets_tests.rows import PSEUDONYMS

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("job", ["materialize_lakehouse", "refresh_from_landing"])
def test__policy__is_obeyed_by_a_run_without_configuration(project: Project, job: str) -> None:
    result = project.run(STRICT, job=job)

    assert result.success
    assert project.state().commit.config == STRICT
    assert project.serials() and not project.serials() & RAW
    shown = _metadata(result)
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
        "rebuild": False,
    }


def test__policy__changes_the_code_version(project: Project) -> None:
    def versions(policy: Options) -> dict[str, str | None]:
        specs = project.define(policy).resolve_all_asset_specs()
        return {spec.key.to_user_string(): spec.code_version for spec in specs}

    before, after = versions(Options()), versions(HIDDEN)
    assert {name for name in before if before[name] != after[name]} == {TABLE.name, "training_set"}


def test__run__stricter_than_the_policy_holds_once(project: Project) -> None:
    result = project.run(Options(match_device=True), pseudonymise_devices=True)

    assert result.success
    assert "STEDI_PSEUDONYMISE_DEVICES=true" in _metadata(result)["holds_once"]
    assert project.state().commit.config == replace(STRICT, after_consent_only=False)
    assert check(result, "policy").passed


def test__run__weaker_than_the_policy_writes_nothing(unrestricted: Project) -> None:
    """Whatever it selects: the training table may be made of its tables later."""
    before = _content(unrestricted.lakehouse)
    new = unrestricted.source / "customer" / "landing" / "new.json"
    new.write_text('{"email":"x@example.com"}')

    for only in (None, [TABLE.name], ["customer_landing", "customer_quarantine"]):
        result = unrestricted.run(HIDDEN, only=only, pseudonymise_devices=False)

        assert not result.success
        assert _content(unrestricted.lakehouse) == before
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
    shutil.copy(INSTANCE, history)
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


def test__run__weaker_than_the_policy_says_so_before_the_first_step(project: Project) -> None:
    printed = _materialized(project, STRICT, {"match_device": False, "after_consent_only": False})
    assert "failed before the first step: " in printed
    assert "turns off after_consent_only, match_device" in printed
    assert not project.lakehouse.exists()


@pytest.mark.parametrize(
    ("policy", "options", "key"),
    [(HIDDEN, {}, ""), (NO_OPTION, {"pseudonymise_devices": True}, "too-short")],
)
def test__policy__of_pseudonyms_without_a_key_writes_nothing(
    project: Project, policy: Options, options: dict[str, bool], key: str
) -> None:
    printed = _materialized(project, policy, options, key)
    assert printed.count("failed before the first step: [SETTING] ") == 1
    assert not project.lakehouse.exists()


def test__policy__cannot_be_configured(project: Project) -> None:
    job = project.define(HIDDEN).resolve_job_def("materialize_lakehouse")
    weaker = {"resources": {"policy": {"config": {"pseudonymise_devices": False}}}}
    with pytest.raises(dg.DagsterInvalidConfigError):
        dg.validate_run_config(job, weaker)


def test__check__fails_for_a_table_that_is_older_than_the_policy(unrestricted: Project) -> None:
    checks = dg.AssetSelection.checks(dg.AssetCheckKey(dg.AssetKey(TABLE.name), "policy"))
    defs = unrestricted.define(STRICT)
    job = dg.define_asset_job("checks_alone", selection=checks)
    alone = dg.Definitions.merge(defs, dg.Definitions(jobs=[job])).resolve_job_def("checks_alone")

    result = alone.execute_in_process(instance=unrestricted.instance, raise_on_error=False)

    found = check(result, "policy")
    assert not found.passed
    assert found.blocking
    assert found.description and "STEDI_AFTER_CONSENT_ONLY=true" in found.description
    assert unrestricted.serials() == RAW


def _metadata(result: dg.ExecuteInProcessResult) -> dict[str, Any]:
    [made] = [
        event.materialization.metadata
        for event in result.get_asset_materialization_events()
        if event.asset_key == dg.AssetKey(TABLE.name)
    ]
    return {name: value.value for name, value in made.items()}


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
