"""The report agrees with the tables' logs, needs nothing else, is accessible, and names no one."""

from __future__ import annotations

import base64
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.asset_checks.asset_check_evaluation import (
    AssetCheckEvaluationTargetMaterializationData,
)

from stedi_assets.lakehouse import delta
from stedi_assets.orchestration.history import INSTANCE
from stedi_assets.tables import DELTA_TABLES, QUARANTINE_TABLES, TABLES
from stedi_assets_tests.report.conftest import NOW, SAMPLE, Page, Project
from stedi_assets_tests.rows import PLACE


def test__report__rows_are_those_of_the_logs(materialized: Project, parsed: Page) -> None:
    shown = {
        cell.attributes["data-rows-of"]: int(cell.text.replace(",", ""))
        for cell in parsed.all("td")
        if "data-rows-of" in cell.attributes
    }
    assert set(shown) == set(TABLES)
    for table in (*DELTA_TABLES, *QUARANTINE_TABLES):
        state = delta.state(materialized.lakehouse.uri_of(table))
        assert state
        assert shown[table.name] == state.rows
    for name, rows in json.loads((SAMPLE / "manifest.json").read_text())["rows"].items():
        if name in TABLES:
            assert shown[name] == rows


def test__report__every_column_has_its_lineage(materialized: Project) -> None:
    for status in materialized.statuses():
        assert set(status.origins) == set(status.table.column_names)
        unknown = {column for column, origin in status.origins.items() if not origin}
        quarantine = status.table in QUARANTINE_TABLES
        assert unknown == (PLACE if quarantine else set())
        for origin in ", ".join(filter(None, status.origins.values())).split(", "):
            asset, column = origin.split(".")
            assert asset in status.parents
            assert column in TABLES[asset.replace("_files", "_landing")].column_names


def test__report__checks(materialized: Project, parsed: Page) -> None:
    verdicts = [
        cell.words for cell in parsed.all("td") if "verdict" in cell.attributes.get("class", "")
    ]
    assert (verdicts.count("passed"), verdicts.count("warned")) == (55, 2)
    assert len(verdicts) == len(materialized.defs.resolve_asset_graph().asset_check_keys)
    rows = [row.words for row in parsed.all("tr")]
    assert "pairs_of_two_people warned rows 43,164, rows at fault 2,188" in rows
    # The report is of 2030.
    assert sum("failed warns after 26 h, fails after 50 h" in row for row in rows) == len(TABLES)


@pytest.mark.parametrize(
    ("hours", "verdict"),
    [(25.9, "fresh"), (26.1, "warned"), (49.9, "warned"), (50.1, "failed")],
)
def test__statuses__freshness(materialized: Project, hours: float, verdict: str) -> None:
    for each in materialized.statuses():
        assert each.freshness(each.materialized + timedelta(hours=hours)) == verdict


def test__report__pictures_have_figures_beside_them(parsed: Page) -> None:
    pictures = parsed.all("img")
    assert len(pictures) == 4
    for picture in pictures:
        kind, drawing = picture.attributes["src"].split(",", 1)
        assert kind == "data:image/svg+xml;base64"
        assert base64.b64decode(drawing).startswith(b"<svg")
        assert len(picture.attributes["alt"]) > 100
    rows = [row.words for row in parsed.all("tr")]
    assert rows[:2] == ["table zone rows people", "customer_landing landing 956 956"]
    assert [each.words for each in parsed.all("summary")][:3] == [
        "Funnel in figures",
        "Movement over time in figures",
        "Movement by distance in figures",
    ]


def test__report__needs_nothing_from_elsewhere(parsed: Page) -> None:
    for element in parsed.elements:
        for name in ("src", "href", "srcset", "action", "data"):
            assert element.attributes.get(name, "#").startswith(("#", "data:"))
    assert not parsed.all("link", "script", "iframe")
    [style] = parsed.all("style")
    assert "url(" not in style.text
    assert "@import" not in style.text
    assert "prefers-color-scheme: dark" in style.text


def test__report__can_be_read_by_all(parsed: Page) -> None:
    [html] = parsed.all("html")
    assert html.attributes["lang"] == "en"
    assert [title.words for title in parsed.all("title")] == [
        "STEDI lakehouse, 2030-01-02 03:04 UTC"
    ]
    assert NOW.isoformat() in [time.attributes["datetime"] for time in parsed.all("time")]
    levels = [int(each.tag[1]) for each in parsed.all("h1", "h2", "h3", "h4", "h5", "h6")]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
    assert set(parsed.ids.values()) == {1}
    links = parsed.all("a")
    assert links[0].words == "Skip to the content"
    assert {link.attributes["href"].removeprefix("#") for link in links} <= set(parsed.ids)
    assert all(link.words for link in links)
    assert all(head.attributes.get("scope") for head in parsed.all("th"))
    # A region that scrolls can be reached and is named.
    regions = [each for each in parsed.elements if "scroll" in each.attributes.get("class", "")]
    assert len(regions) >= 10
    for region in regions:
        assert region.attributes["tabindex"] == "0"
        named = region.attributes.get("aria-labelledby")
        assert named in parsed.ids if named else region.attributes["aria-label"]


def test__report__names_no_one(report: str) -> None:
    landed = "".join(path.read_text() for path in (SAMPLE / "customer" / "landing").glob("*.json"))
    people = [json.loads(line) for line in landed.splitlines()]
    assert len(people) == 956
    drawings = re.findall(r"base64,([^\"]+)", report)
    shown = report + "".join(base64.b64decode(drawing).decode() for drawing in drawings)
    for person in people:
        for name in ("customerName", "email", "phone", "birthDay"):
            assert str(person[name]) not in shown


@pytest.fixture
def without_checks(materialized: Project) -> Iterator[Project]:
    """As after a run of the assets alone: the history has the tables, and no check."""
    with dg.DagsterInstance.ephemeral() as instance:
        for name in TABLES:
            event = materialized.instance.get_latest_materialization_event(dg.AssetKey(name))
            assert event and event.asset_materialization
            instance.report_runless_asset_event(event.asset_materialization)
        yield Project(materialized.defs, instance, materialized.lakehouse)


def test__statuses__check_counts_for_the_materialisation_that_it_checked(
    without_checks: Project,
) -> None:
    """A run that is killed between a table and its checks leaves those of the table before."""
    instance = without_checks.instance
    consent = dg.AssetCheckKey(dg.AssetKey("machine_learning_curated"), "consent")
    assert set(_verdicts(without_checks).values()) == {"not run"}

    [made] = instance.fetch_materializations(consent.asset_key, limit=1).records
    target = AssetCheckEvaluationTargetMaterializationData(
        storage_id=made.storage_id, run_id=made.run_id, timestamp=made.timestamp
    )
    instance.report_runless_asset_event(
        dg.AssetCheckEvaluation(
            asset_key=consent.asset_key,
            check_name=consent.name,
            passed=True,
            metadata={},
            target_materialization_data=target,
        )
    )
    assert _verdicts(without_checks)[consent] == "passed"

    assert made.event_log_entry.asset_materialization
    instance.report_runless_asset_event(made.event_log_entry.asset_materialization)
    assert _verdicts(without_checks)[consent] == "not run"


def _verdicts(project: Project) -> dict[dg.AssetCheckKey, str]:
    return {
        dg.AssetCheckKey(dg.AssetKey(each.table.name), check.name): check.verdict
        for each in project.statuses()
        for check in each.checks
    }


def _run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    shutil.copy(INSTANCE, folder)
    return subprocess.run(
        [sys.executable, "-m", "stedi_assets.cli", "report", *arguments],
        env={
            **os.environ,
            "DAGSTER_HOME": str(folder),
            "STEDI_LAKEHOUSE_URI": str(folder / "lakehouse"),
        },
        capture_output=True,
        text=True,
        check=False,
    )


def test__main__nothing_materialised(tmp_path: Path) -> None:
    ended = _run(tmp_path, "--out", str(tmp_path / "report.html"))
    assert ended.returncode == 1
    assert ended.stderr.strip().endswith("run `make materialize` first.")
    assert "Traceback" not in ended.stderr
    assert not (tmp_path / "report.html").exists()


def test__report__shows_the_policy_and_the_options_of_the_table(parsed: Page) -> None:
    """The table is asked, not the run: what is in it may be older than the policy."""
    [shown] = [each.words for each in parsed.all("p") if "policy" in each.words]
    assert shown == (
        "Privacy policy in force: no option. machine_learning_curated was made with no option."
    )
