"""The privacy policy as a resource, which every run that could break it has to pass."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dagster as dg

from stedi_assets.errors import LakehouseError
from stedi_assets.policy import Options, settings_of
from stedi_assets.pseudonyms import Pseudonyms
from stedi_assets.tables import DELTA_TABLES


def policy_resource(policy: Options, pseudonyms: Pseudonyms) -> dg.ResourceDefinition:
    """The policy, without configuration, so that no run can change it.

    Every asset takes it. So a run that is weaker, or that lacks the key it needs, fails before its
    first step, and where each step is a process of its own, every first step fails.

    Args:
        policy: What the settings say.
        pseudonyms: Makes the pseudonyms.
    """

    def obeyed(context: dg.InitResourceContext) -> Options:
        require_obeyed(policy, context.run.run_config if context.run else {}, pseudonyms)
        return policy

    return dg.ResourceDefinition(obeyed, config_schema={})


def require_obeyed(policy: Options, run_config: Mapping[str, Any], pseudonyms: Pseudonyms) -> None:
    """Makes sure that a run is as strict as the policy, and that it has the key it needs.

    Raises:
        LakehouseError: If it is weaker, or wants pseudonyms and there is no fit key.
    """
    ops = run_config.get("ops") or {}
    for table in DELTA_TABLES:
        asked = (ops.get(table.name) or {}).get("config") or {} if table.has_options else {}
        refused = [name for name in policy.enabled if not asked.get(name, True)]
        if refused:
            raise LakehouseError(
                f"The run configuration of {table.name} turns off {', '.join(refused)}, which the "
                f"privacy policy requires ({settings_of(refused)}). Take that out of the run "
                "configuration; nothing was written."
            )
        if policy.pseudonymise_devices or asked.get("pseudonymise_devices"):
            pseudonyms.require_key()
