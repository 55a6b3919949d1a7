"""The session, the lakehouse and the data that tests share."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import dagster as dg
import pytest
from pyspark.sql import DataFrame, SparkSession

from stedi_assets.lakehouse.io_manager import LakehouseIOManager
from stedi_assets.resources.spark import SparkResource

PROJECT = Path(__file__).resolve().parent.parent
REFERENCE_DATA = PROJECT.parent / "shared" / "data" / "stedi"


@pytest.fixture(scope="session")
def spark_resource() -> Iterator[SparkResource]:
    """One engine for all tests; STEDI_TEST_SPARK_REMOTE names another than the embedded one."""
    resource = SparkResource(remote=os.environ.get("STEDI_TEST_SPARK_REMOTE", ""))
    yield resource
    resource.teardown_after_execution(dg.build_init_resource_context())


@pytest.fixture(scope="session")
def spark(spark_resource: SparkResource) -> SparkSession:
    """A Spark Connect session."""
    return spark_resource.spark_session


@pytest.fixture
def frame(spark: SparkSession) -> Callable[[str, list[tuple]], DataFrame]:
    """Makes a frame of a DDL schema and rows."""

    def make(schema: str, rows: list[tuple]) -> DataFrame:
        return spark.createDataFrame(rows, schema)

    return make


@pytest.fixture
def lakehouse(tmp_path: Path, spark_resource: SparkResource) -> LakehouseIOManager:
    """An empty lakehouse in a folder of its own."""
    return LakehouseIOManager(uri=str(tmp_path / "lakehouse"), spark=spark_resource)


@pytest.fixture(scope="session")
def reference_data() -> Path:
    """The real data set, which may not be redistributed: skipped where it is not at hand."""
    if not REFERENCE_DATA.is_dir():
        pytest.skip("the reference data set is not beside the project")
    return REFERENCE_DATA
