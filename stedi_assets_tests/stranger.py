"""A process of another user that tries the ports of this one: `nobody`, where we are root.

As a script `watch` looks for new ports of a user until its standard input ends, and asks each for
Spark Connect; `try` sends HTTP requests to ports. Both say as JSON what they found.
"""

from __future__ import annotations

import http.client
import json
import os
import pwd
import select
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LISTENS = "0A"
FRAME_BYTES = 9
HEADERS, DATA, SETTINGS = 1, 0, 4
END_HEADERS, END_STREAM = 4, 1
REQUEST = {
    ":method": "POST",
    ":scheme": "http",
    ":path": "/spark.connect.SparkConnectService/AnalyzePlan",
    ":authority": "localhost",
    "content-type": "application/grpc",
    "te": "trailers",
}


class Stranger:
    """What a stranger has found by now, once it was asked to end."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.seen: list[int] = []
        self.answered: list[int] = []

    def end(self) -> None:
        """Ends it and takes down what it found."""
        said, _ = self._process.communicate("", timeout=30)
        found = json.loads(said)
        self.seen, self.answered = found["seen"], found["answered"]


@contextmanager
def watching() -> Iterator[Stranger]:
    """Starts a stranger, as `nobody` where this process may change its user."""
    command = [sys.executable, "-I", __file__, "watch", str(os.getuid())]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "watching\n"
        try:
            yield Stranger(process)
        finally:
            process.kill()


def served(ports: list[int], requests: list[tuple[str, str]]) -> list[str]:
    """What is served to another user of all requests to all ports, by HTTP and by HTTPS.

    Args:
        ports: Ports of loopback.
        requests: Method and path of each.
    """
    given = json.dumps({"ports": ports, "requests": requests})
    command = [sys.executable, "-I", __file__, "try", given]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    found: list[str] = json.loads(done.stdout)
    return found


def answers(port: int) -> bool:
    """Whether a Spark Connect server answers a request at a port of loopback."""
    headers = b"".join(
        b"\0" + bytes([len(name)]) + name.encode() + bytes([len(value)]) + value.encode()
        for name, value in REQUEST.items()
    )
    request = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + _frame(SETTINGS, 0, 0, b"")
    request += _frame(HEADERS, END_HEADERS, 1, headers)
    request += _frame(DATA, END_STREAM, 1, bytes(5))  # a message of no bytes
    received = b""
    with socket.socket() as connection:
        connection.settimeout(0.2)
        try:
            connection.connect(("127.0.0.1", port))
            connection.sendall(request)
            while chunk := connection.recv(4096):
                received += chunk
                if HEADERS in _kinds(received):
                    return True
        except OSError:
            return False
    return False


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    head = len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big")
    return head + payload


def _kinds(received: bytes) -> Iterator[int]:
    while len(received) >= FRAME_BYTES:
        yield received[3]
        received = received[FRAME_BYTES + int.from_bytes(received[:3], "big") :]


def _ports(user: str) -> set[int]:
    entries = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
    return {
        int(entry[1].partition(":")[2], 16)
        for entry in entries
        if entry[3] == LISTENS and entry[7] == user
    }


def _become_nobody() -> None:
    "".encode("idna")  # loads what is in a folder that the other user may not enter
    if os.getuid() == 0:
        nobody = pwd.getpwnam("nobody")
        os.setgroups([])
        os.setgid(nobody.pw_gid)
        os.setuid(nobody.pw_uid)


def _watch(user: str) -> None:
    known = _ports(user)
    print("watching", flush=True)
    seen, answered = [], []
    while not select.select([sys.stdin], [], [], 0)[0]:
        for port in _ports(user) - known:
            known.add(port)
            seen.append(port)
            if answers(port):
                answered.append(port)
    print(json.dumps({"seen": seen, "answered": answered}))


def _try(given: str) -> None:
    asked = json.loads(given)
    found = [f"gRPC {port}" for port in asked["ports"] if answers(port)]
    for port in asked["ports"]:
        for method, path in asked["requests"]:
            for scheme in ("http", "https"):
                status = _status(scheme, port, method, path)
                if status is not None and status < 400:
                    found.append(f"{method} {scheme}://127.0.0.1:{port}{path}: {status}")
    print(json.dumps(found))


def _status(scheme: str, port: int, method: str, path: str) -> int | None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    if scheme == "https":
        anyone = ssl._create_unverified_context()
        connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=5, context=anyone)
    try:
        connection.request(method, path, "x" if method in ("PUT", "POST") else None)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


if __name__ == "__main__":
    _become_nobody()
    {"watch": _watch, "try": _try}[sys.argv[1]](sys.argv[2])
