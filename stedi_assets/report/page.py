"""The report as a page of HTML that needs nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from rich import filesize

from stedi_assets.errors import LakehouseError
from stedi_assets.orchestration.landing_assets import SOURCE_FILES
from stedi_assets.pictures import DRAWINGS
from stedi_assets.report.status import TableStatus
from stedi_assets.storage.local import create_privately
from stedi_assets.tables import Zone

# Quarantine is shown beside the landing table that it is of.
ZONES = {
    "landing": (Zone.LANDING, Zone.QUARANTINE),
    "trusted": (Zone.TRUSTED,),
    "curated": (Zone.CURATED,),
}


def write(file: Path, statuses: Sequence[TableStatus]) -> None:
    """Writes the page of tables as they are now.

    Raises:
        LakehouseError: If the file cannot be written.
    """
    html = render(statuses, datetime.now(UTC))
    try:
        create_privately(file.parent)
        file.write_text(html, encoding="utf-8")
    except OSError as error:
        raise LakehouseError(
            f"The report cannot be written to {file}: {error.strerror}. Name another file."
        ) from None


def render(statuses: Sequence[TableStatus], now: datetime) -> str:
    """The page of HTML; ages are those at `now`."""
    environment = Environment(
        loader=PackageLoader("stedi_assets.report", "."),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters |= {
        "moment": _moment,
        "size": filesize.decimal,
        "figure": _figure,
        "hours": _hours,
    }
    checks = [check for status in statuses for check in status.checks]
    return environment.get_template("page.html.j2").render(
        now=now,
        statuses=statuses,
        zones={
            name: [each for each in statuses if each.table.zone in zones]
            for name, zones in ZONES.items()
        },
        sources=[spec.key.to_user_string() for spec in SOURCE_FILES],
        fresh=sum(status.freshness(now) == "fresh" for status in statuses),
        oldest=min(status.materialized for status in statuses),
        verdicts={
            verdict: sum(check.verdict == verdict for check in checks)
            for verdict in ("passed", "warned", "failed", "not run")
        },
        drawings=[
            (name.replace("_", " ").capitalize(), drawing, status.figures[name])
            for status in statuses
            for name, drawing in DRAWINGS.items()
            if status.figures.get(name)
        ],
        meanings={check.name: check for check in checks},
    )


def _moment(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


def _hours(span: timedelta) -> str:
    return f"{span / timedelta(hours=1):g} h"


def _figure(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:,}" if isinstance(value, int | float) else str(value)
