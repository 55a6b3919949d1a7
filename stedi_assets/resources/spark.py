"""The Spark engine: embedded by default, any Spark Connect server by setting."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import dagster as dg
from pydantic import Field, PrivateAttr

from stedi_assets.errors import LakehouseError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

CONNECT_TIMEOUT_SECONDS = 10

# The Delta release built for each Spark release; the jars come from Maven Central.
DELTA_JARS = {
    "4.1": "io.delta:delta-spark_4.1_2.13:4.2.0",
    "4.2": "io.delta:delta-spark_4.2_2.13:4.4.0",
}


class SparkResource(dg.ConfigurableResource):
    """One Spark Connect session for a whole run.

    The session starts when first asked for and stops with the run. Without a remote, so does the
    engine: Sail, a Spark Connect server in this very process, on a free loopback port.
    """

    remote: str = Field(
        default="",
        description=(
            "Empty for the embedded engine, sc://host:port for a Spark Connect server, "
            "local[*] for a local JVM Spark."
        ),
    )
    _server: Any = PrivateAttr(default=None)
    _pyspark: Any = PrivateAttr(default=None)

    @property
    def spark_session(self) -> SparkSession:
        """The run's session.

        Raises:
            LakehouseError: If no Spark Connect server answers at `remote`.
        """
        if self._pyspark is None:
            from dagster_pyspark import LazyPySparkResource

            self._pyspark = LazyPySparkResource(spark_config=self._connect())
        session: SparkSession = self._pyspark.spark_session
        return session

    def _connect(self) -> dict[str, str]:
        if not self.remote:
            return {"spark.remote": self._start_embedded()}
        if self.remote.startswith("local"):
            return {"spark.remote": self.remote, **_local_delta()}
        _require_answer(self.remote)
        return {"spark.remote": self.remote}

    def _start_embedded(self) -> str:
        os.environ.setdefault("RUST_LOG", "error")
        from pysail.spark import SparkConnectServer

        self._server = SparkConnectServer(ip="127.0.0.1", port=0)
        self._server.start(background=True)
        host, port = self._server.listening_address
        return f"sc://{host}:{port}"

    def teardown_after_execution(self, context: dg.InitResourceContext) -> None:
        """Stops the session and the engine that this resource started."""
        if self._pyspark is not None:
            self._pyspark.spark_session.stop()
            self._pyspark = None
        if self._server is not None:
            self._server.stop()
            self._server = None


def _local_delta() -> dict[str, str]:
    import pyspark

    return {
        "spark.jars.packages": DELTA_JARS[pyspark.__version__.rpartition(".")[0]],
        "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
        "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
    }


def _require_answer(remote: str) -> None:
    """Asks before the session does, which would retry for minutes in silence."""
    import grpc
    from pyspark.errors import PySparkException
    from pyspark.sql.connect.client import DefaultChannelBuilder

    try:
        channel = DefaultChannelBuilder(remote).toChannel()
        grpc.channel_ready_future(channel).result(timeout=CONNECT_TIMEOUT_SECONDS)
    except PySparkException as error:
        raise LakehouseError(
            f"STEDI_SPARK_REMOTE is not an address of a Spark Connect server: {error}. "
            "Write it as sc://host:port, or leave it empty for the embedded engine."
        ) from None
    except grpc.FutureTimeoutError:
        address = remote.partition(";")[0]
        raise LakehouseError(
            f"No Spark Connect server answers at STEDI_SPARK_REMOTE={address}. "
            "Start it or correct the address, or leave the setting empty for the embedded engine."
        ) from None
    channel.close()
