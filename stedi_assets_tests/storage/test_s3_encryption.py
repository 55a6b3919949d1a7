"""Everything that is written to a bucket is encrypted as the settings say."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from stedi_assets.demo_s3 import S3Server, server
from stedi_assets.tables import DELTA_TABLES, LANDING_TABLES
from stedi_assets_tests.s3_proxy import S3Proxy
from stedi_assets_tests.storage.conftest import GOOD_ROWS, Start, row_counts


@pytest.fixture(scope="module")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """One whose parts speak plain HTTP: SeaweedFS 4.48 reads encrypted objects by nothing else."""
    plain = S3Server.new(tmp_path_factory.mktemp("s3") / "demo")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(server, "mutual_tls", lambda _: {})
        process = plain.start()
    yield plain
    process.kill()
    process.wait()


def test__s3__server_side_encryption(
    run: Start, proxy: S3Proxy, uri: str, s3_server: S3Server
) -> None:
    """Landing, data files and logs alike: boto3, the engine and delta-rs read one setting."""
    done = run(AWS_ENDPOINT_URL=proxy.endpoint, AWS_SERVER_SIDE_ENCRYPTION="AES256")
    assert done.exit_status == 0, done.printed
    assert row_counts(uri, s3_server) == GOOD_ROWS
    written = [request for request in proxy.requests if request.method == "PUT"]
    assert len(written) > len(LANDING_TABLES) + 2 * len(DELTA_TABLES)
    encrypted = [each.headers.get("x-amz-server-side-encryption") for each in written]
    assert set(encrypted) == {"AES256"}
