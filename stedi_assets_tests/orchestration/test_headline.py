"""Each run says what it did, as tags and as numbers that the UI plots."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from rich.console import Console

from stedi_assets.definitions import define
from stedi_assets.materialize import materialize
from stedi_assets.orchestration import headline, metadata
from stedi_assets.settings import Settings

DAY = 24 * 3_600_000
AGREED = 1_655_000_000_000
LANDED = "customer/landing/customer-{}.json"


class Runs:
    """Runs of one lakehouse, and what Dagster keeps of them."""

    def __init__(self, folder: Path, source: Path, instance: dg.DagsterInstance) -> None:
        self.source, self.instance = source, instance
        self.defs = define(
            Settings(lakehouse_uri=str(folder / "lakehouse"), source_data=str(source))
        )

    def run(self) -> tuple[dict[str, str], dict[str, object]]:
        """The tags, and the figures, of one more run."""
        result = materialize(self.defs, self.instance, Console(file=io.StringIO()))
        run = self.instance.get_run_by_id(result.run_id)
        [observed] = self.instance.fetch_observations(headline.RUNS.key, limit=1).records
        assert run and observed.run_id == result.run_id and observed.asset_observation
        shown = observed.asset_observation.metadata
        return dict(run.tags), {name: value.value for name, value in shown.items()}

    def land(self, number: int, **record: object) -> None:
        """Puts a customer record into the source."""
        (self.source / LANDED.format(number)).write_text(json.dumps(record) + "\n")


@pytest.fixture
def runs(tmp_path: Path, small: Path) -> Iterator[Runs]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield Runs(tmp_path, small, instance)


def test__headline__of_a_first_run_and_of_those_that_follow(runs: Runs) -> None:
    tags, figures = runs.run()
    assert figures == {"files": 3, "rows": 1, "mode": "whole", "people": 1, "new_warnings": 0}
    assert tags | {"files": "3", "rows": "1", "mode": "whole", "people": "1"} == tags

    # Someone whose address looks like Ada's: a warning, which is new once.
    runs.land(2, email="\uff41da@example.com")
    tags, figures = runs.run()
    assert (tags["new_warnings"], figures["new_warnings"]) == ("1", 1)
    assert figures["which_warnings"] == "customer_trusted/near_duplicate_people"
    tags, figures = runs.run()
    assert (figures["files"], figures["mode"], figures["new_warnings"]) == (0, "unchanged", 0)
    assert "new_warnings" not in tags

    # Ada withdraws, and Bob agrees.
    runs.land(3, email="ada@example.com", lastUpdateDate=AGREED + DAY)
    runs.land(4, email="bob@example.com", lastUpdateDate=AGREED, shareWithResearchAsOfDate=AGREED)
    tags, figures = runs.run()
    assert (tags["people_came"], tags["people_left"], tags["people"]) == ("1", "1", "1")
    event = runs.instance.get_latest_materialization_event(dg.AssetKey("customer_trusted"))
    assert event and event.asset_materialization
    waited = event.asset_materialization.metadata[metadata.WAITED].value
    assert isinstance(waited, float) and waited > 365 * 24
    assert "example.com" not in repr((tags, figures))


def test__megabytes__have_one_decimal() -> None:
    assert [metadata.megabytes(size) for size in (0, 494_049, 81_273_000_000)] == [0, 0.5, 81_273]
