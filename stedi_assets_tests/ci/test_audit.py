"""The audit fails on what it finds, unless that is accepted with a reason, and on no look-up."""

from __future__ import annotations

import datetime
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from stedi_assets_tests.conftest import PROJECT

FOUND = {
    "id": "PYSEC-2030-1",
    "aliases": ["CVE-2030-1"],
    "summary": "It can be made to run anything.",
    "affected": [
        {
            "package": {"name": "dagster", "ecosystem": "PyPI"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"fixed": "1.13.28"}]}],
        }
    ],
}
LOCK = """\
boto3==1.44.1 \\
    --hash=sha256:{0}
dagster==1.13.27 \\
    --hash=sha256:{0}
""".format("0" * 64)


@pytest.fixture
def osv(request: pytest.FixtureRequest) -> Iterator[str]:
    """A database that knows a vulnerability of one package; it answers with a status."""
    status = getattr(request, "param", 200)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            known = asked == {
                "package": {"name": "dagster", "ecosystem": "PyPI"},
                "version": "1.13.27",
            }
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps({"vulns": [FOUND]} if known else {}).encode())

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/v1/query"
        server.shutdown()


NOWHERE = "http://127.0.0.1:9/v1/query"


def audit(
    folder: Path, osv: str, accepted: str = "", *flags: str, ci: bool = False
) -> subprocess.CompletedProcess[str]:
    """Audits a lock file, with what is accepted and a snapshot of OSV in the same folder."""
    (folder / "requirements.txt").write_text(LOCK)
    (folder / "accepted.txt").write_text(accepted)
    files = ("--lock", "requirements.txt", "--accepted", "accepted.txt")
    environment = {name: value for name, value in os.environ.items() if name != "CI"}
    return subprocess.run(
        [
            *(sys.executable, PROJECT / ".ci" / "audit.py", "--osv-url", osv),
            *(*files, "--snapshot", "advisories.json", *flags),
        ],
        cwd=folder,
        env=environment | ({"CI": "true"} if ci else {}),
        capture_output=True,
        text=True,
        check=False,
    )


def test__audit__finds_and_records_what_stands_in_where_osv_is_not_reached(
    osv: str, tmp_path: Path
) -> None:
    found = "FOUND     dagster 1.13.27: CVE-2030-1, PYSEC-2030-1. Fixed in: 1.13.28.\n"
    done = audit(tmp_path, osv, "", "--record")
    assert done.returncode == 1, done.stderr
    assert done.stdout == f"{found}2 dependencies audited, 1 vulnerabilities to fix.\n"

    again = audit(tmp_path, NOWHERE, ci=True)
    assert again.returncode == 1
    assert f"advisories.json, of {datetime.datetime.now(datetime.UTC).date()}" in again.stdout
    assert again.stdout.endswith(done.stdout)

    snapshot = tmp_path / "advisories.json"
    known = json.loads(snapshot.read_text())
    for changed, reason in (
        ({"date": "2020-01-01"}, "more than 180"),
        ({"dependencies": []}, "it lacks boto3 1.44.1, dagster 1.13.27"),
    ):
        snapshot.write_text(json.dumps(known | changed))
        refused = audit(tmp_path, NOWHERE, "CVE-2030-1 Not used.\n")
        assert refused.returncode == 1
        assert reason in refused.stderr


def test__audit__accepted(osv: str, tmp_path: Path) -> None:
    done = audit(tmp_path, osv, "# known\n\nCVE-2030-1 Not used.\nCVE-2029-9 Another.\n")
    assert done.returncode == 0, done.stderr
    assert "accepted  dagster 1.13.27" in done.stdout
    assert "Not used." in done.stdout


def test__audit__accepted_without_a_reason(osv: str, tmp_path: Path) -> None:
    done = audit(tmp_path, osv, "CVE-2030-1\n")
    assert done.returncode == 1
    assert "accepts CVE-2030-1 without a reason" in done.stderr


@pytest.mark.parametrize(
    ("ci", "flags", "status"), [(False, [], 0), (True, [], 1), (True, ["--allow-offline"], 0)]
)
def test__audit__offline(ci: bool, flags: list[str], status: int, tmp_path: Path) -> None:
    done = audit(tmp_path, NOWHERE, "", *flags, ci=ci)
    assert done.returncode == status, done.stderr
    assert done.stdout.startswith(f"NOT AUDITED: {NOWHERE} cannot be reached")


@pytest.mark.parametrize("osv", [503], indirect=True)
def test__audit__service_at_fault(osv: str, tmp_path: Path) -> None:
    done = audit(tmp_path, osv, ci=True)
    assert done.returncode == 1, done.stderr
    assert done.stdout.startswith("NOT AUDITED: ")


def test__audit__lock_that_cannot_be_read(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, PROJECT / ".ci" / "audit.py", "--lock", tmp_path / "nowhere"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "Not audited: " in done.stderr


def test__audit__every_accepted_vulnerability_has_a_reason() -> None:
    listed = (PROJECT / ".ci" / "accepted-vulnerabilities.txt").read_text().splitlines()
    assert all(line.startswith("#") or len(line.split()) > 3 for line in listed if line.strip())
