"""A proxy before an S3 server: it counts requests, and answers some with a fault."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Request:
    """What a client asked for."""

    method: str
    path: str
    headers: dict[str, str]


@dataclass(frozen=True)
class Fault:
    """What to answer instead of asking the server."""

    status: int
    code: str


@dataclass
class S3Proxy:
    """A running proxy.

    Attributes:
        endpoint: Its address.
        requests: What was asked for so far.
        fault: Decides which requests to refuse.
    """

    endpoint: str
    requests: list[Request] = field(default_factory=list)
    fault: Callable[[Request], Fault | None] = lambda request: None


@contextmanager
def s3_proxy(server: str) -> Iterator[S3Proxy]:
    """Stands before the server at an address until the block ends."""
    host = urlsplit(server).netloc

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # Headers and body leave in one packet, else they wait for a delayed acknowledgement.
        wbufsize = -1

        def forward(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            asked = Request(self.command, self.path, dict(self.headers))
            proxy.requests.append(asked)
            fault = proxy.fault(asked)
            if fault:
                answer = f"<Error><Code>{fault.code}</Code><Message>Injected</Message></Error>"
                self.answer(fault.status, {"Content-Type": "application/xml"}, answer.encode())
                return
            try:
                # The signature covers the Host that the client knows, so headers pass unchanged.
                connection = http.client.HTTPConnection(host)
                headers = {k: v for k, v in self.headers.items() if k != "Expect"}
                connection.request(self.command, self.path, body, headers)
                response = connection.getresponse()
                content = response.read()
            except OSError:
                self.close_connection = True
                return
            self.answer(response.status, dict(response.getheaders()), content)
            connection.close()

        def answer(self, status: int, headers: dict[str, str], content: bytes) -> None:
            self.send_response_only(status)
            length = str(len(content))
            if self.command == "HEAD":
                length = headers.get("Content-Length", "0")
            for name, value in headers.items():
                if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                    self.send_header(name, value)
            self.send_header("Content-Length", length)
            self.end_headers()
            self.wfile.write(content)
            self.wfile.flush()

        def handle_expect_100(self) -> bool:
            self.send_response_only(100)
            self.end_headers()
            self.wfile.flush()
            return True

        do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = forward  # noqa: N815  # what http.server calls

        def log_message(self, format: str, *args: object) -> None:
            pass

    class Listener(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128

        def handle_error(self, request: object, client_address: object) -> None:
            """A client that has gone away is no news."""

    with Listener(("127.0.0.1", 0), Handler) as listener:
        proxy = S3Proxy(f"http://127.0.0.1:{listener.server_port}")
        threading.Thread(target=listener.serve_forever, daemon=True).start()
        yield proxy
        listener.shutdown()
