"""The whole command on clusters gives what it gives on the embedded engine, whatever dies."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import dagster as dg
import pytest
from dagster import DagsterEventType

from stedi_assets.demo_s3 import BUCKET, S3Server
from stedi_assets.orchestration.history import INSTANCE
from stedi_assets.sample.files import write_sample
from stedi_assets.sample.spec import SampleSpec
from stedi_assets.storage import aws_settings
from stedi_assets.tables import DELTA_TABLES, LANDING_TABLES, records_of
from stedi_assets_tests import cluster
from stedi_assets_tests.incremental import rows_of
from stedi_assets_tests.rows import stored_rows

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]

# Of the sample's customers, with all their readings: one in this many, and of those some later.
ONE_IN, LATER_IN = 16, 4
KEYLESS = {
    "AWS_ACCESS_KEY_ID": "",
    "AWS_SECRET_ACCESS_KEY": "",
    "AWS_EC2_METADATA_DISABLED": "true",
}


class Ended(NamedTuple):
    """How a run ended: its exit status, what it printed, and each check's verdict and figures."""

    status: int
    printed: str
    checks: dict[str, tuple[bool, str | None]]


class Lake:
    """A source, and a lakehouse that runs make of it.

    Attributes:
        uri: Where the lakehouse is.
        source: The folder that files arrive in.
    """

    def __init__(self, folder: Path, uri: str, environment: Mapping[str, str]) -> None:
        self.folder, self.uri, self.environment = folder, uri, environment
        self.source = folder / "source"

    def start(self, remote: str = "") -> Run:
        """Starts the whole command."""
        history = self.folder / uuid.uuid4().hex
        history.mkdir(parents=True)
        shutil.copy(INSTANCE, history)
        settings = {
            "STEDI_LAKEHOUSE_URI": self.uri,
            "STEDI_SOURCE_DATA": str(self.source),
            "STEDI_SPARK_REMOTE": remote,
            "DAGSTER_HOME": str(history),
        }
        return Run(history, {**os.environ, **self.environment, **settings})

    def run(self, remote: str = "") -> Ended:
        """Runs the whole command."""
        return self.start(remote).end()

    @property
    def rows(self) -> dict[str, Counter]:
        """The rows of every table, and of what has been read of landing."""
        records = {
            table.name: Counter(
                tuple(row.values())
                for row in stored_rows(
                    f"{self.uri}/{records_of(table).location}", columns=table.column_names
                ).to_pylist()
            )
            for table in LANDING_TABLES
        }
        return records | rows_of(self.uri)


class Run:
    """A run of the whole command, in a process of its own."""

    def __init__(self, history: Path, environment: Mapping[str, str]) -> None:
        self.history = history
        self.process = subprocess.Popen(
            [sys.executable, "-m", "stedi_assets.cli", "materialize"],
            cwd=history,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def reach(self, line: str) -> None:
        """Waits until it has printed a line that starts so, and has more to do."""
        assert self.process.stdout
        self.said = ""
        for said in self.process.stdout:
            self.said += said
            if said.startswith(line):
                return
        pytest.fail(f"it ended before {line}:\n{self.said}")

    def end(self) -> Ended:
        """Waits for its end."""
        printed, _ = self.process.communicate()
        with dg.DagsterInstance.from_config(str(self.history)) as instance:
            [run] = instance.get_runs()
            events = instance.all_logs(run.run_id, DagsterEventType.ASSET_CHECK_EVALUATION)
        found = [event.get_dagster_event().asset_check_evaluation_data for event in events]
        checks = {
            f"{each.asset_key.to_user_string()}/{each.check_name}": (each.passed, each.description)
            for each in found
        }
        return Ended(self.process.returncode, printed, checks)


@pytest.fixture(scope="module")
def portions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few people of the sample with repeated and malformed records, in `first` and `later`.

    Later some people withdraw too.
    """
    folder = tmp_path_factory.mktemp("portions")
    write_sample(folder / "all", SampleSpec(malformed=0.002, duplicates=0.01))
    people = [json.loads(line) for line in _lines(folder / "all" / "customer") if _is_record(line)]
    places: dict[str, int] = {}
    for person in people:
        place = places.setdefault(person["email"], len(places))
        places[person["serialNumber"]] = place
    for table in LANDING_TABLES:
        for n, line in enumerate(_lines(folder / "all" / table.source)):
            record = json.loads(line) if _is_record(line) else {}
            whose = record.get("email") or record.get("user") or record.get("serialNumber")
            place = places[whose] if whose else n
            if place % ONE_IN == 0:
                later = place // ONE_IN % LATER_IN == LATER_IN - 1
                _append(folder / ("later" if later else "first") / table.location, "1.json", line)
    consenting = [
        person
        for person in people
        if person.get("shareWithResearchAsOfDate") and places[person["email"]] % ONE_IN == 0
    ]
    for person in consenting[:2]:
        withdrawn = {name: v for name, v in person.items() if name != "shareWithResearchAsOfDate"}
        withdrawn["lastUpdateDate"] += 1
        _append(folder / "later" / "customer" / "landing", "2.json", json.dumps(withdrawn) + "\n")
    return folder


def _lines(folder: Path) -> Iterator[str]:
    for file in sorted(folder.rglob("*.json")):
        with file.open() as lines:
            yield from lines


def _is_record(line: str) -> bool:
    try:
        return isinstance(json.loads(line), dict) and len(json.loads(line)) > 2
    except ValueError:
        return False


def _append(folder: Path, name: str, line: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / name).open("a") as file:
        file.write(line)


def deliver(portions: Path, portion: str, lake: Lake) -> None:
    """Has the files of a portion arrive."""
    for file in (portions / portion).rglob("*.json"):
        target = lake.source / file.relative_to(portions / portion)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, target.with_name(f"{portion}-{file.name}"))


@pytest.fixture(scope="module")
def expected(
    portions: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, tuple[dict[str, Counter], Ended]]:
    """Portion to the tables after it and how the run ended, by the embedded engine on a disk."""
    folder = tmp_path_factory.mktemp("embedded")
    lake = Lake(folder, str(folder / "lakehouse"), {})
    found = {}
    for portion in ("first", "later"):
        deliver(portions, portion, lake)
        ended = lake.run()
        assert ended.status == 0, ended.printed
        found[portion] = lake.rows, ended
    first, later = (found[portion][0] for portion in found)
    assert first["accelerometer_quarantine"]
    for table in DELTA_TABLES:
        assert first[table.name], "an empty table, so that nothing is compared"
        assert first[table.name] != later[table.name]
    return found


@pytest.fixture(scope="module")
def s3(s3_server: S3Server) -> Iterator[S3Server]:
    """The S3 server, to which this process's settings lead."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in sail_environment(s3_server).items():
            patch.setenv(name, value)
        aws_settings.found.cache_clear()
        yield s3_server
    aws_settings.found.cache_clear()


def new_lake(folder: Path, s3: S3Server) -> Lake:
    """A lakehouse on the S3 server in which nothing is yet."""
    return Lake(folder, f"s3://{BUCKET}/{uuid.uuid4().hex}", s3.environment)


@pytest.fixture
def lake(s3: S3Server, tmp_path: Path) -> Lake:
    """A lakehouse of one test."""
    return new_lake(tmp_path, s3)


def require_equal(lake: Lake, ended: Ended, expected: tuple[dict[str, Counter], Ended]) -> None:
    """Makes sure that every table and every check is as the embedded engine's."""
    rows, on_embedded = expected
    assert ended.status == 0, ended.printed
    found = lake.rows
    assert [name for name in rows if found[name] != rows[name]] == []
    assert ended.checks == on_embedded.checks


def test__standalone__a_worker_dies_in_each_run(
    lake: Lake, portions: Path, expected: dict[str, Any], s3: S3Server, tmp_path: Path
) -> None:
    folder = tmp_path / "cluster"
    folder.mkdir()
    with cluster.standalone(folder, lake.uri, s3.environment) as spark:
        for portion in expected:
            deliver(portions, portion, lake)
            run = lake.start(spark.remote)
            run.reach("accelerometer_quarantine")
            assert len(spark.workers) == 2
            cluster.kill(spark.workers.pop(0))
            require_equal(lake, run.end(), expected[portion])
            spark.start_worker()


def test__sail__the_cluster_dies_and_is_started_again(
    lake: Lake, portions: Path, expected: dict[str, Any], s3: S3Server, tmp_path: Path
) -> None:
    with cluster.sail(tmp_path, sail_environment(s3)) as sail:
        deliver(portions, "first", lake)
        require_equal(lake, lake.run(sail.remote), expected["first"])

        deliver(portions, "later", lake)
        run = lake.start(sail.remote)
        run.reach("accelerometer_quarantine")
        cluster.kill(sail.workers[0])
        run.process.kill()  # which would try for minutes to reach it
        run.process.communicate()
        found = lake.rows
        for name, rows in found.items():
            assert rows in (expected["first"][0][name], expected["later"][0][name]), name
        assert found != expected["later"][0]

        cluster.start_sail(sail)
        ended = lake.run(sail.remote)
        require_equal(lake, ended, expected["later"])


def sail_environment(s3: S3Server) -> dict[str, str]:
    return {
        **s3.environment,
        "AWS_ENDPOINT": s3.endpoint,
        "AWS_ALLOW_HTTP": "true",
    }


@pytest.fixture(scope="module")
def loaded(portions: Path, s3: S3Server, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """A loaded lakehouse, whose next run has files to read."""
    lake = new_lake(tmp_path_factory.mktemp("loaded"), s3)
    deliver(portions, "first", lake)
    assert lake.run().status == 0
    deliver(portions, "later", lake)
    return lake


def require_fault(code: str, loaded: Lake, remote: str, expected: dict[str, Any]) -> None:
    """Makes sure that a run ends in one sentence with a code, and leaves each table whole."""
    ended = loaded.run(remote)
    assert ended.status == 1
    assert ended.printed.count(f"[{code}]") == 1, ended.printed
    assert "Traceback" not in ended.printed
    for name, rows in loaded.rows.items():
        assert rows in (expected["first"][0][name], expected["later"][0][name]), name


def test__standalone__worker_without_the_key_of_the_object_store(
    loaded: Lake, expected: dict[str, Any], s3: S3Server, tmp_path: Path
) -> None:
    """The server has its key by a way that it does not pass on."""
    folder = tmp_path / "cluster"
    folder.mkdir()
    keys = {"aws.accessKeyId": s3.access_key, "aws.secretAccessKey": s3.secret_key}
    only_server = " ".join(f"-D{name}={value}" for name, value in keys.items())
    environment = {**s3.environment, **KEYLESS}
    with cluster.standalone(
        folder, loaded.uri, environment, 1, f"spark.driver.extraJavaOptions {only_server}"
    ) as spark:
        require_fault("ENGINE_CREDENTIALS", loaded, spark.remote, expected)


def test__jvm__jar_of_s3_is_missing(
    loaded: Lake, expected: dict[str, Any], jvm_server: str
) -> None:
    require_fault("ENGINE_JAR", loaded, jvm_server, expected)


def test__sail__too_little_memory_for_the_lookups(
    loaded: Lake, expected: dict[str, Any], s3: S3Server, tmp_path: Path
) -> None:
    little = {
        "SAIL_RUNTIME__MEMORY_POOL__TYPE": "fair",
        "SAIL_RUNTIME__MEMORY_POOL__FAIR__MAX_SIZE": "100000",
    }
    with cluster.sail(tmp_path, sail_environment(s3) | little) as sail:
        require_fault("OUT_OF_MEMORY", loaded, sail.remote, expected)
