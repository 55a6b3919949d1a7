"""Functions of frames, such as rules: what they take, by the names of their parameters."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

# What a rule may take besides tables: the time by which to judge consent (epoch milliseconds, UTC),
# the options of the run and the split.
AS_OF, OPTIONS, SPLIT = "as_of", "options", "split"
# What a recount and a check may take too: everyone who landed and their devices, as `recount` has
# them at the time by which they judge. And a recount: device and phone readings of one millisecond.
PEOPLE, DEVICES, PAIRED = "people", "devices", "paired"
# And a check: a function that shows a column of a frame as its table does, and the value counts of
# its table, which has times (see `value_counts`).
SHOWN, VALUE_COUNTS = "shown", "value_counts"
GIVEN = (AS_OF, OPTIONS, SPLIT, SHOWN)


def applied(
    function: Callable[..., Any],
    read: Callable[[str], Any],
    as_of: int,
    options: Any = None,
    split: Any = None,
    shown: Callable[..., Any] | None = None,
) -> Any:
    """What a rule, a recount or a check's count makes of the tables that its parameters name.

    Args:
        function: The function of frames.
        read: Gives a table's rows by its name.
        as_of: The time by which to judge consent (epoch milliseconds, UTC).
        options: The options of the run.
        split: How the table is split.
        shown: Of a frame and a column of it, the frame with the column as the table shows it.
    """
    given = {AS_OF: as_of, OPTIONS: options, SPLIT: split, SHOWN: shown}
    return function(
        **{name: given[name] if name in given else read(name) for name in parameters(function)}
    )


def parameters(function: Callable[..., Any] | None) -> list[str]:
    """The names of what a function of frames takes."""
    return list(inspect.signature(function).parameters) if function else []
