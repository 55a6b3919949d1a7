"""What the Dagster webserver answers, and what a foreign page cannot make a browser send."""

from __future__ import annotations

import http.client
import http.server
import json
import os
import re
import socket
import threading
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from stedi_assets import webserver
from stedi_assets_tests import ui

pytestmark = pytest.mark.slow

MUTATION = """mutation {
    reportRunlessAssetEvents(eventParams: {
        eventType: ASSET_MATERIALIZATION, assetKey: {path: ["customer_landing"]}
    }) { __typename }
}"""
MATERIALIZED = """{
    assetNodes(assetKeys: [{path: ["customer_landing"]}]) { assetMaterializations { runId } }
}"""
JSON = {"Content-Type": "application/json"}
IN_QUERY = f"/graphql?{urllib.parse.urlencode({'query': MUTATION})}"
AS_JSON = json.dumps({"query": MUTATION})
FOREIGN = "http://evil.example"
CROSS = {"Sec-Fetch-Site": "cross-site"}
NAVIGATION = {**CROSS, "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
WEBSOCKET = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Protocol": "graphql-ws",
}


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Host and port of a UI for all tests."""
    with ui.served(tmp_path_factory.mktemp("webserver")) as served:
        yield served.removeprefix("http://")


@pytest.mark.parametrize(
    ("method", "path", "headers", "body"),
    [
        ("GET", IN_QUERY, {}, ""),
        ("HEAD", IN_QUERY, {}, ""),
        ("GET", IN_QUERY, {**NAVIGATION}, ""),
        ("GET", IN_QUERY.replace("graphql", "%67raphql"), {}, ""),
        ("GET", "/graphql?query={version}", {}, ""),
        ("POST", IN_QUERY, {}, ""),
        ("POST", "/graphql", {"Content-Type": "text/plain"}, AS_JSON),
        ("POST", "/graphql", {"Content-Type": "text/plain; application/json"}, AS_JSON),
        ("POST", "/graphql", {"Content-Type": "application/graphql"}, MUTATION),
        ("POST", IN_QUERY, FORM, ""),
        ("POST", "/graphql", {**JSON, "Origin": FOREIGN}, AS_JSON),
        ("POST", "/graphql", {**JSON, "Origin": "null"}, AS_JSON),
        ("POST", "/graphql", {**JSON, "Origin": "http://127.0.0.1:1"}, AS_JSON),
        ("POST", "/graphql", {**JSON, "Origin": "http://localhost:{port}"}, AS_JSON),
        ("POST", "/graphql", {**JSON, **CROSS}, AS_JSON),
        ("POST", "/graphql", {**JSON, **NAVIGATION}, AS_JSON),
        ("POST", "/graphql", {**JSON, "Sec-Fetch-Site": "same-site"}, AS_JSON),
        ("POST", "/graphql", {**JSON, "Host": "evil.example:{port}"}, AS_JSON),
        ("POST", "/graphql", {**JSON, "Host": "127.0.0.1"}, AS_JSON),
        ("POST", "/report_asset_materialization/customer_landing", FORM, "{}"),
        ("POST", "/report_asset_materialization/customer_landing?description=x", {}, ""),
        ("OPTIONS", "/graphql", {"Origin": FOREIGN}, ""),
        ("GET", "/", {"Host": "evil.example:{port}"}, ""),
        ("GET", "/server_info", {"Host": "evil.example:{port}"}, ""),
        ("GET", "/", {**CROSS, "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}, ""),
        ("GET", "/", {**NAVIGATION, "Sec-Fetch-Dest": "iframe"}, ""),
        ("GET", "/graphql", {**WEBSOCKET, "Origin": FOREIGN}, ""),
        ("GET", "/graphql", {**WEBSOCKET, "Origin": "null"}, ""),
        ("GET", "/graphql", {**WEBSOCKET, "Origin": "http://localhost:1"}, ""),
        ("GET", "/graphql", {**WEBSOCKET, "Host": "evil.example:{port}"}, ""),
    ],
)
def test__webserver__refuses(
    address: str, method: str, path: str, headers: dict[str, str], body: str
) -> None:
    status, said = _ask(address, method, path, headers, body)
    assert status == 403, said
    assert _materializations(address) == 0


@pytest.mark.parametrize(
    ("method", "path", "headers", "body"),
    [
        ("GET", "/", {}, ""),
        ("GET", "/", NAVIGATION, ""),
        ("GET", "/assets/customer_landing", {"Sec-Fetch-Site": "none"}, ""),
        ("GET", "/server_info", {"Host": "localhost:{port}"}, ""),
        ("GET", "/server_info", {"Host": "[::1]:{port}"}, ""),
        ("GET", "/graphql", {"Accept": "text/html"}, ""),
        ("POST", "/graphql", JSON, '{"query": "{version}"}'),
        ("POST", "/graphql", {**JSON, "Origin": "http://{address}"}, '{"query": "{version}"}'),
        (
            "POST",
            "/graphql",
            {"Content-Type": "application/json; charset=utf-8", "Sec-Fetch-Site": "same-origin"},
            '{"query": "{version}"}',
        ),
    ],
)
def test__webserver__answers(
    address: str, method: str, path: str, headers: dict[str, str], body: str
) -> None:
    status, said = _ask(address, method, path, headers, body)
    assert status == 200, said


@pytest.mark.parametrize("headers", [{}, {"Origin": "http://{address}"}])
def test__webserver__opens_its_own_websockets(address: str, headers: dict[str, str]) -> None:
    assert _ask(address, "GET", "/graphql", {**WEBSOCKET, **headers})[0] == 101


@pytest.mark.parametrize("hosts", [["127.0.0.1:{port}", "evil.example:{port}"], []])
def test__webserver__refuses_other_than_one_host(address: str, hosts: list[str]) -> None:
    host, port = address.split(":")
    lines = ["GET /server_info HTTP/1.1", *(f"Host: {each}".format(port=port) for each in hosts)]
    with socket.create_connection((host, int(port)), 10) as connection:
        connection.sendall("\r\n".join([*lines, "Connection: close", "", ""]).encode())
        answer = b"".join(iter(lambda: connection.recv(4096), b""))
    assert answer.split()[1] in (b"403", b"400")


FOREIGN_PAGE = """<html><body>
<img src="http://{address}{in_query}">
<iframe name="frame" src="http://{address}/"></iframe>
<form method="post" action="http://{address}{in_query}" target="frame"><button>x</button></form>
<script>
const url = "http://{address}/graphql", body = JSON.stringify({{query: {mutation}}});
const socket = new Promise((end) => {{
    const each = new WebSocket("ws://{address}/graphql", "graphql-ws");
    each.onopen = () => end("open"); each.onerror = () => end("refused");
}});
document.querySelector("button").click();
window.ended = (async () => {{
    const types = ["text/plain", "application/json"];
    await Promise.allSettled(types.flatMap((type) => ["cors", "no-cors"].map((mode) =>
        fetch(url, {{method: "POST", mode, body, headers: {{"Content-Type": type}}}}))));
    await Promise.allSettled([fetch("http://{address}{in_query}", {{mode: "no-cors"}})]);
    return await socket;
}})();
</script></body></html>"""


@pytest.mark.skipif(not ui.CHROMIUM.exists() and not os.environ.get("CI"), reason="no Chromium")
@pytest.mark.parametrize("site", ["127.0.0.1", "localhost", "evil.example"])
def test__browser__foreign_page_changes_nothing(address: str, site: str) -> None:
    page_text = FOREIGN_PAGE.format(
        address=address, in_query=IN_QUERY, mutation=json.dumps(MUTATION)
    )
    with _serving(page_text) as port, ui.opened() as page:
        page.route("http://evil.example/**", lambda route: route.fulfill(body=page_text))
        where = "http://evil.example/" if site == "evil.example" else f"http://{site}:{port}/"
        page.goto(where)
        page.wait_for_load_state("networkidle")
        assert page.evaluate("window.ended") == "refused"
    assert _materializations(address) == 0


def test__mutation__is_one(address: str) -> None:
    """The tests above could not fail otherwise; it comes after them."""
    assert _ask(address, "POST", "/graphql", JSON, AS_JSON)[0] == 200
    assert _materializations(address) == 1


@pytest.mark.parametrize("hosts", ["http://dagster.example.com", "a b", "host:port", "*"])
def test__hosts__that_are_none(hosts: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEDI_WEBSERVER_HOSTS", hosts)
    with pytest.raises(SystemExit, match=re.escape(f"STEDI_WEBSERVER_HOSTS has {hosts}")):
        webserver.main()


def _ask(
    address: str, method: str, path: str, headers: dict[str, str], body: str = ""
) -> tuple[int, str]:
    """The status and the beginning of the body of what a request as curl sends it is answered."""
    connection = http.client.HTTPConnection(address, timeout=30)
    port = address.partition(":")[2]
    filled = {name: text.format(address=address, port=port) for name, text in headers.items()}
    connection.request(method, path, body or None, filled)
    with connection.getresponse() as answer:
        return answer.status, "" if answer.status == 101 else answer.read(300).decode()


def _materializations(address: str) -> int:
    """How many materialisations of customer_landing the history holds."""
    _, said = _ask(address, "POST", "/graphql", JSON, json.dumps({"query": MATERIALIZED}))
    [node] = json.loads(said)["data"]["assetNodes"]
    return len(node["assetMaterializations"])


@contextmanager
def _serving(page: str) -> Iterator[int]:
    """The port of a server whose every answer is one page."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(page.encode())

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()
