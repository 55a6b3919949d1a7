"""The Dagster webserver behind a guard, since it has no authentication.

Any web page can make the browser send requests to loopback, and a DNS name that its owner points at
127.0.0.1 makes them same-origin. The guard accepts requests of the UI itself and of programs, and
refuses those that another site can make a browser send. Dagster has no hook for middleware, so the
server class in `dagster_webserver` is replaced by a subclass before its command line starts.
"""

from __future__ import annotations

import sys

import dagster_webserver.app
import dagster_webserver.cli
from dagster_webserver.webserver import DagsterWebserver
from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocketClose

from stedi_assets.errors import fault_ends_process
from stedi_assets.settings import Settings

LOOPBACK_NAMES = ("127.0.0.1", "localhost", "[::1]")
READS = ("GET", "HEAD", "OPTIONS")
GRAPHQL = "/graphql"


class Guard:
    """ASGI middleware that refuses requests from pages of other sites or under other host names.

    Args:
        app: Handles the accepted requests.
        hosts: Host names of the UI besides loopback, each with its port unless that is the default
            of the scheme.
    """

    def __init__(self, app: ASGIApp, hosts: tuple[str, ...]) -> None:
        self._app = app
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a refused request with 403, or closes its WebSocket."""
        refused = self._refusal(scope) if scope["type"] in ("http", "websocket") else None
        if refused is None:
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await WebSocketClose(reason=refused)(scope, receive, send)
        else:
            await PlainTextResponse(f"{refused}\n", status_code=403)(scope, receive, send)

    def _refusal(self, scope: Scope) -> str | None:
        """Why a request is refused; None if it is accepted."""
        headers = Headers(scope=scope)
        hosts, origins = headers.getlist("host"), headers.getlist("origin")
        allowed = {f"{name}:{scope['server'][1]}" for name in LOOPBACK_NAMES} | {*self._hosts}
        if len(hosts) != 1 or hosts[0].lower() not in allowed:
            return (
                "The Dagster UI is not served under this name. Open it at "
                f"{' or '.join(sorted(allowed))}, or add the name to STEDI_WEBSERVER_HOSTS."
            )
        own = [f"{scheme}://{hosts[0].lower()}" for scheme in ("http", "https")]
        if origins and [origin.lower() for origin in origins] not in ([each] for each in own):
            return "A page of another origin may not send requests to the Dagster UI."
        if scope["type"] == "websocket":
            return None
        return _refusal_of_http(scope["method"], scope["path"], headers)


def _refusal_of_http(method: str, path: str, headers: Headers) -> str | None:
    site = headers.get("sec-fetch-site", "none")
    # A link or a bookmark opens a page; images, frames and scripts are loaded by the other site.
    opened = (headers.get("sec-fetch-mode"), headers.get("sec-fetch-dest"))
    navigates = method == "GET" and opened == ("navigate", "document")
    if site not in ("same-origin", "none") and not navigates:
        return "A page of another site may only link to the Dagster UI."
    if method not in READS:
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json":
            return "The Dagster UI accepts requests that change something as application/json only."
    elif path.rstrip("/").endswith(GRAPHQL):
        # Dagster answers these with GraphiQL's page, whatever query they have.
        is_page = method == "GET" and "text/html" in headers.get("accept", "")
        return None if is_page else "GraphQL is answered to POST requests only."
    return None


class GuardedWebserver(DagsterWebserver):
    """Dagster's webserver behind the guard."""

    def build_middleware(self) -> list[Middleware]:
        """The guard, then Dagster's own."""
        hosts = Settings.from_environment().webserver_hosts
        return [Middleware(Guard, hosts=hosts), *super().build_middleware()]

    def make_security_headers(self) -> dict[str, str]:
        """Dagster's own, and one that forbids frames."""
        return {**super().make_security_headers(), "X-Frame-Options": "DENY"}


def main() -> None:
    """Runs `dagster-webserver`, with its options, behind the guard."""
    with fault_ends_process():
        Settings.from_environment()  # before Dagster's own start
    if vars(dagster_webserver.app).get("DagsterWebserver") is not DagsterWebserver:
        sys.exit(
            "This release of dagster-webserver builds its server differently, so the guard cannot "
            "be put before it. Install the release that uv.lock names."
        )
    vars(dagster_webserver.app)["DagsterWebserver"] = GuardedWebserver
    dagster_webserver.cli.main()


if __name__ == "__main__":
    main()
