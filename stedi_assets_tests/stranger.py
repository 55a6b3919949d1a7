"""A process of another user that watches for ports of ours, and asks whatever answers there.

Run as a script, with a user's id and the ids of ports to leave alone; it ends with its standard
input, and then says how many ports it saw and at how many a Spark Connect server answered.
"""

from __future__ import annotations

import json
import os
import pwd
import select
import socket
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
    command = [sys.executable, "-I", __file__, str(os.getuid())]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "watching\n"
        try:
            yield Stranger(process)
        finally:
            process.kill()


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


def _watch(user: str) -> None:
    if os.getuid() == 0:
        nobody = pwd.getpwnam("nobody")
        os.setgroups([])
        os.setgid(nobody.pw_gid)
        os.setuid(nobody.pw_uid)
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


if __name__ == "__main__":
    _watch(sys.argv[1])
