"""A proxy before an S3 server: it counts requests, and answers some with a fault."""

from __future__ import annotations

import http.client
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

HTML = b"<html><head><title>Sign in</title></head><body><p>Sign in to go on.</p></body></html>"


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


class Spoilt(Enum):
    """What becomes of the server's answer, which has carried the request out."""

    LOST = "the connection closes without an answer"
    CUT_AFTER_HEAD = "its headers, then the connection closes"
    EMPTY = "its headers and status, but a body of no bytes"
    HALF = "its headers, and half of the body with the length of that half"
    HTML = "status 200 and a page of some other server"
    HEADLESS = "an XML document with the right root and nothing in it"


@dataclass
class S3Proxy:
    """A running proxy.

    Attributes:
        endpoint: Its address.
        requests: What was asked for so far.
        fault: Decides which requests to refuse, and which answers to spoil.
    """

    endpoint: str
    requests: list[Request] = field(default_factory=list)
    fault: Callable[[Request], Fault | Spoilt | None] = lambda request: None


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
            if isinstance(fault, Fault):
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
            connection.close()
            headers = dict(response.getheaders())
            if fault is None or response.status >= 300:
                self.answer(response.status, headers, content)
            else:
                self.spoil(fault, response.status, headers, content)

        def spoil(
            self, spoilt: Spoilt, status: int, headers: dict[str, str], content: bytes
        ) -> None:
            if spoilt is Spoilt.LOST:
                self.close_connection = True
            elif spoilt is Spoilt.CUT_AFTER_HEAD:
                self.close_connection = True
                self.answer(status, headers, b"", length=max(len(content), 1))
            elif spoilt is Spoilt.HTML:
                self.answer(200, {"Content-Type": "text/html"}, HTML)
            elif spoilt is Spoilt.HEADLESS:
                root = re.search(rb"<(\w+)", content.partition(b"?>")[2])
                self.answer(status, headers, b"<%b/>" % root[1] if root else b"")
            else:
                self.answer(
                    status, headers, content[: len(content) // 2] if spoilt is Spoilt.HALF else b""
                )

        def answer(
            self, status: int, headers: dict[str, str], content: bytes, length: int | None = None
        ) -> None:
            self.send_response_only(status)
            if length is None and self.command == "HEAD":
                length, content = int(headers.get("Content-Length", "0")), b""
            for name, value in headers.items():
                if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(content) if length is None else length))
            self.end_headers()
            self.wfile.write(content)
            self.wfile.flush()

        def handle_expect_100(self) -> bool:
            self.send_response_only(100)
            self.end_headers()
            self.wfile.flush()
            return True

        def log_message(self, format: str, *args: object) -> None:
            pass

    for method in ("GET", "PUT", "POST", "HEAD", "DELETE"):
        setattr(Handler, f"do_{method}", Handler.forward)

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
