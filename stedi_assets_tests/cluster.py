"""Clusters on loopback, of real processes: Spark's standalone mode, and Sail's cluster mode."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyspark

from stedi_assets import spark_server
from stedi_assets.demo_s3.server import write_private
from stedi_assets.loopback import HOST
from stedi_assets_tests.spark_server import START_SECONDS, did_not_start, need_java

SPARK_CLASS = str(Path(pyspark.__file__).parent / "bin" / "spark-class")
SAIL = str(Path(sys.executable).with_name("sail"))
# Of all its processes. Each must know the secret, which no command line shows.
DEFAULTS = """
spark.authenticate true
spark.authenticate.secret {secret}
spark.master.rest.enabled false
spark.driver.memory 1g
spark.executor.memory 1g
spark.executor.cores 1
"""


@dataclass
class Cluster:
    """A cluster's processes, each of which is killed with all that it has started.

    Attributes:
        folder: Where each writes a log, and whatever else.
        environment: Variables of all of them.
        port: Where its Connect server listens.
        token: The token that this asks for.
        workers: Its workers, each with its executors.
    """

    folder: Path
    environment: Mapping[str, str]
    port: int
    token: str = ""
    workers: list[subprocess.Popen] = field(default_factory=list)
    _started: list[subprocess.Popen] = field(default_factory=list)

    @property
    def remote(self) -> str:
        """The address of its Connect server."""
        if self.token:
            return spark_server.remote(self.port, self.token)
        return f"sc://{HOST}:{self.port}"

    def start(
        self, name: str, command: Sequence[str], port: int | None = None, **variables: str
    ) -> subprocess.Popen:
        """Starts a process, and waits until it listens if a port is given."""
        log = self.folder / f"{name}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                command,
                cwd=self.folder,
                env={**os.environ, **self.environment, **variables},
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._started.append(process)
        give_up = time.monotonic() + START_SECONDS
        while port is not None and not listens(port):
            if process.poll() is not None or time.monotonic() > give_up:
                did_not_start(name, log.read_text())
            time.sleep(0.2)
        return process

    def stop(self) -> None:
        """Kills all that still runs."""
        for process in self._started:
            kill(process)


class Standalone(Cluster):
    """A master, workers of one core and 1 GB, and a Connect server."""

    master = ""

    def start_all(self, lakehouse_uri: str, workers: int, defaults: str) -> None:
        """Starts a master, workers and the server."""
        secret = DEFAULTS.format(secret=secrets.token_hex(32))
        write_private(self.folder / "spark-defaults.conf", secret + defaults)
        port = free_port()
        self.master = f"spark://{HOST}:{port}"
        self._daemon("master", "master.Master", "--port", str(port), port=port)
        for _ in range(workers):
            self.start_worker()
        command = spark_server.command(self.port, lakehouse_uri)
        command = [each.replace("=local[*]", f"={self.master}") for each in command]
        self.start("server", command, self.port)

    def start_worker(self) -> None:
        """Adds a worker."""
        name = f"worker-{len(self._started)}"
        size = ("--cores", "1", "--memory", "1g", "--work-dir", str(self.folder / name))
        self.workers.append(self._daemon(name, "worker.Worker", *size, self.master))

    def _daemon(
        self, name: str, kind: str, *arguments: str, port: int | None = None
    ) -> subprocess.Popen:
        command = [SPARK_CLASS, f"org.apache.spark.deploy.{kind}", "--host", HOST]
        command += ["--webui-port", "0", *arguments]
        return self.start(name, command, port, SPARK_DAEMON_MEMORY="256m")


@contextlib.contextmanager
def standalone(
    folder: Path,
    lakehouse_uri: str,
    environment: Mapping[str, str],
    workers: int = 2,
    defaults: str = "",
) -> Iterator[Standalone]:
    """A Spark standalone cluster; skips the test where there is no Java or Maven Central.

    Args:
        folder: An empty folder.
        lakehouse_uri: Where the tables are.
        environment: Variables of all processes.
        workers: How many.
        defaults: Further lines of its spark-defaults.conf.
    """
    need_java()
    token = secrets.token_urlsafe(32)
    own = {"SPARK_LOCAL_IP": HOST, "SPARK_CONF_DIR": str(folder), spark_server.TOKEN: token}
    cluster = Standalone(folder, {**environment, **own}, free_port(), token)
    try:
        cluster.start_all(lakehouse_uri, workers, defaults)
        yield cluster
    finally:
        cluster.stop()


@contextlib.contextmanager
def sail(folder: Path, environment: Mapping[str, str]) -> Iterator[Cluster]:
    """Sail in its cluster mode on one machine: a driver and workers that talk by ports.

    They are threads of one process.
    """
    own = {"SAIL_MODE": "local-cluster", "RUST_LOG": "error"}
    cluster = Cluster(folder, {**environment, **own}, free_port())
    try:
        start_sail(cluster)
        yield cluster
    finally:
        cluster.stop()


def start_sail(cluster: Cluster) -> None:
    """Starts the process of a Sail cluster, at first or again."""
    command = [SAIL, "spark", "server", "--port", str(cluster.port)]
    cluster.workers = [cluster.start("sail", command, cluster.port)]


def free_port() -> int:
    """A port of loopback at which nothing listens."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def listens(port: int) -> bool:
    """Whether something listens at a port of loopback."""
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0


def kill(process: subprocess.Popen) -> None:
    """Kills a process and what it has started, as the loss of its machine would."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
