"""What no engine is needed for: the files of the image and of the services agree."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from stedi_assets.settings import Settings
from stedi_assets_tests.conftest import PROJECT
from stedi_assets_tests.deploy.docker.conftest import COMPOSE, DOCKER

SERVICES: dict[str, Any] = COMPOSE["services"]
OF_THE_WEBSERVER = "STEDI_WEBSERVER_HOSTS"
PROCESSES = ["code_server", "webserver", "daemon"]
DOCKERFILE = (DOCKER / "Dockerfile").read_text()
INSTANCE = (DOCKER / "dagster.yaml").read_text()


def _run(program: str, *arguments: str | Path) -> None:
    command = [Path(sys.executable).with_name(program), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def _last(instruction: str) -> str:
    return re.findall(rf"^{instruction} (.*)$", DOCKERFILE, re.MULTILINE)[-1]


def test__dockerfile__hadolint() -> None:
    _run("hadolint", DOCKER / "Dockerfile")


def test__dockerfile__does_not_run_as_root() -> None:
    assert int(_last("USER")) > 0


def test__dockerfile__copies_only_what_the_ignore_file_lets_in() -> None:
    let_in = set(re.findall(r"^!(.*)$", (PROJECT / ".dockerignore").read_text(), re.MULTILINE))
    copied = re.findall(r"^COPY (?!--from)(.*) \S+$", DOCKERFILE, re.MULTILINE)

    assert {source for sources in copied for source in sources.split()} == let_in
    assert all((PROJECT / source).exists() for source in let_in)


def test__dockerfile__installs_by_hash_only() -> None:
    """The project itself is what is copied; uv and all else have the lock's hashes."""
    commands = re.findall(r"(?:uv )?pip install [^&\n]*", DOCKERFILE.replace("\\\n", ""))

    assert len(commands) == 3
    for command in commands:
        assert "--require-hashes" in command or command.split()[-1] == "."


def test__images__are_pinned_by_digest() -> None:
    """A tag can be moved to other content; a digest is the content."""
    bases = re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)
    copied = re.findall(r"--from=(\S*[:/]\S*)", DOCKERFILE)
    services = {service["image"] for service in SERVICES.values() if "build" not in service}

    assert len(set(bases)) == 1
    for image in [*bases, *copied, *services]:
        assert re.fullmatch(r"[\w./-]+:\d+\.\d+[\w.-]*@sha256:[0-9a-f]{64}", image), image


def test__compose__is_valid() -> None:
    _run("check-jsonschema", "--builtin-schema", "vendor.compose-spec", DOCKER / "compose.yaml")


@pytest.mark.parametrize("service", SERVICES)
def test__compose__every_service_is_watched_and_restarted(service: str) -> None:
    assert SERVICES[service]["healthcheck"]["test"][0] == "CMD"
    assert SERVICES[service]["restart"] == "unless-stopped"


@pytest.mark.parametrize("service", PROCESSES)
def test__compose__passes_what_the_instance_reads(service: str) -> None:
    read = set(re.findall(r"env: (\w+)", INSTANCE))

    assert read
    assert read <= set(SERVICES[service]["environment"])


def test__compose__passes_every_setting_to_the_code_server() -> None:
    settings = {f"STEDI_{name.upper()}" for name in Settings.model_fields} - {OF_THE_WEBSERVER}

    assert settings <= set(SERVICES["code_server"]["environment"])
    assert OF_THE_WEBSERVER in SERVICES["webserver"]["environment"]


def test__compose__no_keys_where_no_code_runs() -> None:
    for service in ("postgres", "webserver", "daemon"):
        names = set(SERVICES[service]["environment"]) - {OF_THE_WEBSERVER}
        assert not [name for name in names if name.startswith(("STEDI_", "AWS_"))]


def test__compose__passwords_come_from_outside_and_must_be_set() -> None:
    passwords = [
        value
        for service in SERVICES.values()
        for name, value in service["environment"].items()
        if "PASSWORD" in name
    ]

    assert len(passwords) == len(SERVICES)
    assert all(re.fullmatch(r"\$\{DAGSTER_POSTGRES_PASSWORD:\?.+\}", each) for each in passwords)


def test__compose__publishes_the_webserver_on_loopback_only() -> None:
    published = {name: service.get("ports", []) for name, service in SERVICES.items()}

    [port] = published.pop("webserver")
    assert port.startswith("127.0.0.1:")
    assert not any(published.values())


def test__compose__postgres_is_the_database_that_the_services_use() -> None:
    postgres = SERVICES["postgres"]["environment"]

    for service in PROCESSES:
        environment = SERVICES[service]["environment"]
        assert environment["DAGSTER_POSTGRES_HOST"] in SERVICES
        for name in ("DB", "USER", "PASSWORD"):
            assert environment[f"DAGSTER_POSTGRES_{name}"] == postgres[f"POSTGRES_{name}"]


def test__compose__keeps_data_in_volumes_that_the_image_lets_it_write() -> None:
    mounts = [
        mount.split(":")[:2]
        for service in SERVICES.values()
        for mount in service.get("volumes", [])
        if isinstance(mount, str)
    ]
    made = re.search(r"chown -R dagster (.*)", DOCKERFILE)

    assert made is not None
    assert {volume for volume, _ in mounts} == set(COMPOSE["volumes"])
    for volume, folder in mounts:
        assert volume == "postgres" or folder.startswith(tuple(made[1].split()))


def test__compose__run_logs_are_where_dagster_keeps_them() -> None:
    home = re.search(r"DAGSTER_HOME=(\S+)", _last("ENV"))

    assert home is not None
    assert home[1] == _last("WORKDIR")
    for service in PROCESSES:
        [folder] = [
            mount.split(":")[1]
            for mount in SERVICES[service]["volumes"]
            if str(mount).startswith("run_logs:")
        ]
        assert folder == f"{home[1]}/storage"


def test__workspace__names_the_code_server_and_its_port() -> None:
    workspace = yaml.safe_load((DOCKER / "workspace.yaml").read_text())
    [entry] = workspace["load_from"]
    server = entry["grpc_server"]
    command = SERVICES["code_server"]["command"]

    assert server["host"] in SERVICES
    assert command[command.index("--port") + 1] == str(server["port"])
    assert command[command.index("--location-name") + 1] == server["location_name"]


@pytest.mark.parametrize("service", PROCESSES)
def test__compose__waits_for_healthy_services(service: str) -> None:
    awaited = SERVICES[service]["depends_on"]
    expected = {"postgres"} if service == "code_server" else {"postgres", "code_server"}

    assert set(awaited) == expected
    assert all(each == {"condition": "service_healthy"} for each in awaited.values())
