"""The report agrees with the tables' logs, needs nothing else, is accessible, and names no one."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.asset_checks.asset_check_evaluation import (
    AssetCheckEvaluationTargetMaterializationData,
)

from stedi_assets.definitions import define
from stedi_assets.lakehouse import delta
from stedi_assets.orchestration.history import INSTANCE
from stedi_assets.report import page, verdict
from stedi_assets.report.contents import Contents
from stedi_assets.settings import Settings
from stedi_assets.tables import DELTA_TABLES, QUARANTINE_TABLES, TABLES
from stedi_assets_tests import ui
from stedi_assets_tests.report.conftest import NOW, SAMPLE, Page, Project
from stedi_assets_tests.rows import PLACE

HOUR = timedelta(hours=1)


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
    checks = len(materialized.defs.resolve_asset_graph().asset_check_keys)
    assert verdicts.count("passed") == checks, "the sample passes without a warning"
    rows = [row.words for row in parsed.all("tr")]
    [pairs] = [row for row in rows if row.startswith("pairs_of_two_people passed")]
    assert "rows at fault 2,188" in pairs
    assert "percent 5.1" in pairs
    # The report is of 2030.
    assert sum("failed warns after 26 h, fails after 50 h" in row for row in rows) == len(TABLES)


@pytest.mark.parametrize(
    ("hours", "verdict"),
    [(25.9, "fresh"), (26.1, "warned"), (49.9, "warned"), (50.1, "failed")],
)
def test__statuses__freshness(materialized: Project, hours: float, verdict: str) -> None:
    for each in materialized.statuses():
        assert each.freshness(each.materialized + timedelta(hours=hours)) == verdict


def test__report__pictures_are_drawn_by_the_page(parsed: Page) -> None:
    """So that they follow its colours and its width; each has its figures beside it."""
    assert not parsed.all("img")
    rows = [row.words for row in parsed.all("tr")]
    at = rows.index("table people")
    assert rows[at + 1 : at + 3] == [
        "customer_landing and 2 more 956",
        "customer_trusted and 4 more 482",
    ]
    assert "machine_learning_curated 43,164" in rows
    drawn = [
        each.attributes["aria-label"] for each in parsed.all("td") if "role" in each.attributes
    ]
    assert len(drawn) == 24
    assert all("slight" in label and "strong" in label for label in drawn)


def test__report__needs_nothing_from_elsewhere(parsed: Page) -> None:
    for element in parsed.elements:
        for name in ("src", "href", "srcset", "action", "data"):
            assert element.attributes.get(name, "#").startswith("#")
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
    assert {link.attributes["href"].removeprefix("#") for link in links} <= {"", *parsed.ids}
    assert all(link.words for link in links)
    assert all(head.attributes.get("scope") for head in parsed.all("th"))


def test__pages__name_no_one(report: str, materialized: Project) -> None:
    landed = "".join(path.read_text() for path in (SAMPLE / "customer" / "landing").glob("*.json"))
    people = [json.loads(line) for line in landed.splitlines()]
    assert len(people) == 956
    shown = report + page.render_people(materialized.contents(), NOW)
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

    _evaluate(without_checks, passed=True)
    assert _verdicts(without_checks)[consent] == "passed"

    [made] = instance.fetch_materializations(consent.asset_key, limit=1).records
    assert made.event_log_entry.asset_materialization
    instance.report_runless_asset_event(made.event_log_entry.asset_materialization)
    assert _verdicts(without_checks)[consent] == "not run"


def _evaluate(project: Project, *, passed: bool) -> None:
    """Reports a result of the training table's check `consent`."""
    instance, key = project.instance, dg.AssetKey("machine_learning_curated")
    [made] = instance.fetch_materializations(key, limit=1).records
    target = AssetCheckEvaluationTargetMaterializationData(
        storage_id=made.storage_id, run_id=made.run_id, timestamp=made.timestamp
    )
    instance.report_runless_asset_event(
        dg.AssetCheckEvaluation(
            asset_key=key,
            check_name="consent",
            passed=passed,
            metadata={},
            target_materialization_data=target,
        )
    )


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


def test__report__shows_the_policy(parsed: Page) -> None:
    [shown] = [each.words for each in parsed.elements if each.attributes.get("id") == "policy"]
    assert shown == "Privacy policy in forceno option"


def _verdict(contents: Contents, now: datetime) -> str:
    parsed = Page(page.render(contents, now))
    [shown] = [each.words for each in parsed.elements if each.attributes.get("id") == "verdict"]
    return shown


def test__verdict__yes_where_all_passes_and_is_fresh(materialized: Project) -> None:
    contents = materialized.contents()
    made = min(each.materialized for each in contents.statuses)
    assert _verdict(contents, made + HOUR).startswith("Safe to train on: yes")
    assert verdict.warnings(contents.statuses, made + HOUR) == []


def test__verdict__no_where_tables_are_old(materialized: Project) -> None:
    contents = materialized.contents()
    assert _verdict(contents, NOW).startswith("Safe to train on: no")
    found = verdict.warnings(contents.statuses, NOW)
    assert {(each.table, each.name, each.verdict) for each in found} == {
        (name, "freshness", "failed") for name in TABLES
    }
    assert all(each.said and each.meaning for each in found)


def test__verdict__no_where_a_check_fails(without_checks: Project) -> None:
    """A table whose checks did not run is not known to be safe either."""
    now = min(each.materialized for each in without_checks.statuses())
    assert "was made without" in _verdict(without_checks.contents(), now)
    _evaluate(without_checks, passed=False)
    assert "consent of machine_learning_curated failed" in _verdict(without_checks.contents(), now)


def test__since_the_last_report(materialized: Project, tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    contents = materialized.contents()
    beside = page.write(file, contents)
    first = file.read_text()
    assert "Since the first run" in first
    assert beside.exists()
    page.write(file, contents)
    assert f"Since the report of {page.last_written(first):%Y-%m-%d %H:%M}" in file.read_text()


def test__failed_run__leaves_the_last_results(materialized: Project) -> None:
    """It names the step and why; what was found before stays."""
    before = materialized.contents()
    broken = define(Settings(lakehouse_uri=before.address, source_data="/nowhere"))
    job = broken.resolve_job_def("materialize_lakehouse")
    instance = materialized.instance
    job.execute_in_process(instance=instance, raise_on_error=False)

    after = materialized.contents()

    assert after.last_run and not after.last_run.succeeded
    assert "customer_landing" in after.last_run.why
    assert _verdicts_of(after) == _verdicts_of(before)
    assert "The last run failed" in page.render(after, NOW)


def _verdicts_of(contents: Contents) -> list[tuple[str, str, str]]:
    return [(s.table.name, c.name, c.verdict) for s in contents.statuses for c in s.checks]


@pytest.mark.skipif(not ui.CHROMIUM.exists() and not os.environ.get("CI"), reason="no Chromium")
def test__pages__fit_a_phone(materialized: Project, tmp_path: Path) -> None:
    report = tmp_path / "report.html"
    beside = page.write(report, materialized.contents())
    with ui.opened() as browser:
        browser.set_viewport_size({"width": 390, "height": 844})
        for file in (report, beside):
            browser.goto(file.as_uri())
            assert browser.evaluate("document.documentElement.scrollHeight") < 4 * 844
            browser.evaluate("document.querySelectorAll('details').forEach(e => e.open = true)")
            assert browser.evaluate("document.documentElement.scrollWidth") == 390
