"""Whether the lakehouse is safe to train on, and why."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from stedi_assets.report.status import CheckStatus, TableStatus

AGAIN = "Run `make materialize`"


@dataclass(frozen=True)
class Warned:
    """Something to look at.

    Attributes:
        table: The table.
        name: The check, or `freshness`.
        verdict: `warned` or `failed`.
        meaning: What holds where it passes.
        said: What was found, and what to do about it.
    """

    table: str
    name: str
    verdict: str
    meaning: str
    said: str


@dataclass(frozen=True)
class Verdict:
    """Whether to train on what there is.

    Attributes:
        reasons: Why not, each with what to do; empty if it is safe.
        checks: How many checks have passed.
    """

    reasons: Sequence[str]
    checks: int

    @property
    def safe(self) -> bool:
        """Whether it is safe to train on."""
        return not self.reasons


def verdict(statuses: Sequence[TableStatus], now: datetime) -> Verdict:
    """Safe is what passes every check that does not only warn, and is not too old.

    A table that is refused stays at its last good version, but that has the rows of people whose
    withdrawal is in what was refused. So a failed check of any table is a reason.
    """
    checks = [check for status in statuses for check in status.checks]
    passed = sum(check.verdict == "passed" for check in checks)
    return Verdict([reason for each in statuses for reason in _reasons(each, now)], passed)


def warnings(statuses: Sequence[TableStatus], now: datetime) -> list[Warned]:
    """What warns or fails, those that fail first."""
    found = [each for status in statuses for each in _warned(status, now)]
    return sorted(found, key=lambda each: each.verdict != "failed")


def _reasons(status: TableStatus, now: datetime) -> Iterator[str]:
    name = status.table.name
    for check in status.checks:
        if check.verdict == "failed":
            yield f"The check {check.name} of {name} failed. {check.said}".strip()
    if unknown := [check.name for check in status.checks if check.verdict == "not run"]:
        yield (
            f"{name} was made without {_listed(unknown)}: what it holds now was not checked. "
            f"{AGAIN}."
        )
    if status.freshness(now) == "failed":
        yield (
            f"{name} was last made {_span(now - status.materialized)} ago, so that it may hold "
            f"people who have withdrawn since. {AGAIN}."
        )


def _warned(status: TableStatus, now: datetime) -> Iterator[Warned]:
    name = status.table.name
    for check in status.checks:
        if check.verdict in ("warned", "failed"):
            yield Warned(name, check.name, check.verdict, check.description, _fix(check))
    freshness = status.freshness(now)
    if freshness != "fresh":
        hours = f"{status.warns_after / timedelta(hours=1):g}"
        age = _span(now - status.materialized)
        said = f"It was last made {age} ago. {AGAIN}, or turn on the daily schedule."
        yield Warned(
            name, "freshness", freshness, f"It was made within the last {hours} hours.", said
        )


def _fix(check: CheckStatus) -> str:
    return check.said or "Look at its figures below, and at the checks of the asset in the UI."


def _listed(checks: Sequence[str]) -> str:
    return f"the check {checks[0]}" if len(checks) == 1 else f"{len(checks):,} of its checks"


def _span(span: timedelta) -> str:
    hours = span / timedelta(hours=1)
    return f"{hours / 24:.1f} days" if hours >= 48 else f"{hours:.1f} hours"
