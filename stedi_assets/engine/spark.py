"""The Spark engine: embedded by default, any Spark Connect server by setting."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import tempfile
import warnings
from pathlib import Path
from typing import Any

import dagster as dg
from dagster_pyspark import LazyPySparkResource
from pydantic import Field, PrivateAttr
from pyspark.sql import DataFrame, SparkSession

from stedi_assets.engine import jvm, memory
from stedi_assets.engine.embedded import EmbeddedEngine
from stedi_assets.errors import Code, LakehouseError
from stedi_assets.storage.address import S3, without_userinfo
from stedi_assets.tables.checkpoints import checkpointed

CONNECT_TIMEOUT_SECONDS = 10
SCRATCH = "stedi-assets-"
# The share of memory for queries; files being read and written take theirs besides.
ENGINE_SHARE = 0.4
# Batches of a quarter of Sail's size are small enough to reuse their memory, which is faster. The
# allocator reads its settings when the engine is loaded.
MEMORY_SETTINGS = {
    "MIMALLOC_ARENA_EAGER_COMMIT": "0",
    "SAIL_EXECUTION__BATCH_SIZE": "2048",
}
# Sail ends a session of which it hears nothing for minutes, as while a step only copies files; ours
# ends with its run.
SESSION_SECONDS = 30 * 24 * 3600
# The allocator keeps freed memory for some milliseconds, which it often needs again: a tenth of the
# processor's time, for half as much memory again or more. Where there is less than this it returns
# it at once.
MUCH_MEMORY, PURGE_DELAY_MILLISECONDS = 32 * 2**30, 10


class SparkResource(LazyPySparkResource):
    """One Spark Connect session for a whole run, and for no other.

    The session starts when first asked for and stops with the run. Without a remote, so does the
    engine: Sail, in this very process.
    """

    spark_config: dict[str, Any] = Field(default={}, description="Further settings of the session.")
    remote: str = Field(
        default="",
        description=(
            "Empty for the embedded engine, sc://host:port for a Spark Connect server, "
            "local[*] for a local JVM Spark."
        ),
    )
    _engine: EmbeddedEngine | None = PrivateAttr(default=None)
    _scratch: str = PrivateAttr(default="")
    _lakehouse_uri: str = PrivateAttr(default="")
    _cached: list[DataFrame] = PrivateAttr(default_factory=list)

    def _init_session(self) -> None:
        if self._spark_session is not None:
            return
        # Dagster enables what PySpark had disabled: the logger that quotes the engine's errors.
        logging.getLogger("pyspark.sql.connect.logging").setLevel(logging.CRITICAL)
        if self.remote.startswith("local"):
            self._spark_session = _start_local(
                self.remote, jvm.settings(self._lakehouse_uri) | self.spark_config
            )
            return
        if not self.remote:
            self._engine = self._start_embedded()
            self._spark_session = self._engine.session(jvm.NO_CALL_SITES | self.spark_config)
            return
        _require_answer(self.remote)
        builder = SparkSession.builder.remote(self.remote)
        for name, value in self.spark_config.items():
            builder = builder.config(name, value)
        # getOrCreate would hand out a session of another engine if this process has one.
        self._spark_session = builder.create()

    def cached(self, frame: DataFrame) -> DataFrame:
        """A frame whose rows are cached, on this machine or its cluster, until the session stops.

        Sail, which does not cache, writes them to a folder that only this user can read.
        """
        if self._engine is None:
            self._cached.append(frame.cache())
            return self._cached[-1]
        return checkpointed(frame)

    @property
    def computes_again(self) -> bool:
        """Whether rows that are cached may be lost with a worker, and are computed again then."""
        return self._engine is None

    def _start_embedded(self) -> EmbeddedEngine:
        limit = memory.available()
        defaults = {
            "RUST_LOG": "error",
            **MEMORY_SETTINGS,
            "SAIL_SPARK__SESSION_TIMEOUT_SECS": str(SESSION_SECONDS),
            "MIMALLOC_PURGE_DELAY": str(PURGE_DELAY_MILLISECONDS if limit >= MUCH_MEMORY else 0),
            # Beyond its share a query spills what it can, and fails with what it cannot; without
            # one, the system would kill the run without a word.
            "SAIL_RUNTIME__MEMORY_POOL__TYPE": "fair",
            "SAIL_RUNTIME__MEMORY_POOL__FAIR__MAX_SIZE": f"{limit * ENGINE_SHARE:.0f}",
            **self._store_variables(),
        }
        for name, value in defaults.items():
            os.environ.setdefault(name, value)
        _remove_abandoned()
        self._scratch = tempfile.mkdtemp(prefix=f"{SCRATCH}{os.getpid()}-")
        os.environ["SAIL_EXECUTION__CHECKPOINT__PATH"] = f"file://{self._scratch}"
        os.environ["SAIL_RUNTIME__TEMPORARY_FILES__PATHS"] = f'["{self._scratch}"]'
        # By this, PySpark's functions know that they build expressions for Spark Connect.
        os.environ["SPARK_CONNECT_MODE_ENABLED"] = "1"
        try:
            return EmbeddedEngine()
        except BaseException:
            shutil.rmtree(self._scratch, ignore_errors=True)
            raise

    def reach(self, lakehouse_uri: str) -> None:
        """Has the embedded engine, once it starts, reach a lakehouse by the AWS settings."""
        self._lakehouse_uri = lakehouse_uri

    def _store_variables(self) -> dict[str, str]:
        """Where S3 is; credentials the engine finds as boto3 does, and renews for itself."""
        if not self._lakehouse_uri.startswith(S3):
            return {}
        from stedi_assets.storage import aws_settings

        return aws_settings.found().store_variables()

    def teardown_after_execution(self, context: dg.InitResourceContext) -> None:
        """Stops with the run."""
        self.stop()

    def stop(self) -> None:
        """Stops the session and the engine that this resource started."""
        if self._spark_session is not None:
            self._unpersist()
            self._spark_session.stop()
            self._spark_session = None
        if self._engine is not None:
            self._engine.stop()
            self._engine = None
            shutil.rmtree(self._scratch, ignore_errors=True)

    def _unpersist(self) -> None:
        """Removes what is cached: the cache is the server's and outlives the session."""
        from grpc import RpcError
        from pyspark.errors import PySparkException

        with contextlib.suppress(PySparkException, RpcError):  # of a server that is gone
            while self._cached:
                self._cached.pop().unpersist()


def _remove_abandoned() -> None:
    """Removes what runs that were killed had cached."""
    for scratch in Path(tempfile.gettempdir()).glob(f"{SCRATCH}*-*"):
        process = scratch.name.removeprefix(SCRATCH).partition("-")[0]
        try:
            os.kill(int(process), 0)
        except ProcessLookupError:
            shutil.rmtree(scratch, ignore_errors=True)
        except (PermissionError, ValueError):
            continue


def _start_local(master: str, config: dict[str, Any]) -> SparkSession:
    from pyspark.errors import PySparkRuntimeError

    jvm.require_java()
    builder = SparkSession.builder.remote(master).config(map=config)
    with warnings.catch_warnings():
        # The session refuses the settings that the server it belongs to has been started with.
        warnings.filterwarnings("ignore", "Failed to set")
        try:
            return builder.getOrCreate()
        except PySparkRuntimeError as error:
            if error.getCondition() != "JAVA_GATEWAY_EXITED":
                raise
            raise LakehouseError(
                f"A JVM Spark could not be started for STEDI_SPARK_REMOTE={master}; the lines "
                "above say why. If jars could not be fetched, let this machine reach Maven "
                "Central, or leave the setting empty for the embedded engine.",
                Code.ENGINE_SETUP,
            ) from None


def _require_answer(remote: str) -> None:
    """Asks before the session does, which would retry for minutes in silence."""
    import grpc
    from pyspark.errors import PySparkException
    from pyspark.sql.connect.client import DefaultChannelBuilder

    try:
        channel = DefaultChannelBuilder(remote).toChannel()
        grpc.channel_ready_future(channel).result(timeout=CONNECT_TIMEOUT_SECONDS)
    except (PySparkException, ValueError):
        raise LakehouseError(
            "STEDI_SPARK_REMOTE is not an address of a Spark Connect server. Write it as "
            "sc://host:port, or with parameters as sc://host:port/;name=value, or leave it empty "
            "for the embedded engine."
        ) from None
    except grpc.FutureTimeoutError:
        address = without_userinfo(remote.partition(";")[0])
        raise LakehouseError(
            f"No Spark Connect server answers at STEDI_SPARK_REMOTE={address}. "
            "Start it or correct the address, or leave the setting empty for the embedded engine.",
            Code.ENGINE_UNREACHABLE,
        ) from None
    channel.close()
