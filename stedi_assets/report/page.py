"""The report and the page of data protection, as HTML that needs nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape
from rich import filesize

from stedi_assets.errors import LakehouseError
from stedi_assets.pictures import DRAWINGS, funnel, movement
from stedi_assets.report import verdict
from stedi_assets.report.contents import Contents
from stedi_assets.storage.local import create_privately

WRITTEN = re.compile(r'<meta name="written" content="([^"]+)">')


def write(file: Path, contents: Contents) -> Path:
    """Writes both pages of the tables as they are now.

    Returns:
        The file of the page of data protection, beside the report.

    Raises:
        LakehouseError: If a file cannot be written.
    """
    now, beside = datetime.now(UTC), file.with_name(f"{file.stem}-data-protection{file.suffix}")
    try:
        create_privately(file.parent)
        last = last_written(file.read_text(encoding="utf-8")) if file.exists() else None
        file.write_text(render(contents, now, last, other=beside.name), encoding="utf-8")
        beside.write_text(render_people(contents, now, other=file.name), encoding="utf-8")
    except OSError as error:
        raise LakehouseError(
            f"The report cannot be written to {file}: {error.strerror}. Name another file."
        ) from None
    return beside


def last_written(page: str) -> datetime | None:
    """When a page was written; None if it does not say."""
    found = WRITTEN.search(page)
    return datetime.fromisoformat(found[1]) if found else None


def render(
    contents: Contents, now: datetime, last: datetime | None = None, *, other: str = "#"
) -> str:
    """The report; ages are those at `now`.

    Args:
        contents: What it shows.
        now: When it is written.
        last: When the report before was; None if there was none.
        other: The address of the page of data protection.
    """
    statuses = contents.statuses
    figures = {name: drawn for each in statuses for name, drawn in each.figures.items()}
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            now=now,
            last=last,
            other=other,
            contents=contents,
            verdict=verdict.verdict(statuses, now),
            warnings=verdict.warnings(statuses, now),
            came_and_left=contents.people.since(last),
            funnel=figures.get("funnel") or [],
            steps=funnel.steps(figures.get("funnel") or []),
            caption=funnel.CAPTION,
            movements=[
                (
                    name.replace("_", " ").capitalize(),
                    drawing.columns[0],
                    figures[name],
                    [sum(each[kind] for kind in movement.CLASSES) for each in figures[name]],
                )
                for name, drawing in DRAWINGS.items()
                if name != "funnel" and figures.get(name)
            ],
            classes=movement.CLASSES,
            movement_caption=movement.CAPTION,
            meanings={check.name: check for each in statuses for check in each.checks},
        )
    )


def render_people(contents: Contents, now: datetime, *, other: str = "#") -> str:
    """The page of data protection; `other` is the address of the report."""
    return (
        _environment()
        .get_template("people.html.j2")
        .render(now=now, other=other, contents=contents, people=contents.people)
    )


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("stedi_assets.report", "."),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters |= {
        "moment": _moment,
        "name": lambda name: Markup(escape(name).replace("_", Markup("_<wbr>"))),
        "epoch": lambda milliseconds: _moment(datetime.fromtimestamp(milliseconds / 1000, UTC)),
        "size": filesize.decimal,
        "figure": _figure,
        "hours": _hours,
        "tally": _tally,
    }
    return environment


def _moment(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


def _hours(span: timedelta | float) -> str:
    hours = span / timedelta(hours=1) if isinstance(span, timedelta) else span
    return f"{hours / 24:,.1f} days" if hours >= 72 else f"{round(hours, 1):g} h"


def _figure(value: Any) -> str:
    if value is None:
        return "not known"
    return f"{value:,}" if isinstance(value, int | float) else str(value)


def _tally(verdicts: Iterable[str]) -> Mapping[str, int]:
    """How many checks there are of each verdict that any has."""
    found: Sequence[str] = list(verdicts)
    counts = {name: found.count(name) for name in ("passed", "warned", "failed", "not run")}
    return {name: count for name, count in counts.items() if count}
