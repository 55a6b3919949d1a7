"""Turns a table's declaration into the asset that makes it."""

import dataclasses
import inspect
import warnings
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import dagster as dg
import pydantic
from pydantic import Field
from pyspark.sql import DataFrame

from stedi_assets import pictures
from stedi_assets.lakehouse import maintenance
from stedi_assets.lakehouse.lakehouse import Lakehouse
from stedi_assets.lakehouse.making import NewVersion, code_of_rows, next_version, own_code
from stedi_assets.orchestration import metadata
from stedi_assets.orchestration.checks import volume
from stedi_assets.orchestration.clock import Clock
from stedi_assets.orchestration.failures import faults_fail_step
from stedi_assets.policy import NO_OPTION, Options, settings_of
from stedi_assets.pseudonyms import Pseudonyms
from stedi_assets.split import DEFAULT_SPLIT, PARTS, Split
from stedi_assets.storage.faults import storage_faults
from stedi_assets.tables import TABLES, Table, code
from stedi_assets.tables.columns import PERSONAL_DATA

# The daily schedule makes every table: a table warns when a run of it is missing, and fails when
# two are.
FRESHNESS = dg.FreshnessPolicy.time_window(
    fail_window=timedelta(hours=50), warn_window=timedelta(hours=26)
)
CODE_REFERENCES = "dagster/code_references"
_SHARE = (
    "The share of the groups of people in {part}, in per cent: at least 1, and all add up to 100."
)
SPLIT = {
    "seed": "With another seed people fall into other parts. It is no secret.",
    **{part: _SHARE.format(part=part) for part in PARTS},
}
# What a failed blocking check keeps from being made in a run must not be made after it either.
FLOWS_ON = dg.AutomationCondition.eager() & dg.AutomationCondition.all_deps_blocking_checks_passed()


def definition(
    table: Table,
    *,
    kinds: set[str],
    lineage: dg.TableColumnLineage,
    rule: str = "",
    function: Callable[..., Any],
) -> dict[str, Any]:
    """What Dagster shows of a table's asset, apart from how it is computed.

    Args:
        table: The declaration.
        kinds: The technologies to show in the UI.
        lineage: For each column what it is taken from.
        rule: How rows come to be in it.
        function: The code that makes them.
    """
    return {
        "group_name": table.zone.value,
        "kinds": kinds,
        "owners": [table.owner],
        "tags": {
            PERSONAL_DATA: "true" if table.personal else "false",
            "source": table.source,
        },
        "description": "\n\n".join(
            filter(None, [table.description, rule, _pictures(table), metadata.LINK])
        ),
        "metadata": {
            **metadata.definition(table, lineage),
            CODE_REFERENCES: _reference(function),
        },
        "freshness_policy": FRESHNESS,
    }


class TableConfig(dg.Config):
    """What a run may say of any table that a rule makes."""

    accept_volume: bool = Field(
        default=False,
        description=(
            "Write the table even if it loses rows without a reason; the next run compares with "
            "what this one writes."
        ),
    )
    rebuild: bool = Field(
        default=False,
        description="Make all of the table anew, whatever has changed.",
    )


def table_asset(
    table: Table, policy: Options = NO_OPTION, split: Split = DEFAULT_SPLIT
) -> dg.AssetsDefinition:
    """The asset of a table that a rule makes.

    Before the table is written the check `volume` compares its rows with the last version; what it
    refuses is not written. Every asset takes the policy, which refuses a run that is weaker.

    Args:
        table: The table.
        policy: The defaults of the options, for a rule that takes some.
        split: The default of the split, for a rule that takes one.
    """
    assert table.rule is not None
    config_type = _config(table, policy, split)
    parents = [TABLES[name] for name in table.parents]
    described = definition(
        table,
        kinds={"spark", "deltalake"},
        lineage=metadata.lineage(table, parents),
        rule=inspect.getdoc(table.rule) or "",
        function=table.rule,
    )
    if table.has_options:
        described["metadata"][metadata.POLICY] = str(policy)

    def make(
        context: dg.AssetExecutionContext,
        config: TableConfig,
        lakehouse: dg.ResourceParam[Lakehouse],
        policy: dg.ResourceParam[Options],
        pseudonyms: dg.ResourceParam[Pseudonyms],
        clock: Clock,
        **parents: DataFrame,
    ) -> Iterator[dg.Output[NewVersion] | dg.AssetCheckResult]:
        chosen = config.model_dump() | dict.fromkeys(table.strict, True)
        options = Options.of(chosen) if table.has_options else NO_OPTION
        with faults_fail_step(retry=True), storage_faults(lakehouse.uri_of(table)):
            chosen_split = Split.of(chosen) if table.is_split else None
            new = next_version(
                lakehouse,
                table,
                parents.__getitem__,
                clock.now,
                options,
                pseudonyms,
                split=chosen_split,
                rebuild=config.rebuild,
            )
            last = lakehouse.state(table)
            if last and config.accept_volume and new.commit is None:
                new = dataclasses.replace(new, commit=last.commit)  # to keep what is accepted
            new = new.noting(
                landing=volume.landed(lakehouse),
                weaker_until=maintenance.weaker_until(last, options),
            )
            judged = None
            if last:
                judged = volume.judge(lakehouse, table, new, accepted=config.accept_volume)
                new = new.noting(accepted_rows=judged.next_accepted_rows)
        if judged is None or judged.passed:
            shown = _options_shown(options, policy) if table.has_options else {}
            if chosen_split:
                shown |= _split_shown(chosen_split, split)
            for name in shown:
                context.log.info(f"{name}: {shown[name]}")
            version = code.digest(code_of_rows(table, lakehouse), str(options), new.id)
            figures = metadata.made(new)
            if judged:
                figures |= {"rows_made": judged.made, "rows_replaced": judged.replaced}
            yield _output(new, figures | shown, version)
        yield (judged or volume.first(lakehouse, table)).result()

    asset: dg.AssetsDefinition = dg.asset(
        name=table.name,
        code_version=code.digest(
            own_code(table),
            repr(policy if table.has_options else NO_OPTION),
            *([str(split)] if table.is_split else []),
        ),
        automation_condition=FLOWS_ON,
        check_specs=[volume.spec(table)],
        output_required=False,  # there is none where the check fails
        **described,
    )(_taking(make, table.parents, config_type))
    return asset


def _taking(
    make: Callable[..., Any], parents: list[str], config_type: type[TableConfig]
) -> Callable[..., Any]:
    """The function with each parent as an input of its own, which the IO manager loads."""
    ours = inspect.signature(make).parameters
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    vars(make)["__signature__"] = inspect.Signature(
        [
            *(
                each.replace(annotation=config_type) if name == "config" else each
                for name, each in ours.items()
                if name != "parents"
            ),
            *(inspect.Parameter(name, kind, annotation=DataFrame) for name in parents),
        ]
    )
    return make


def _config(table: Table, policy: Options, split: Split) -> type[TableConfig]:
    """The run configuration: that of any table, options and split with the settings as defaults."""
    if not table.has_options:
        return TableConfig
    fields: dict[str, Any] = {
        option.name: (
            bool,
            Field(
                default=getattr(policy, option.name),
                description=option.metadata["description"],
            ),
        )
        for option in dataclasses.fields(Options)
        if option.name not in table.strict
    }
    if table.is_split:
        fields |= {
            name: (type(default), Field(default=default, description=SPLIT[name]))
            for name, default in dataclasses.asdict(split).items()
        }
    name = f"{table.name.title().replace('_', '')}Config"
    return pydantic.create_model(name, __base__=TableConfig, **fields)


def _options_shown(options: Options, policy: Options) -> dict[str, str]:
    """What the materialisation shows of its options."""
    shown = {metadata.POLICY: str(policy), metadata.OPTIONS: str(options)}
    if once := options.beyond(policy):
        shown["holds_once"] = (
            f"{', '.join(once)}: for this run alone. Set {settings_of(once)} to have every run "
            "obey it."
        )
    return shown


def _split_shown(chosen: Split, default: Split) -> dict[str, str]:
    """What the materialisation shows of its split."""
    shown = {"split": str(chosen)}
    if chosen != default:
        shown["split_holds_once"] = (
            "The next run that names no split moves people back. Set STEDI_SPLIT_SEED and "
            "STEDI_SPLIT_SHARES to keep this one."
        )
    return shown


def _output(new: NewVersion, shown: dict[str, Any], version: str) -> dg.Output[NewVersion]:
    with warnings.catch_warnings():
        # Versions of outputs are beta in Dagster: without, its pages call more tables stale.
        warnings.simplefilter("ignore", dg.BetaWarning)
        return dg.Output(new, metadata=shown, data_version=dg.DataVersion(version))


def _pictures(table: Table) -> str:
    """Where the UI, which shows no Markdown of a materialisation at once, has the pictures."""
    if table != pictures.SHOWN_ON:
        return ""
    names = ", ".join(f"`{name}`" for name in pictures.DRAWINGS)
    return (
        f"Pictures: in the [last materialisation](/assets/{table.name}?view=events), press *Show "
        f"Markdown* at {names}; `make report` shows them at once."
    )


def _reference(function: Callable[..., Any]) -> dg.CodeReferencesMetadataValue:
    file = inspect.getsourcefile(function)
    assert file is not None
    line = inspect.getsourcelines(function)[1]
    with warnings.catch_warnings():
        # The references are beta in Dagster: without them its pages lack a link, no more.
        warnings.simplefilter("ignore", dg.BetaWarning)
        reference = dg.LocalFileCodeReference(file_path=file, line_number=line)
        return dg.CodeReferencesMetadataValue(code_references=[reference])
