"""A source folder, the lakehouse that it lands in, and what runs say of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from stedi_assets.engine.spark import SparkResource
from stedi_assets.lakehouse.lakehouse import Lakehouse
from stedi_assets.orchestration.source import SourceData
from stedi_assets.tables import Table, quarantine_of
from stedi_assets.tables.accelerometer import ACCELEROMETER_LANDING
from stedi_assets_tests.bound import LANDING, bound

BROKEN = '{"user":"cy@x.io","timestamp":"soon","x":2.0,"y":0.5,"z":3.0}'
CUT_SHORT = '{"user":"di@x.io","times'
QUARANTINE = quarantine_of(ACCELEROMETER_LANDING)

ACCOUNTED_FOR, MALFORMED_SHARE = "objects_accounted_for", "malformed_share"


class Landing:
    """A source folder, the lakehouse it lands in, and runs of the assets over them."""

    def __init__(self, folder: Path, spark: SparkResource) -> None:
        self.source = folder / "source"
        self.source.mkdir(parents=True)
        self.uri = str(folder / "lakehouse")
        self.spark = spark

    def arrive(self, name: str, *lines: str, table: Table = ACCELEROMETER_LANDING) -> None:
        """Puts a file of lines into the source folder."""
        path = self.source / table.location / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"{line}\n" for line in lines))

    @property
    def lakehouse(self) -> Lakehouse:
        """The lakehouse as a new run sees it."""
        return Lakehouse(self.uri, self.spark)

    def run(
        self,
        *,
        asset: dg.AssetsDefinition = LANDING["accelerometer_landing"],
        source: str | None = None,
        selection: Sequence[str] | None = None,
        instance: dg.DagsterInstance | None = None,
        **config: float,
    ) -> dg.ExecuteInProcessResult:
        """Materialises a landing asset."""
        return dg.materialize(
            [asset],
            resources={
                **bound(self.lakehouse),
                "source": SourceData(path=str(self.source) if source is None else source),
            },
            run_config={"ops": {asset.op.name: {"config": config}}},
            selection=selection,
            instance=instance,
            raise_on_error=False,
        )

    def version(self) -> int:
        """The quarantine table's Delta version, which grows with every reading of the files."""
        state = self.lakehouse.state(QUARANTINE)
        assert state is not None
        return state.version


@pytest.fixture
def landing(tmp_path: Path, spark_resource: SparkResource) -> Landing:
    return Landing(tmp_path, spark_resource)


def materialization(
    result: dg.ExecuteInProcessResult, name: str = "accelerometer_landing"
) -> dg.AssetMaterialization:
    [found] = [
        event.materialization
        for event in result.get_asset_materialization_events()
        if event.asset_key == dg.AssetKey(name)
    ]
    return found


def data_version(result: dg.ExecuteInProcessResult, name: str = "accelerometer_landing") -> str:
    return (materialization(result, name).tags or {})["dagster/data_version"]


def figures(metadata: Any, *names: str) -> dict[str, Any]:
    return {name: metadata[name].value for name in names}


def check(result: dg.ExecuteInProcessResult, name: str) -> dg.AssetCheckEvaluation:
    [found] = [e for e in result.get_asset_check_evaluations() if e.check_name == name]
    return found


def failure(result: dg.ExecuteInProcessResult) -> str:
    """What the failed step says."""
    [event] = [event for event in result.all_events if event.is_step_failure]
    data = event.step_failure_data
    return str(data.user_failure_data.description if data.user_failure_data else data.error)


def quarantined(landing: Landing) -> list[tuple[str, str]]:
    rows = landing.lakehouse.read(QUARANTINE).collect()
    return sorted((row.line, row.reason) for row in rows)
