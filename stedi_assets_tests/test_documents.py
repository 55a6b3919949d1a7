"""The documents lead where they say, and README stays short."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from docs import blocks
from stedi_assets import cli
from stedi_assets.orchestration import metadata
from stedi_assets_tests.conftest import PROJECT

PAGES = [str(path.relative_to(PROJECT)) for path in blocks.pages()]
README_LINES = 150
# Those that `make help` lists; the others serve these.
LISTED = set(re.findall(r"^([a-z0-9-]+):.* ## ", (PROJECT / "Makefile").read_text(), re.M))
PHONY = re.search(r"^\.PHONY:((?:.*\\\n)*.*)$", (PROJECT / "Makefile").read_text(), re.M)
TARGETS = set(PHONY[1].replace("\\", " ").split()) if PHONY else set()


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives the headings of a page."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.M | re.S)
    headings = re.findall(r"^#+ (.*)$", text, re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", PAGES)
def test__links__lead_to_files_and_headings(name: str) -> None:
    page = PROJECT / name
    dead = []
    for link in re.findall(r"\]\(([^):]+)\)", page.read_text()):
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            dead.append(link)
    assert dead == []


def test__links__to_the_graph_open_every_group() -> None:
    text = "".join((PROJECT / name).read_text() for name in PAGES)
    assert set(re.findall(r"/asset-groups\?[^)\s]+", text)) == {metadata.GRAPH}


def test__index__has_every_page() -> None:
    """Whoever adds a page to docs/ adds it to the index."""
    index = (PROJECT / "docs" / "README.md").read_text()
    pages = {Path(name).name for name in PAGES if name.startswith("docs/")} - {"README.md"}
    assert {page for page in pages if f"({page})" not in index} == set()


def test__commands__are_listed() -> None:
    """COMMANDS.md has every target that `make help` lists and every subcommand of stedi."""
    page = (PROJECT / "docs" / "COMMANDS.md").read_text()
    targets = {f"make {target}" for target in LISTED}
    subcommands = {f"stedi {name}" for name in cli.stedi.commands}
    assert {each for each in targets | subcommands if f"`{each}" not in page} == set()


@pytest.mark.parametrize("name", PAGES)
def test__targets__are_there(name: str) -> None:
    named = set(re.findall(r"`make ([a-z][\w-]*)", (PROJECT / name).read_text()))
    assert named - TARGETS == set()


def test__readme__is_short() -> None:
    assert len((PROJECT / "README.md").read_text().splitlines()) <= README_LINES
