"""One materialisation of the sample, and the report of it."""

from __future__ import annotations

import html.parser
import io
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest
from rich.console import Console

import stedi_assets.definitions
import stedi_assets.materialize
from stedi_assets.engine.spark import SparkResource
from stedi_assets.lakehouse.lakehouse import Lakehouse
from stedi_assets.report import page
from stedi_assets.report.contents import Contents, contents
from stedi_assets.report.status import TableStatus
from stedi_assets.settings import Settings
from stedi_assets_tests.conftest import PROJECT

SAMPLE = PROJECT / "data"
NOW = datetime(2030, 1, 2, 3, 4, tzinfo=UTC)


@dataclass
class Project:
    """What a report is made of."""

    defs: dg.Definitions
    instance: dg.DagsterInstance
    lakehouse: Lakehouse

    def statuses(self) -> list[TableStatus]:
        """Every table as it is."""
        return list(self.contents().statuses)

    def contents(self) -> Contents:
        """What both pages show."""
        return contents(self.defs, self.instance, self.lakehouse)


def project(folder: Path, instance: dg.DagsterInstance) -> Project:
    """The project on the sample, with its lakehouse in a folder."""
    settings = Settings(lakehouse_uri=str(folder / "lakehouse"), source_data=str(SAMPLE))
    return Project(
        stedi_assets.definitions.define(settings),
        instance,
        Lakehouse(settings.lakehouse_uri, SparkResource()),
    )


@pytest.fixture(scope="session")
def materialized(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """The sample, materialised once."""
    with dg.DagsterInstance.ephemeral() as instance:
        made = project(tmp_path_factory.mktemp("report"), instance)
        quiet = Console(file=io.StringIO())
        assert stedi_assets.materialize.materialize(made.defs, instance, quiet).success
        yield made


class Page(html.parser.HTMLParser):
    """A page's elements in order, with their attributes and their text."""

    VOID = frozenset({"meta", "img", "br", "link", "input", "hr", "wbr"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[Element] = []
        self._open: list[Element] = []
        self.feed(text)
        assert not self._open, f"not closed: {self._open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attrs})
        self.elements.append(element)
        if tag not in self.VOID:
            self._open.append(element)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop().tag == tag
        if tag in ("td", "th"):
            self.handle_data(" ")

    def handle_data(self, data: str) -> None:
        for element in self._open:
            element.text += data

    def all(self, *tags: str) -> list[Element]:
        """The elements of some kinds, in order."""
        return [element for element in self.elements if element.tag in tags]

    @property
    def ids(self) -> Counter[str]:
        """How often each id is given."""
        return Counter(each.attributes["id"] for each in self.elements if "id" in each.attributes)


@dataclass
class Element:
    """An element of a page."""

    tag: str
    attributes: dict[str, str]
    text: str = field(default="")

    @property
    def words(self) -> str:
        """Its text on one line."""
        return re.sub(r"\s+", " ", self.text).strip()


@pytest.fixture(scope="session")
def report(materialized: Project) -> str:
    """The report's HTML."""
    return page.render(materialized.contents(), NOW)


@pytest.fixture(scope="session")
def parsed(report: str) -> Page:
    """The report, parsed."""
    return Page(report)
