"""Answers of AWS that moto does not give, put in the place of the network."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from typing import Any

from botocore.awsrequest import AWSResponse

from stedi_assets.storage import aws_settings


class _Body(io.BytesIO):
    def stream(self, **_: Any) -> Iterator[bytes]:
        yield self.read()


def answer(operation: str, status: int, content: dict[str, Any], times: int = 1000) -> None:
    """Lets clients made from now on get an answer instead of asking.

    Args:
        operation: Service and operation, as `glue.UpdateTable`.
        status: The HTTP status.
        content: The answer's JSON.
        times: How often; after that the server is asked.
    """
    left = [times]

    def instead(**_: Any) -> AWSResponse | None:
        left[0] -= 1
        if left[0] < 0:
            return None
        return AWSResponse("", status, {}, _Body(json.dumps(content).encode()))

    _hook(f"before-send.{operation}", instead)


def refuse(operation: str, code: str, message: str = "", times: int = 1000) -> None:
    """Lets clients made from now on be refused with an error of AWS."""
    answer(operation, 400, {"__type": code, "message": message}, times)


def first(operation: str, act: Callable[[], None]) -> None:
    """Does something just before the first such request of clients made from now on."""
    left = [act]

    def before(**_: Any) -> None:
        if left:
            left.pop()()

    _hook(f"before-call.{operation}", before)


def requests(operation: str) -> list[dict[str, Any]]:
    """The parameters of such requests, of clients made from now on, as they come."""
    seen: list[dict[str, Any]] = []
    _hook(f"provide-client-params.{operation}", lambda params, **_: seen.append(dict(params)))
    return seen


def _hook(event: str, handler: Callable[..., Any]) -> None:
    aws_settings.found().session.events.register(event, handler)
