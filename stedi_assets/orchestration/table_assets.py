"""Turns a table's declaration into the definition of an asset."""

import functools
import hashlib
import inspect
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import timedelta
from typing import Any

import dagster as dg
import pydantic
from dagster._core.definitions.decorators.op_decorator import DecoratedOpFunction
from pydantic import Field

from stedi_assets.lakehouse import maintenance as upkeep
from stedi_assets.lakehouse.lakehouse import Lakehouse
from stedi_assets.landing import folder as landing
from stedi_assets.orchestration import metadata as describe
from stedi_assets.orchestration.checks import volume
from stedi_assets.orchestration.failures import faults_fail_step
from stedi_assets.orchestration.io_manager import NewVersion
from stedi_assets.storage.faults import storage_faults
from stedi_assets.tables import MACHINE_LEARNING_CURATED, TABLES, Table, Zone, consent
from stedi_assets.tables.policy import NO_OPTION, Options, settings_of

OWNERS = {Zone.LANDING: "team:ingest", Zone.QUARANTINE: "team:ingest"}
DATA_TEAM = "team:data-engineering"
# The daily schedule makes every table: a table warns when a run of it is missing, and fails when
# two are.
FRESHNESS = dg.FreshnessPolicy.time_window(
    fail_window=timedelta(hours=50), warn_window=timedelta(hours=26)
)
CODE_REFERENCES = "dagster/code_references"
# What a failed blocking check keeps from being made in a run must not be made after it either.
FLOWS_ON = dg.AutomationCondition.eager() & dg.AutomationCondition.all_deps_blocking_checks_passed()


def owner(table: Table) -> str:
    """The team that answers for a table."""
    return OWNERS.get(table.zone, DATA_TEAM)


def definition(
    table: Table,
    *,
    kinds: set[str],
    lineage: dg.TableColumnLineage,
    rule: str = "",
) -> dict[str, Any]:
    """What Dagster is told of a table's asset, apart from how it is computed.

    Args:
        table: The declaration.
        kinds: The technologies to show in the UI.
        lineage: For each column what it is taken from.
        rule: How rows come to be in it.
    """
    zone = Zone.LANDING if table.zone is Zone.QUARANTINE else table.zone
    return {
        "group_name": zone.value,
        "kinds": kinds,
        "owners": [owner(table)],
        "tags": {
            describe.PERSONAL_DATA: "true" if table.personal else "false",
            "source": table.source,
        },
        "description": f"{table.description}\n\n{rule}".strip(),
        "metadata": describe.definition(table, lineage),
        "freshness_policy": FRESHNESS,
    }


class TableConfig(dg.Config):
    """What a run may say of any table that is made here."""

    accept_volume: bool = Field(
        default=False,
        description=(
            "Write the table even if it loses rows without a reason; the next run compares with "
            "what this one writes."
        ),
    )


def table_asset(
    table: Table, policy: Options = NO_OPTION
) -> Callable[[Callable[..., Any]], dg.AssetsDefinition]:
    """Declares a function of frames as the asset of a table.

    Before the table is written the check `volume` compares its rows with the last version; what it
    refuses is not written. The code version is a digest of the rule's source, of who consents, of
    the columns and of the policy, so that Dagster shows the table as stale when any of them
    changes.

    Args:
        table: The table.
        policy: The defaults of the options, for a rule that takes a `config`.
    """

    def decorate(rule: Callable[..., Any]) -> dg.AssetsDefinition:
        source = inspect.getsource(rule) + inspect.getsource(consent) + repr(table.columns)
        parents = [TABLES[name] for name in inspect.signature(rule).parameters if name in TABLES]
        described = definition(
            table,
            kinds={"spark", "deltalake"},
            lineage=describe.lineage(table, parents),
            rule=inspect.getdoc(rule) or "",
        )
        if "config" in inspect.signature(rule).parameters:
            described["metadata"][describe.POLICY] = str(policy)
        asset: dg.AssetsDefinition = dg.asset(
            name=table.name,
            code_version=_digest(source, repr(policy)),
            automation_condition=FLOWS_ON,
            check_specs=[volume.spec(table)],
            output_required=False,  # there is none where the check fails
            **described,
        )(_judged(rule, table, parents, _digest(source), policy))
        return asset

    return decorate


def under_policy(assets: Iterable[Any], policy: Options) -> list[Any]:
    """The assets, that of the training table with the policy as the defaults of its options."""
    table = MACHINE_LEARNING_CURATED
    return [
        table_asset(table, policy)(_rule_of(asset))
        if isinstance(asset, dg.AssetsDefinition) and dg.AssetKey(table.name) in asset.keys
        else asset
        for asset in assets
    ]


def with_code_references(assets: Sequence[Any]) -> list[Any]:
    """The assets, each with the file and line of its own function, whatever it is wrapped in."""
    with warnings.catch_warnings():
        # The references are beta in Dagster: without them its pages lack a link, no more.
        warnings.simplefilter("ignore", dg.BetaWarning)
        return [asset.map_asset_specs(_with_reference(_rule_of(asset))) for asset in assets]


def _with_reference(rule: Callable[..., Any]) -> Callable[[dg.AssetSpec], dg.AssetSpec]:
    file = inspect.getsourcefile(rule)
    assert file is not None
    line = inspect.getsourcelines(rule)[1]
    reference = dg.LocalFileCodeReference(file_path=file, line_number=line)
    found = dg.CodeReferencesMetadataValue(code_references=[reference])
    return lambda spec: spec.merge_attributes(metadata={CODE_REFERENCES: found})


def _judged(
    rule: Callable[..., Any],
    table: Table,
    parents: Sequence[Table],
    code: str,
    defaults: Options,
) -> Callable[..., Any]:
    """The rule as Dagster runs it: its rows are cached, judged, and written only if accepted."""
    taken = inspect.signature(rule, eval_str=True).parameters
    has_options = "config" in taken
    config_type = TableConfig
    if has_options:
        config_type = _with_defaults(taken["config"].annotation, defaults)

    def make(
        context: dg.AssetExecutionContext,
        config: TableConfig,
        lakehouse: dg.ResourceParam[Lakehouse],
        policy: dg.ResourceParam[Options],  # which refuses a run that is weaker
        **given: Any,
    ) -> Iterator[dg.Output[NewVersion] | dg.AssetCheckResult]:
        options = Options.of(config.model_dump())
        inputs = {**given, "config": config} if has_options else given
        with faults_fail_step(retry=True), storage_faults(lakehouse.uri_of(table)):
            last = lakehouse.state(table)
            commit = {
                "config": options.as_dict() if has_options else {},
                "code": _code(code, parents, lakehouse),
                "landing": volume.landed(lakehouse),
                "weaker_until": upkeep.weaker_until(last, options),
            }
            frame = lakehouse.spark.cached(rule(**inputs))
            judged = volume.judge(
                lakehouse,
                table,
                frame,
                commit,
                accepted=config.accept_volume,
            )
        if judged.passed:
            commit["accepted_rows"] = judged.next_accepted_rows
            shown = _options_shown(options, policy) if has_options else {}
            for name in shown:
                context.log.info(f"{name}: {shown[name]}")
            yield dg.Output(NewVersion(frame, commit), metadata=shown)
        yield judged.result()

    ours = inspect.signature(make).parameters
    parameters = [
        ours["context"],
        ours["config"].replace(annotation=config_type),
        ours["lakehouse"],
        ours["policy"],
        *(each for name, each in taken.items() if name != "config"),
    ]
    made: Callable[..., Any] = functools.update_wrapper(make, rule)
    vars(made)["__signature__"] = inspect.Signature(parameters)
    return made


def _options_shown(options: Options, policy: Options) -> dict[str, str]:
    """What the materialisation shows of its options."""
    shown = {describe.POLICY: str(policy), describe.OPTIONS: str(options)}
    if once := options.beyond(policy):
        shown["holds_once"] = (
            f"{', '.join(once)}: for this run alone. Set {settings_of(once)} to have every run "
            "obey it."
        )
    return shown


def _code(own: str, parents: Sequence[Table], lakehouse: Lakehouse) -> str:
    """A digest of all code that had a part in a table's rows: its own, and that of its parents."""
    parts = [own]
    for parent in parents:
        state = lakehouse.state(parent) if parent.zone is not Zone.LANDING else None
        parts.append(state.commit.get("code", "") if state else landing.reader_version(parent))
    return _digest(*parts)


def _digest(*parts: str) -> str:
    return hashlib.sha256("".join(parts).encode()).hexdigest()[:12]


def _with_defaults(config: type[TableConfig], policy: Options) -> type[TableConfig]:
    """A configuration whose options are by default those of the policy."""
    fields: dict[str, Any] = {
        name: (bool, Field(default=on, description=config.model_fields[name].description))
        for name, on in policy.as_dict().items()
    }
    return pydantic.create_model(config.__name__, __base__=config, **fields)


def _rule_of(asset: dg.AssetsDefinition) -> Callable[..., Any]:
    compute = asset.op.compute_fn
    assert isinstance(compute, DecoratedOpFunction)
    rule: Callable[..., Any] = inspect.unwrap(compute.decorated_fn)
    return rule
