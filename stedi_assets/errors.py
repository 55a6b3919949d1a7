"""The errors that a user can cause and mend."""

from __future__ import annotations

import dagster as dg


class LakehouseError(dg.Failure):
    """A fault outside the code: its message names the thing and the mend, without personal data."""

    def __init__(self, message: str) -> None:
        super().__init__(description=message, allow_retries=False)

    def __str__(self) -> str:
        return self.description or ""
