"""The embedded engine: Sail, a Spark Connect server in this very process, closed to all others.

Sail has no authentication: whoever reaches its port on loopback, so any user of this machine, runs
queries and code as this user. So the engine accepts one connection, this process's own, and stops
listening before the first query.

On Linux nobody else gets in at any time: Sail's `accept` is suspended until the kernel drops what
does not come from our port, and what connected before is closed. On other systems anyone may
connect for the milliseconds until the listener is closed; then the engine is stopped.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import socket
import stat
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from typing_extensions import override

from stedi_assets.engine import linux
from stedi_assets.errors import Code, LakehouseError
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

    PySpark connects to a Unix socket in a folder of this user, which two threads join to the
    engine's: gRPC cannot choose its source port, by which Linux admits this connection alone.

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
        # Without a stop a process would never end: PySpark waits at exit for an answer about its
        # caches, when the pumps are gone.
        atexit.register(self.stop)
        try:
            with ThreadPoolExecutor(1) as starter:
                held = starter.submit(self._start).result()
            self._take(self._server.listening_address, held)
            self._channel = self._open_channel()
        except BaseException:
            self.stop()
            raise

    def session(self, config: dict[str, Any]) -> SparkSession:
        """The session on the connection, with settings; call it once."""
        from pyspark.sql.connect.session import SparkSession as ConnectSession

        builder = ConnectSession.builder.channelBuilder(_builder_of(self._channel))
        session = builder.config(map=config).create()
        # A lost connection stays lost, so retries would only hide it for minutes.
        session.client.set_retry_policies([])
        return cast("SparkSession", session)

    @property
    def running(self) -> bool:
        """Whether it has not been stopped."""
        return bool(self._server.running)

    def stop(self) -> None:
        """Ends the connection and then the engine, which waits for connections to end."""
        atexit.unregister(self.stop)
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)
        for pump in self._pumps:
            pump.join()
        self._connection.close()
        self._server.stop()

    def _start(self) -> int | None:
        # In its cluster modes Sail's workers accept connections too, and continue to.
        alone = os.environ.get("SAIL_MODE", "local") == "local"
        held = linux.hold_accept() if alone else None
        self._server.start(background=True)
        return held

    def _take(self, server: Address, held: int | None) -> None:
        """Connects, stops the server from listening, and makes sure that nobody else connected."""
        listens = (socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
        ours = ((fd, end) for fd, end in _sockets() if _name(end) == server)
        [listener] = [fd for fd, end in ours if end.getsockopt(*listens)]
        own = _name(self._connection)
        linux.admit_only(listener, own[1])
        if held is not None:
            _drop_waiting(listener)
        try:
            self._connection.connect(server)
            if held is not None:
                linux.let_accept(held, CONNECT_SECONDS)
            # A connection that is not accepted yet would end with the listener.
            give_up = time.monotonic() + CONNECT_SECONDS
            while own not in {peer for peer, _ in _accepted(server)}:
                if time.monotonic() > give_up:
                    raise TimeoutError
                time.sleep(0.001)
            if held is not None:  # it finds nobody, after which Sail no longer asks
                linux.let_accept(held, CONNECT_SECONDS)
        except TimeoutError:
            raise LakehouseError(SILENT, Code.ENGINE_BUSY) from None
        finally:
            # Sail keeps its descriptor, but of a socket that nobody can connect to.
            with _unix_listener() as (nowhere, _):
                nowhere.setblocking(False)
                os.dup2(nowhere.fileno(), listener, inheritable=False)
            if held is not None:
                os.close(held)
        if _cut_off_strangers(server, own):
            raise LakehouseError(STRANGER, Code.ENGINE_SETUP)

    def _open_channel(self) -> grpc.Channel:
        """PySpark's channel, connected through a Unix socket that is gone afterwards."""
        import grpc
        from pyspark.sql.connect.client.core import ChannelBuilder

        options = [*ChannelBuilder.GRPC_DEFAULT_OPTIONS, *CHANNEL_OPTIONS]
        with _unix_listener() as (listener, path):
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
                raise LakehouseError(SILENT, Code.ENGINE_BUSY) from None
        return channel


@contextlib.contextmanager
def _unix_listener() -> Iterator[tuple[socket.socket, str]]:
    """A socket that listens at a path, which only this user can reach and which is gone later."""
    long = len(os.fsencode(tempfile.gettempdir())) > LONGEST_FOLDER_BYTES
    with (
        tempfile.TemporaryDirectory(prefix="stedi-", dir="/tmp" if long else None) as folder,
        socket.socket(socket.AF_UNIX) as listener,
    ):
        path = str(Path(folder) / "engine")
        listener.bind(path)
        listener.listen(1)
        yield listener, path


def _builder_of(channel: grpc.Channel) -> DefaultChannelBuilder:
    """What PySpark asks for a channel, given one that is there already."""
    from pyspark.sql.connect.client.core import DefaultChannelBuilder

    class Builder(DefaultChannelBuilder):
        @override
        def toChannel(self) -> grpc.Channel:
            return channel

    return Builder(f"sc://{HOST}")


def _pump(source: socket.socket, sink: socket.socket) -> None:
    """Copies what one socket receives to another, until either ends; then both end."""
    buffer = memoryview(bytearray(BUFFER_BYTES))
    with contextlib.suppress(OSError):
        while count := source.recv_into(buffer):
            sink.sendall(buffer[:count])
    for end in (source, sink):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


def _sockets() -> Iterator[tuple[int, socket.socket]]:
    """The IPv4 and IPv6 sockets of this process: each descriptor, with a handle of its own."""
    for path in Path("/dev/fd").iterdir():
        with contextlib.suppress(OSError):  # what another thread has closed meanwhile
            descriptor = int(path.name)
            if not stat.S_ISSOCK(os.fstat(descriptor).st_mode):
                continue
            with socket.socket(fileno=os.dup(descriptor)) as end:
                if end.family in (socket.AF_INET, socket.AF_INET6):
                    yield descriptor, end


def _name(end: socket.socket) -> Address:
    host, port, *_ = end.getsockname()
    return host.removeprefix("::ffff:"), port


def _accepted(server: Address) -> Iterator[tuple[Address, socket.socket]]:
    """The connections that the server has accepted, each with its other end's address."""
    for _, end in _sockets():
        if _name(end) == server:
            with contextlib.suppress(OSError):  # by the listener, or one that has ended
                host, port, *_ = end.getpeername()
                yield (host.removeprefix("::ffff:"), port), end


def _drop_waiting(listener: int) -> None:
    """Ends the connections that wait to be accepted."""
    with (
        socket.socket(fileno=os.dup(listener)) as end,
        contextlib.suppress(BlockingIOError),  # there is none left
    ):
        while True:
            end.accept()[0].close()


def _cut_off_strangers(server: Address, own: Address) -> bool:
    """Ends the server's connections that are not ours, and returns whether there were any."""
    found = False
    for peer, end in _accepted(server):
        if peer != own:
            found = True
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
    return found
