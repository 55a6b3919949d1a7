"""A PostgreSQL server of the tests' own, and the services of compose.yaml as processes."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml

from stedi_assets_tests.conftest import PROJECT

DOCKER = PROJECT / "deploy" / "docker"
COMPOSE: dict[str, Any] = yaml.safe_load((DOCKER / "compose.yaml").read_text())
STOP_SECONDS = 2  # then the whole group is killed: how services stop is not tested here


def free_port() -> int:
    """A loopback port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@dataclass(frozen=True)
class Postgres:
    """A running server: where its programs are, and how the services name it."""

    binaries: Path
    environment: Mapping[str, str]


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL server on loopback, removed afterwards."""
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin"))  # where Debian puts them
    search = os.pathsep.join([os.environ["PATH"], *map(str, installed)])
    initdb = shutil.which("initdb", path=search)
    if initdb is None:
        reason = "PostgreSQL's initdb is not on this machine: apt-get install postgresql"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    binaries = Path(initdb).resolve().parent
    folder = Path(tempfile.mkdtemp(prefix="stedi-postgres-"))
    environment = {
        "DAGSTER_POSTGRES_HOST": "127.0.0.1",
        "DAGSTER_POSTGRES_PORT": str(free_port()),
        "DAGSTER_POSTGRES_DB": "dagster",
        "DAGSTER_POSTGRES_USER": "dagster",
        "DAGSTER_POSTGRES_PASSWORD": "what a p@ss:word/of #100%?",
    }
    (folder / "password").write_text(environment["DAGSTER_POSTGRES_PASSWORD"])
    login: dict[str, Any] = {}
    if os.geteuid() == 0:  # PostgreSQL refuses to run as root
        nobody = pwd.getpwnam("nobody")
        login = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        for path in (folder, folder / "password"):
            os.chown(path, nobody.pw_uid, nobody.pw_gid)

    def run(program: str, *arguments: str) -> None:
        done = subprocess.run(
            [binaries / program, *arguments],
            cwd=folder,
            env={**os.environ, "PGPASSWORD": environment["DAGSTER_POSTGRES_PASSWORD"]},
            stdout=subprocess.DEVNULL,  # the server inherits it, so a pipe would never end
            stderr=subprocess.DEVNULL,
            check=False,
            timeout=60,
            **login,
        )
        log = folder / "log"
        assert done.returncode == 0, log.read_text() if log.exists() else f"{program} failed"

    data = str(folder / "data")
    address = ["--host=127.0.0.1", f"--port={environment['DAGSTER_POSTGRES_PORT']}"]
    with ExitStack() as cleanup:
        cleanup.callback(shutil.rmtree, folder)
        run(
            *("initdb", "--pgdata", data, "--username=dagster", "--pwfile=password"),
            *("--auth=scram-sha-256", "--encoding=UTF8", "--no-locale", "--no-sync"),
        )
        options = f"-h 127.0.0.1 -p {environment['DAGSTER_POSTGRES_PORT']} -k {folder} -F"
        run("pg_ctl", "start", "--wait", "--pgdata", data, "--log=log", "--options", options)
        cleanup.callback(run, "pg_ctl", "stop", "--pgdata", data, "--mode=immediate")
        run("createdb", *address, "--username=dagster", "dagster")
        yield Postgres(binaries, environment)


@dataclass(frozen=True)
class Containers:
    """Runs what compose.yaml gives, on this machine's ports and PostgreSQL.

    Attributes:
        home: What the image has in DAGSTER_HOME.
        settings: The value of every variable that compose.yaml may pass to a service.
        ports: The port in a container to the port on this machine.
        path: Where a container would find its programs.
    """

    home: Path
    settings: Mapping[str, str]
    ports: Mapping[str, str]
    path: str

    @contextmanager
    def running(self, service: str) -> Iterator[None]:
        """Runs a service's `command` until the end of the block."""
        with (self.home / f"{service}.log").open("wb") as log:
            process = subprocess.Popen(
                self._here(COMPOSE["services"][service]["command"]),
                cwd=self.home,
                env=self._environment(service),
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                yield
            finally:
                process.terminate()
                try:
                    process.wait(timeout=STOP_SECONDS)
                except subprocess.TimeoutExpired:
                    os.killpg(process.pid, signal.SIGKILL)
                    process.wait()

    def health(self, service: str) -> subprocess.CompletedProcess[str]:
        """What a service's `healthcheck` ends with."""
        how, *command = COMPOSE["services"][service]["healthcheck"]["test"]
        assert how == "CMD"
        return subprocess.run(
            self._here(command),
            cwd=self.home,
            env={**self._environment(service), "PGPORT": self.ports["5432"]},
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )

    def _environment(self, service: str) -> dict[str, str]:
        """Only what the image and compose.yaml set, as it is in a container."""
        passed = COMPOSE["services"][service]["environment"]
        return {
            "PATH": self.path,
            "DAGSTER_HOME": str(self.home),
            **{name: self.settings[name] for name in passed if name in self.settings},
        }

    def _here(self, command: list[str]) -> list[str]:
        there = {"0.0.0.0": "127.0.0.1", **self.ports}
        names = re.compile("|".join(map(re.escape, there)))
        return [names.sub(lambda found: there[found[0]], argument) for argument in command]


@pytest.fixture(scope="session")
def containers(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Containers:
    """The services of compose.yaml, none of them running yet."""
    home = tmp_path_factory.mktemp("dagster_home")
    ports = {"5432": postgres.environment["DAGSTER_POSTGRES_PORT"]}
    ports |= {inside: str(free_port()) for inside in ("4000", "3000")}
    shutil.copy(DOCKER / "dagster.yaml", home)
    workspace = yaml.safe_load((DOCKER / "workspace.yaml").read_text())
    server = workspace["load_from"][0]["grpc_server"]
    server |= {"host": "127.0.0.1", "port": int(ports[str(server["port"])])}
    (home / "workspace.yaml").write_text(yaml.safe_dump(workspace))
    settings = {
        **postgres.environment,
        "STEDI_LAKEHOUSE_URI": str(home / "lakehouse"),
        "STEDI_SOURCE_DATA": str(PROJECT / "data"),
        "STEDI_WEBSERVER_HOSTS": "dagster.example.com",
    }
    programs = [str(Path(sys.executable).parent), str(postgres.binaries), os.environ["PATH"]]
    return Containers(home, settings, ports, os.pathsep.join(programs))


@pytest.fixture
def instance(containers: Containers, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A fresh instance of deploy/docker/dagster.yaml, which has nothing in memory."""
    for name, value in containers.settings.items():
        monkeypatch.setenv(name, value)
    with dg.DagsterInstance.from_config(str(containers.home)) as instance:
        yield instance
