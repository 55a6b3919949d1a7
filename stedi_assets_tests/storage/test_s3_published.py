"""A version that is published in a bucket: cited, and erased once someone in it has left."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from stedi_assets.errors import Code, LakehouseError
from stedi_assets.orchestration.history import INSTANCE
from stedi_assets.tables.customer import CUSTOMER_LANDING, CUSTOMER_TRAINING
from stedi_assets.training import load
from stedi_assets.training import manifest as manifests
from stedi_assets_tests.conftest import PROJECT
from stedi_assets_tests.rows import PSEUDONYMS, stored_rows
from stedi_assets_tests.runs import Run

pytestmark = pytest.mark.slow


def test__version__in_a_bucket(
    s3_lakehouse_uri: str, settings: dict[str, str], tmp_path: Path
) -> None:
    source = shutil.copytree(PROJECT / "data", tmp_path / "source")
    home = tmp_path / "home"  # a history is of one lakehouse
    home.mkdir()
    shutil.copy(INSTANCE, home)
    environment = settings | {
        "DAGSTER_HOME": str(home),
        "STEDI_LAKEHOUSE_URI": s3_lakehouse_uri,
        "STEDI_SOURCE_DATA": str(source),
        "STEDI_PSEUDONYM_KEY": PSEUDONYMS.key,
    }

    def launch(job: str) -> None:
        command = [str(Path(sys.executable).with_name("dg")), "launch", "--job", job]
        done = subprocess.run(
            command, cwd=PROJECT, env=environment, check=False, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr[-2000:]

    assert Run(environment).end().exit_status == 0
    launch("publish_training_set")

    uri = f"{s3_lakehouse_uri}/{manifests.LOCATION}"
    [published] = manifests.published(uri)
    loaded = load(s3_lakehouse_uri, version=published.version)
    assert loaded.arrow().num_rows == published.rows > 0

    owners = stored_rows(f"{s3_lakehouse_uri}/{CUSTOMER_TRAINING.location}")
    now = time.time_ns() // 1_000_000
    withdrawal = {"email": owners["email"][0].as_py(), "lastUpdateDate": now}
    (source / CUSTOMER_LANDING.location / "withdrawal.json").write_text(json.dumps(withdrawal))
    assert Run(environment).end().exit_status == 0
    launch("erase_withdrawn")

    [erased] = manifests.published(uri)
    assert erased.erased_at is not None
    assert (erased.rows, erased.files) == (published.rows, ())
    with pytest.raises(LakehouseError) as raised:
        load(s3_lakehouse_uri, version=published.version)
    assert raised.value.code is Code.VERSION_GONE
