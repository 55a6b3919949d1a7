"""Every block of commands in the documents works as it stands: `make test-docs`.

They run in a copy of the project where everything is installed, with a moto server for AWS.
What CI runs by itself is left out; what nothing can run says why on its page.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import boto3
import pytest

from docs.blocks import Block, blocks
from stedi_assets_tests.conftest import PROJECT
from stedi_assets_tests.deploy.docker.conftest import free_port

LANGUAGES = {"bash", "python", "yaml", "json", "sql", "text"}
IN_CI = {line.strip() for line in (PROJECT / ".ci" / "run").read_text().splitlines()}
# Ends with Ctrl-C only.
SERVES = "make dev\n"
BUCKET, DATABASE = "bucket", "stedi"
WITHIN_SECONDS = 240
NOT_COPIED = shutil.ignore_patterns(".*", "lakehouse", "build", "benchmarks", "__pycache__")


def to_run() -> Iterator[Block]:
    """The blocks of commands that neither CI runs line by line nor anything can; each text once."""
    seen = set[str]()
    for block in blocks():
        shell = block.language == "bash" and not block.why_not and block.text not in seen
        if shell and not IN_CI.issuperset(line.strip() for line in block.text.splitlines()):
            seen.add(block.text)
            yield block


@pytest.mark.parametrize("block", blocks(), ids=lambda block: f"{block.page}:{block.line}")
def test__block__says_what_it_is(block: Block) -> None:
    assert block.language in LANGUAGES
    assert block.language == "bash" or not block.why_not


@dataclass
class Shell:
    """Runs commands in a copy of the project."""

    project: Path
    environment: dict[str, str]

    def run(self, text: str) -> subprocess.CompletedProcess[str]:
        """Runs a block of commands until one fails."""
        return subprocess.run(
            ["bash", "-euo", "pipefail", "-c", text],
            cwd=self.project,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=WITHIN_SECONDS,
        )

    def serve(self, text: str, port: int) -> int:
        """Runs a command that serves the UI until it answers, then ends it with Ctrl-C."""
        command = ["bash", "-euc", f"exec {text}"]
        with subprocess.Popen(
            command, cwd=self.project, env=self.environment, start_new_session=True
        ) as process:
            try:
                until = time.monotonic() + WITHIN_SECONDS
                while not answers(port):
                    assert process.poll() is None and time.monotonic() < until
                    time.sleep(0.2)
            finally:
                os.killpg(process.pid, signal.SIGINT)
        return process.returncode


def answers(port: int) -> bool:
    """Whether the UI does."""
    try:
        return bool(urlopen(f"http://127.0.0.1:{port}/server_info").status == 200)
    except URLError:
        return False


@pytest.fixture(scope="module")
def port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def shell(moto_endpoint: str, port: int, tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """A shell in a copy of the project, with its tables made and an AWS account."""
    project = tmp_path_factory.mktemp("clone") / "stedi_assets"
    shutil.copytree(PROJECT, project, ignore=NOT_COPIED)
    (project / ".venv").symlink_to(sys.prefix)
    own = ("STEDI_", "AWS_", "DAGSTER_")
    environment = {
        **{name: text for name, text in os.environ.items() if not name.startswith(own)},
        "MAKEFLAGS": f"RUN= TEST= PORT={port}",
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "AWS_ENDPOINT_URL": moto_endpoint,
        "AWS_ALLOW_HTTP": "true",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
    }
    account = boto3.Session("testing", "testing", region_name="us-east-1")
    account.client("s3", endpoint_url=moto_endpoint).create_bucket(Bucket=BUCKET)
    glue = account.client("glue", endpoint_url=moto_endpoint)
    glue.create_database(DatabaseInput={"Name": DATABASE})
    made = Shell(project, environment)
    materialized = made.run("make materialize")
    assert materialized.returncode == 0, materialized.stdout + materialized.stderr
    return made


@pytest.mark.commands
@pytest.mark.parametrize("block", to_run(), ids=lambda block: f"{block.page}:{block.line}")
def test__commands__run(block: Block, shell: Shell, port: int) -> None:
    if block.text.startswith("aws ") and not shutil.which("aws"):
        assert not os.environ.get("CI"), "CI needs the AWS CLI"
        pytest.skip("there is no AWS CLI")
    if block.text == SERVES:
        assert shell.serve(block.text, port) == -signal.SIGINT
        return
    done = shell.run(block.text)
    assert done.returncode == 0, done.stdout + done.stderr
