"""What Dagster loads is the design: every table, who owns it, what it is made of."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from stedi_assets import tables
from stedi_assets.definitions import define, defs
from stedi_assets.orchestration import metadata
from stedi_assets.orchestration.erase import ConfigRefused
from stedi_assets.settings import Settings
from stedi_assets.tables import TABLES, Zone

PARENTS = {
    "customer_landing": {"customer_files"},
    "accelerometer_landing": {"accelerometer_files"},
    "step_trainer_landing": {"step_trainer_files"},
    "customer_quarantine": {"customer_landing"},
    "accelerometer_quarantine": {"accelerometer_landing"},
    "step_trainer_quarantine": {"step_trainer_landing"},
    "customer_trusted": {"customer_landing"},
    "accelerometer_trusted": {"accelerometer_landing", "customer_trusted"},
    "customer_curated": {"customer_trusted", "accelerometer_trusted"},
    "step_trainer_trusted": {"step_trainer_landing", "customer_curated"},
    "machine_learning_curated": {
        "step_trainer_trusted",
        "accelerometer_trusted",
        "customer_curated",
    },
    "customer_training": {"customer_curated"},
    "training_set": {"step_trainer_trusted", "accelerometer_trusted", "customer_training"},
}
FILES = {"customer_files", "accelerometer_files", "step_trainer_files"}
PERSONAL = {
    "customer_landing",
    "customer_quarantine",
    "customer_trusted",
    "customer_curated",
    "customer_training",
    "accelerometer_landing",
    "accelerometer_quarantine",
    "accelerometer_trusted",
    "step_trainer_quarantine",
}


@pytest.fixture(scope="module")
def specs() -> dict[str, dg.AssetSpec]:
    """Every asset that Dagster loads, by name."""
    return {spec.key.to_user_string(): spec for spec in defs.resolve_all_asset_specs()}


def test__definitions__can_be_loaded() -> None:
    dg.Definitions.validate_loadable(defs)


def test__assets__are_the_tables_and_depend_as_designed(specs: dict[str, dg.AssetSpec]) -> None:
    found = {
        name: {dep.asset_key.to_user_string() for dep in spec.deps} for name, spec in specs.items()
    }
    assert found == PARENTS | {name: set() for name in (*FILES, "lakehouse_runs")}
    assert set(TABLES) == set(PARENTS)


@pytest.mark.parametrize("name", sorted(FILES))
def test__source_files__are_external_and_described(
    name: str, specs: dict[str, dg.AssetSpec]
) -> None:
    spec = specs[name]
    assert not defs.resolve_asset_graph().get(spec.key).is_executable
    assert spec.group_name == "landing"
    assert spec.kinds == {"json"}
    assert spec.description
    landing = TABLES[name.replace("_files", "_landing")]
    assert landing.location in spec.description
    columns = spec.metadata["dagster/column_schema"].columns
    assert [column.name for column in columns] == landing.column_names


@pytest.mark.parametrize("name", PARENTS)
def test__asset__refers_to_its_own_code(name: str, specs: dict[str, dg.AssetSpec]) -> None:
    [reference] = specs[name].metadata["dagster/code_references"].code_references
    lines = Path(reference.file_path).read_text().splitlines()
    table = TABLES[name]
    module, function = (
        (f"tables/{table.source}", name)
        if table.rule
        else ("orchestration/landing_assets", "landing_asset")
    )
    assert reference.file_path.endswith(f"stedi_assets/{module}.py")
    assert lines[reference.line_number - 1].startswith(f"def {function}(")


@pytest.mark.parametrize("name", PARENTS)
def test__asset__is_described(name: str, specs: dict[str, dg.AssetSpec]) -> None:
    table, spec = TABLES[name], specs[name]
    assert spec.group_name == table.zone.value
    assert spec.kinds == ({"json"} if table.zone is Zone.LANDING else {"spark", "deltalake"})
    early = table.zone in (Zone.LANDING, Zone.QUARANTINE)
    assert spec.owners == ["team:ingest" if early else "team:data-engineering"]
    assert spec.tags["personal_data"] == ("true" if name in PERSONAL else "false")
    assert spec.tags["source"] == table.source
    assert spec.description
    assert spec.description.startswith(table.description)
    assert spec.code_version
    assert spec.metadata["dagster/table_name"] == name


@pytest.mark.parametrize("name", PARENTS)
def test__asset__columns_are_described(name: str, specs: dict[str, dg.AssetSpec]) -> None:
    table = TABLES[name]
    schema = metadata.column_schema(table, specs[name].metadata[metadata.LINEAGE])
    assert [(column.name, column.type) for column in schema.columns] == [
        (column.name, column.type) for column in table.columns
    ]
    assert all(column.description for column in schema.columns)
    tagged = {column.name for column in schema.columns if column.tags.get("personal_data")}
    known = {"customerName", "email", "phone", "birthDay", "user", "line", "firstOfGroup"}
    assert tagged == known & set(table.column_names)


ORIGINS = {
    ("customer_training", "firstOfGroup"): "customer_curated.email",
    ("training_set", "split"): "customer_training.firstOfGroup",
    ("customer_landing", "email"): "customer_files.email",
    ("customer_quarantine", "line"): "customer_landing",  # the whole record
    ("customer_quarantine", "quarantinedAt"): None,
    ("accelerometer_trusted", "user"): "accelerometer_landing.user",
    ("customer_curated", "email"): "customer_trusted.email",
    ("machine_learning_curated", "distanceFromObject"): "step_trainer_trusted.distanceFromObject",
    ("machine_learning_curated", "timestamp"): "accelerometer_trusted.timestamp",
}


@pytest.mark.parametrize(("name", "column"), ORIGINS)
def test__asset__columns_tell_their_origin(
    name: str, column: str, specs: dict[str, dg.AssetSpec]
) -> None:
    """As tags, since the open-source UI does not show the lineage of columns."""
    schema = metadata.column_schema(TABLES[name], specs[name].metadata[metadata.LINEAGE])
    columns = {each.name: each for each in schema.columns}
    assert columns[column].tags.get("from") == ORIGINS[name, column]


@pytest.mark.parametrize("table", tables.DELTA_TABLES, ids=lambda table: table.name)
def test__asset__description_tells_its_rule(
    table: tables.Table, specs: dict[str, dg.AssetSpec]
) -> None:
    description = specs[table.name].description
    assert description
    _, rule = description.split("\n\n", 1)
    assert rule.startswith(("Keeps", "Pairs"))


def _options(name: str) -> dict[str, dg.Field]:
    """The run configuration that the job of everything takes for an asset."""
    kind: Any = defs.resolve_job_def("materialize_lakehouse").run_config_schema.config_type
    for part in ("ops", name, "config"):
        kind = kind.fields[part].config_type
    return dict(kind.fields)


@pytest.mark.parametrize("name", ["machine_learning_curated", "customer_landing"])
def test__run_options__are_described(name: str) -> None:
    options = _options(name)
    assert options
    for option in options.values():
        assert option.description
        assert option.description.endswith(".")


def test__run_options__are_off_by_default() -> None:
    options = _options("machine_learning_curated")
    assert {name: each.default_value for name, each in options.items()} == {
        "after_consent_only": False,
        "match_device": False,
        "pseudonymise_devices": False,
        "accept_volume": False,
        "rebuild": False,
    }


def test__job__makes_and_checks_everything() -> None:
    job = defs.resolve_job_def("materialize_lakehouse")
    assert job.description
    assert {key.to_user_string() for key in job.asset_layer.executable_asset_keys} == set(TABLES)
    graph = defs.resolve_asset_graph()
    assert job.asset_layer.asset_graph.asset_check_keys == graph.asset_check_keys
    blocking = {key.name for key in graph.asset_check_keys if graph.get(key).blocking}
    landing = {"objects_accounted_for", "malformed_share", "implausible_share"}
    assert blocking == {"volume", "consent", "counts", "policy", "split_leakage"} | landing


CATALOGUED = Settings(
    lakehouse_uri="s3://bucket/prefix",
    source_data="/source",
    glue_database="stedi",
    athena_workgroup="primary",
)
RESOURCES = sorted(define(CATALOGUED).resources or {})
ELSEWHERE: list[tuple[str, dict]] = [
    ("source", {"path": "/elsewhere"}),
    ("io_manager", {"uri": "/elsewhere"}),
    ("io_manager", {"spark": {"remote": "sc://elsewhere:15002"}}),
    ("io_manager", {"spark": {"config": {"remote": "sc://elsewhere:15002"}}}),
    ("io_manager", {"catalog": {"database": "elsewhere"}}),
    ("athena", {"workgroup": "elsewhere"}),
    ("pseudonyms", {"key": "another"}),
    *((name, {"anything": "else"}) for name in RESOURCES),
]


@pytest.mark.parametrize(("resource", "config"), ELSEWHERE)
def test__run_config__cannot_change_a_resource(resource: str, config: dict) -> None:
    """Who may start a run could have it read or write anywhere; to ignore it would be as bad."""
    for job in ("materialize_lakehouse", "maintenance", "erase_withdrawn"):
        defined = define(CATALOGUED).resolve_job_def(job)
        if resource not in defined.get_required_resource_defs():
            continue
        refusal = ConfigRefused if job == "erase_withdrawn" else dg.DagsterInvalidConfigError
        with pytest.raises(refusal, match=r"(?i)(unexpected|unknown).* entry"):
            dg.validate_run_config(defined, {"resources": {resource: {"config": config}}})


def test__run_config__is_refused_before_anything_is_done(tmp_path: Path, small: Path) -> None:
    defs = define(Settings(lakehouse_uri=str(tmp_path / "lakehouse"), source_data=str(small)))
    theirs = tmp_path / "theirs"
    job = defs.resolve_job_def("materialize_lakehouse")
    for resource, config in (("io_manager", {"uri": str(theirs)}), ("source", {"path": "/"})):
        with (
            dg.DagsterInstance.ephemeral() as instance,
            pytest.raises(dg.DagsterInvalidConfigError),
        ):
            job.execute_in_process({"resources": {resource: {"config": config}}}, instance)
    assert not theirs.exists()
    assert not (tmp_path / "lakehouse").exists()


IMPORT = """
import sys, warnings
import dagster
for category in (dagster.BetaWarning, dagster.PreviewWarning, dagster.SupersessionWarning):
    warnings.simplefilter("error", category)
warnings.filterwarnings("error", category=DeprecationWarning, module=r"stedi_assets(\\.|$)")
import stedi_assets.definitions
print(*sorted(sys.modules))
"""


def test__definitions__import_is_light_and_silent() -> None:
    """A code location loads in every process of Dagster, so what a run needs waits for the run."""
    fresh = subprocess.run(
        [sys.executable, "-c", IMPORT], capture_output=True, text=True, check=False
    )
    assert fresh.stderr == ""
    assert fresh.returncode == 0
    loaded = set(fresh.stdout.split())
    assert "stedi_assets.orchestration.checks.tables" in loaded
    waiting = {
        "boto3",
        "deltalake",
        "numpy",
        "pandas",
        "pyarrow",
        "pygal",
        "pysail",
        "pyspark.sql.connect",
    }
    assert loaded & waiting == set()


def test__definitions__import_needs_no_beta_api_of_dagster() -> None:
    """The filter above is seen to work: the same script with a beta call does not end well."""
    script = IMPORT + "\nwarnings.warn('beta', dagster.BetaWarning)"
    fresh = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert "BetaWarning" in fresh.stderr
    assert fresh.returncode == 1


def test__executor__one_process_unless_a_run_asks_for_more() -> None:
    job = defs.resolve_job_def("materialize_lakehouse")
    asked = {"execution": {"config": {"multiprocess": {"max_concurrent": 2}}}}

    [by_default] = dg.validate_run_config(job)["execution"].values()
    [configured] = dg.validate_run_config(job, asked)["execution"].values()

    assert set(by_default) == {"in_process"}
    assert configured["multiprocess"]["max_concurrent"] == 2
