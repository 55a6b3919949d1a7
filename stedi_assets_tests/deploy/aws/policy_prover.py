"""What policies allow, decided by a solver for all requests of a pattern at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import z3
from iamprover.engine.conditions import encode_condition
from iamprover.engine.context import Context
from iamprover.engine.encoder import allowed
from iamprover.engine.patterns import matches_any
from iamprover.model import Condition, Principal
from iamprover.parsers.iam import parse_policy_document

UNDECIDED_AFTER_MILLISECONDS = 10_000


def allowed_request(
    identity: Iterable[Mapping[str, Any]],
    actions: Sequence[str],
    resources: Sequence[str],
    *,
    not_resources: Sequence[str] = (),
    context: Mapping[str, str] | None = None,
    bucket: Mapping[str, Any] | None = None,
) -> str | None:
    """Some request that the policies allow, or None, which proves that there is none.

    Actions, resources and the values of the context are patterns with `*` and `?`. A key that the
    context does not name may have any value. That a key `k` is absent is the value `true` of the
    key `k is absent`.

    Args:
        identity: The documents of the policies attached to a role.
        actions: The request's action is one of these.
        resources: Its resource is one of these.
        not_resources: Its resource is none of these.
        context: Condition key to what its value is.
        bucket: The document of the bucket's own policy.

    Raises:
        ValueError: The solver cannot decide, or does not know an operator of a condition.
    """
    role = Principal("role", [parse_policy_document("identity", each) for each in identity])
    resource_policies = [parse_policy_document("bucket", dict(bucket))] if bucket else []
    for policy in [*role.policies, *resource_policies]:
        for statement in policy.statements:
            statement.conditions = [_of_presence(each) for each in statement.conditions]
        for condition in (each for statement in policy.statements for each in statement.conditions):
            # The solver's own default for these is to ignore the condition.
            if encode_condition(condition, Context()) is None:
                raise ValueError(f"The solver does not know {condition.operator}.")

    action, resource, keys = z3.String("action"), z3.String("resource"), Context()
    solver = z3.Solver()
    solver.set("timeout", UNDECIDED_AFTER_MILLISECONDS)
    solver.add(
        allowed(role, action, resource, keys, resource_policies),
        matches_any(action, list(actions), case_insensitive=True),
        matches_any(resource, list(resources)),
        z3.Not(matches_any(resource, list(not_resources))),
        *(matches_any(keys.string(key), [value]) for key, value in (context or {}).items()),
    )
    verdict = solver.check()
    if verdict == z3.unknown:
        raise ValueError(f"The solver cannot decide {actions} on {resources}.")
    if verdict == z3.unsat:
        return None
    request = solver.model()
    return f"{request[action]} on {request[resource]} with {keys.assignments(request)}"


def _of_presence(condition: Condition) -> Condition:
    """A condition that the solver knows in place of `Null`, which it does not."""
    if condition.operator != "Null":
        return condition
    return Condition("Bool", f"{condition.key} is absent", condition.values)
