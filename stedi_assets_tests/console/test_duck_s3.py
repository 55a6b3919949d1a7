"""The same queries over a lakehouse on a real S3 server."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from stedi_assets import storage
from stedi_assets.console import duck
from stedi_assets.tables.customer import CUSTOMER_LANDING, CUSTOMER_TRUSTED
from stedi_assets_tests.console.conftest import ANN, rows

BOB = {"email": "bob@example.com", "serialNumber": "device-bob"}


@pytest.fixture
def landed(s3_lakehouse_uri: str, tmp_path: Path) -> str:
    """The address of a lakehouse in which Ann and Bob landed and Ann is trusted."""
    landing = storage.open_folder(f"{s3_lakehouse_uri}/{CUSTOMER_LANDING.location}")
    for name, content in {
        "ann.json": json.dumps(ANN).encode() + b"\nnot JSON\n",
        "bob.json.gz": gzip.compress(json.dumps(BOB).encode()),
    }.items():
        (tmp_path / name).write_bytes(content)
        landing.upload(tmp_path / name, name, "")
    trusted = f"{s3_lakehouse_uri}/{CUSTOMER_TRUSTED.location}"
    write_deltalake(trusted, pa.Table.from_pylist([ANN]))
    return s3_lakehouse_uri


def test__query__reads_landing_and_delta_and_writes_neither(landed: str) -> None:
    found = rows(
        landed,
        "SELECT l.email, t.serialNumber FROM customer_landing AS l "
        "LEFT JOIN customer_trusted AS t USING (email) ORDER BY 1",
    )
    assert found == [("ann@example.com", "device-ann"), ("bob@example.com", None), (None, None)]

    with pytest.raises(Exception, match="own files are open, for reading"):
        duck.connect(landed).execute("COPY (SELECT 1) TO 'lakehouse://customer/landing/new.json'")
    landing = storage.open_folder(f"{landed}/{CUSTOMER_LANDING.location}")
    assert [file.name for file in landing.json_lines()] == ["ann.json", "bob.json.gz"]
