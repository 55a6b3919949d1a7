"""The embedded engine: Sail, a Spark Connect server in this very process, closed to all others.

Sail listens on loopback and asks nobody who they are: whoever reaches its port runs queries and
code as this user. Loopback keeps out other machines, not other users of this one. So the engine
accepts one connection, this process's own, and stops listening before the first query.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import socket
import stat
import struct
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from stedi_assets.errors import LakehouseError
from stedi_assets.loopback import HOST

if TYPE_CHECKING:
    import grpc
    from pyspark.sql import SparkSession
    from pyspark.sql.connect.client.core import DefaultChannelBuilder

CONNECT_SECONDS = 10
BUFFER_BYTES = 1 << 18
# The path of a Unix socket has at most 103 bytes on macOS, 107 on Linux.
LONGEST_FOLDER_BYTES = 80
CHANNEL_OPTIONS = (
    # gRPC would end an idle connection after 30 minutes, and this one cannot be made again.
    ("grpc.client_idle_timeout_ms", 2**31 - 1),
    # By default it is the path of the Unix socket, which Sail refuses as a host's name.
    ("grpc.default_authority", "localhost"),
)
SO_ATTACH_FILTER = 26  # Linux's, which the socket module does not name
STRANGER = (
    "Another process connected to the embedded engine while it started, so the engine was stopped "
    "before its first query; every table is at its last good version. Find out which user of this "
    "machine connects to other users' ports, then run again."
)
SILENT = (
    f"The embedded engine did not answer within {CONNECT_SECONDS} s of its start. Run again when "
    "the machine is less busy; every table is at its last good version."
)

Address = tuple[str, int]


class EmbeddedEngine:
    """A running engine and the one connection to it.

    PySpark speaks to a Unix socket in a folder of this user, and two threads pass on what it says:
    gRPC cannot choose the port that it connects from, by which Linux admits this connection alone.

    Raises:
        LakehouseError: If another process connected before the engine stopped listening.
    """

    def __init__(self) -> None:
        from pysail.spark import SparkConnectServer

        self._pumps: list[threading.Thread] = []
        self._connection = socket.socket()
        self._connection.bind((HOST, 0))
        self._connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._server = SparkConnectServer(ip=HOST, port=0)
        self._server.start(background=True)
        try:
            self._take(self._server.listening_address)
            self._channel = self._open_channel()
        except BaseException:
            self.stop()
            raise

    def session(self, config: dict[str, Any]) -> SparkSession:
        """The session on the connection; call it once.

        Args:
            config: Settings of the session.
        """
        from pyspark.sql.connect.session import SparkSession as ConnectSession

        # By this, PySpark's functions know that they build expressions for Spark Connect.
        os.environ["SPARK_CONNECT_MODE_ENABLED"] = "1"
        builder = ConnectSession.builder.channelBuilder(_builder_of(self._channel))
        session = builder.config(map=config).create()
        # A lost connection stays lost, so retries would only hide it for minutes.
        session.client.set_retry_policies([])
        return cast("SparkSession", session)

    def stop(self) -> None:
        """Ends the connection and then the engine, which would wait for connections to end."""
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)
        for pump in self._pumps:
            pump.join()
        self._connection.close()
        self._server.stop()

    def _take(self, server: Address) -> None:
        """Connects, stops the server from listening, and makes sure that nobody else connected."""
        [listener] = [fd for fd, end in _sockets() if _listens(end) and _name(end) == server]
        own = _name(self._connection)
        _admit_only(listener, own[1])
        strangers = _cut_off_strangers(server, own)
        self._connection.connect(server)
        give_up = time.monotonic() + CONNECT_SECONDS
        while own not in _peers(server):  # a connection not yet accepted ends with the listener
            if time.monotonic() > give_up:
                raise LakehouseError(SILENT, transient=True)
            time.sleep(0.001)
        nowhere = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        os.dup2(nowhere, listener, inheritable=False)
        os.close(nowhere)
        if strangers + _cut_off_strangers(server, own):
            raise LakehouseError(STRANGER)

    def _open_channel(self) -> grpc.Channel:
        """PySpark's channel, connected through a Unix socket that is gone afterwards."""
        import grpc
        from pyspark.sql.connect.client.core import ChannelBuilder

        options = [*ChannelBuilder.GRPC_DEFAULT_OPTIONS, *CHANNEL_OPTIONS]
        long = len(os.fsencode(tempfile.gettempdir())) > LONGEST_FOLDER_BYTES
        with (
            tempfile.TemporaryDirectory(prefix="stedi-", dir="/tmp" if long else None) as folder,
            socket.socket(socket.AF_UNIX) as listener,
        ):
            path = str(Path(folder) / "engine")
            listener.bind(path)
            listener.listen(1)
            listener.settimeout(CONNECT_SECONDS)
            channel = grpc.insecure_channel(f"unix:{path}", options)
            ready = grpc.channel_ready_future(channel)
            try:
                client, _ = listener.accept()
                for ends in ((client, self._connection), (self._connection, client)):
                    self._pumps.append(threading.Thread(target=_pump, args=ends, daemon=True))
                    self._pumps[-1].start()
                ready.result(timeout=CONNECT_SECONDS)
            except (TimeoutError, grpc.FutureTimeoutError):
                channel.close()
                raise LakehouseError(SILENT, transient=True) from None
        return channel


def _builder_of(channel: grpc.Channel) -> DefaultChannelBuilder:
    """What PySpark asks for a channel, given one that is there already."""
    from pyspark.sql.connect.client.core import DefaultChannelBuilder

    class Builder(DefaultChannelBuilder):
        def toChannel(self) -> grpc.Channel:  # noqa: N802
            return channel

    return Builder(f"sc://{HOST}")


def _pump(source: socket.socket, sink: socket.socket) -> None:
    """Passes on what comes from one socket to another, until either ends; then both end."""
    buffer = memoryview(bytearray(BUFFER_BYTES))
    with contextlib.suppress(OSError):
        while count := source.recv_into(buffer):
            sink.sendall(buffer[:count])
    for end in (source, sink):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


def _sockets() -> Iterator[tuple[int, socket.socket]]:
    """The IPv4 and IPv6 sockets of this process: each descriptor, with a handle of its own."""
    for name in os.listdir("/dev/fd"):
        with contextlib.suppress(OSError):  # what another thread has closed meanwhile
            descriptor = int(name)
            if not stat.S_ISSOCK(os.fstat(descriptor).st_mode):
                continue
            with socket.socket(fileno=os.dup(descriptor)) as end:
                if end.family in (socket.AF_INET, socket.AF_INET6):
                    yield descriptor, end


def _listens(end: socket.socket) -> bool:
    return bool(end.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))


def _name(end: socket.socket) -> Address:
    host, port, *_ = end.getsockname()
    return host.removeprefix("::ffff:"), port


def _accepted(server: Address) -> Iterator[tuple[Address, socket.socket]]:
    """The connections that the server has accepted, each with its other end's address."""
    for _, end in _sockets():
        with contextlib.suppress(OSError):  # not connected
            if _name(end) == server and not _listens(end):
                host, port, *_ = end.getpeername()
                yield (host.removeprefix("::ffff:"), port), end


def _peers(server: Address) -> set[Address]:
    return {peer for peer, _ in _accepted(server)}


def _cut_off_strangers(server: Address, own: Address) -> int:
    """Ends the server's connections that are not ours.

    Returns:
        How many there were.
    """
    strangers = 0
    for peer, end in _accepted(server):
        if peer != own:
            strangers += 1
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
    return strangers


def _admit_only(listener: int, port: int) -> None:
    """Has Linux drop whatever comes to a listener from other ports than one.

    Elsewhere, or where the kernel refuses it, anyone may connect until the listener is closed.
    """
    if sys.platform != "linux":
        return
    program = [
        (0x28, 0, 0, 0),  # load the packet's first 16 bits: its source port
        (0x15, 0, 1, port),  # equal to the port?
        (0x06, 0, 0, 0xFFFFFFFF),  # then take all of it
        (0x06, 0, 0, 0),  # else nothing
    ]
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *each) for each in program))
    filter_program = struct.pack("@HP", len(program), ctypes.addressof(code))
    with socket.socket(fileno=os.dup(listener)) as end, contextlib.suppress(OSError):
        end.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, filter_program)
