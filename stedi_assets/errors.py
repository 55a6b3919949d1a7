"""The errors that a user can cause and fix."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator


class LakehouseError(Exception):
    """A fault outside the code: its message names the thing and the fix, without personal data.

    Args:
        message: What is wrong and how to fix it.
        transient: Whether it may pass by itself, so that the same again may succeed.
    """

    def __init__(self, message: str, *, transient: bool = False) -> None:
        super().__init__(message)
        self.transient = transient


@contextlib.contextmanager
def fault_ends_process() -> Iterator[None]:
    """Ends a command at a user's fault with its sentence alone, and exit status 1."""
    try:
        yield
    except LakehouseError as error:
        sys.exit(str(error))
