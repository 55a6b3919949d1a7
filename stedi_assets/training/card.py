"""The data card of a published version: Markdown from a template, and the same as HTML."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from datetime import UTC, datetime

from jinja2 import Environment, PackageLoader, StrictUndefined
from markdown_it import MarkdownIt

from stedi_assets.tables import Column
from stedi_assets.training.manifest import Counts, Distribution, Manifest
from stedi_assets.training.statistics import Statistics

PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>STEDI training set, version {version}</title>
<style>
body {{ margin: 0 auto; max-width: 52rem; padding: 1rem; font: 16px/1.5 system-ui, sans-serif; }}
table {{ border-collapse: collapse; display: block; overflow-x: auto;
  font-variant-numeric: tabular-nums; }}
th, td {{ border-bottom: 1px solid #8886; padding: .3rem .9rem .3rem 0; vertical-align: top; }}
th {{ text-align: left; }}
code {{ overflow-wrap: anywhere; }}
td code {{ overflow-wrap: normal; }}
table + table {{ margin-top: 1rem; }}
pre {{ background: #8882; padding: .75rem; overflow-x: auto; }}
</style>
</head>
<body>
<main>
{card}</main>
</body>
</html>
"""


def markdown(manifest: Manifest, statistics: Statistics, columns: Sequence[Column]) -> str:
    """The card of a version as Markdown.

    Args:
        manifest: The version's manifest.
        statistics: Its figures.
        columns: The columns of training_set, as declared.
    """
    environment = Environment(
        loader=PackageLoader("stedi_assets.training", "."),
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
        autoescape=False,  # what it shows is figures and our own texts
    )
    environment.filters |= {"moment": _moment, "shares": _shares}
    firsts = [file.first for file in manifest.files if file.first is not None]
    lasts = [file.last for file in manifest.files if file.last is not None]
    parts = manifest.counts.values()
    return environment.get_template("card.md.j2").render(
        manifest=manifest,
        statistics=statistics,
        columns=columns,
        span=(min(firsts), max(lasts)) if firsts else None,
        total=Counts(
            rows=manifest.rows,
            people=sum(part.people for part in parts),
            devices=sum(part.devices for part in parts),
        ),
    )


def html(version: int, card: str) -> str:
    """A card as a page of HTML that needs nothing else."""
    renderer = MarkdownIt("commonmark", {"html": False}).enable("table")
    return PAGE.format(version=version, card=renderer.render(card))


def _moment(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%d %H:%M")


def _shares(found: Distribution) -> str:
    # Before the first edge, which is just below all values, there is no row.
    below = itertools.accumulate(found.shares[1:-1])
    each = zip(found.edges[1:], below, strict=True)
    return ", ".join(f"{edge:,.6g}: {share:.0%}" for edge, share in each)
