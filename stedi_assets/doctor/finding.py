"""What an examination finds."""

from __future__ import annotations

import enum
from dataclasses import dataclass

AGAIN = "Then run `stedi doctor` again."


class State(enum.Enum):
    """What became of an examination, and the colour that shows it."""

    OK = "green"
    OFF = "dim"
    WARNING = "yellow"
    FAULT = "red"


@dataclass(frozen=True)
class Finding:
    """What an examination found: what is so and, of a warning, its fix."""

    state: State
    said: str
