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
from typing import Any

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


def audit(
    folder: Path, osv: str, accepted: str = "", *flags: str, ci: bool = False
) -> subprocess.CompletedProcess[str]:
    (folder / "requirements.lock").write_text(LOCK)
    (folder / "accepted.txt").write_text(accepted)
    files = {
        "lock": "requirements.lock",
        "accepted": "accepted.txt",
        "snapshot": "advisories.json",
    }
    given = {name: folder / file for name, file in files.items()}
    environment = {name: value for name, value in os.environ.items() if name != "CI"}
    return subprocess.run(
        [
            *(sys.executable, PROJECT / ".ci" / "audit.py", "--osv-url", osv),
            *(part for name, path in given.items() for part in (f"--{name}", path)),
            *flags,
        ],
        env=environment | ({"CI": "true"} if ci else {}),
        capture_output=True,
        text=True,
        check=False,
    )


def test__audit__finds(osv: str, tmp_path: Path) -> None:
    done = audit(tmp_path, osv)
    assert done.returncode == 1, done.stderr
    assert done.stdout == (
        "FOUND     dagster 1.13.27: CVE-2030-1, PYSEC-2030-1. Fixed in: 1.13.28.\n"
        "2 dependencies audited, 1 vulnerabilities to fix.\n"
    )


def test__audit__accepted(osv: str, tmp_path: Path) -> None:
    done = audit(
        tmp_path, osv, "# known\n\nCVE-2030-1 The part is not used.\nCVE-2029-9 Another.\n"
    )
    assert done.returncode == 0, done.stderr
    assert "accepted  dagster 1.13.27" in done.stdout
    assert "The part is not used." in done.stdout


def test__audit__accepted_without_a_reason(osv: str, tmp_path: Path) -> None:
    done = audit(tmp_path, osv, "CVE-2030-1\n")
    assert done.returncode == 1
    assert "accepts CVE-2030-1 without a reason. Write one" in done.stderr


NOWHERE = "http://127.0.0.1:9/v1/query"


def test__audit__offline(tmp_path: Path) -> None:
    done = audit(tmp_path, NOWHERE)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"NOT AUDITED: {NOWHERE} cannot be reached")
    assert audit(tmp_path, NOWHERE, ci=True).returncode == 1
    allowed = audit(tmp_path, NOWHERE, "", "--allow-offline", ci=True)
    assert allowed.returncode == 0
    assert "Nothing was looked up" in allowed.stdout


@pytest.mark.parametrize("osv", [503], indirect=True)
def test__audit__service_at_fault(osv: str, tmp_path: Path) -> None:
    done = audit(tmp_path, osv, ci=True)
    assert done.returncode == 1, done.stderr
    assert done.stdout.startswith("NOT AUDITED: ")


def test__audit__snapshot_stands_in_where_osv_is_not_reached(osv: str, tmp_path: Path) -> None:
    assert audit(tmp_path, osv, "", "--record").returncode == 1
    today = datetime.datetime.now(datetime.UTC).date()
    found = audit(tmp_path, NOWHERE, ci=True)
    assert found.returncode == 1
    assert f"advisories.json, of {today}, from {osv}." in found.stdout
    assert "FOUND     dagster 1.13.27: CVE-2030-1" in found.stdout
    assert audit(tmp_path, NOWHERE, "CVE-2030-1 Not used.\n", ci=True).returncode == 0


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"date": "2020-01-01"}, "more than 180. Record it anew"),
        ({"dependencies": []}, "it lacks boto3 1.44.1, dagster 1.13.27. Record it anew"),
    ],
    ids=["old", "of_another_lock"],
)
def test__audit__snapshot_that_may_not_stand_in(
    changed: dict[str, Any], said: str, osv: str, tmp_path: Path
) -> None:
    audit(tmp_path, osv, "", "--record")
    snapshot = tmp_path / "advisories.json"
    snapshot.write_text(json.dumps(json.loads(snapshot.read_text()) | changed))
    done = audit(tmp_path, NOWHERE, "CVE-2030-1 Not used.\n")
    assert done.returncode == 1
    assert said in done.stderr


def test__audit__lock_that_cannot_be_read(osv: str, tmp_path: Path) -> None:
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
