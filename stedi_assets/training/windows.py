"""Batches of windows, or of whole sequences, as arrays."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple, TypedDict

import numpy as np

from stedi_assets.errors import LakehouseError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from stedi_assets.training.sequences import Sequences

LONGEST = 2**53  # milliseconds, so that sums of durations and times stay whole numbers
DURATION = r"(\d+(?:\.\d+)?) ?(ms|s|min|h)"
MILLISECONDS = {"ms": 1, "s": 1_000, "min": 60_000, "h": 3_600_000}


class Batch(TypedDict):
    """B windows (or sequences) of at most L readings each; shorter ones are filled with zeros.

    Attributes:
        values: Float32 [B, L, columns], in the units of the table.
        time: Int64 [B, L], milliseconds since `start`.
        mask: Bool [B, L], whether there is a reading; the readings come first.
        start: Int64 [B], when the window begins (epoch milliseconds, UTC).
    """

    values: NDArray[np.float32]
    time: NDArray[np.int64]
    mask: NDArray[np.bool_]
    start: NDArray[np.int64]


class Slices(NamedTuple):
    """The rows of windows or sequences.

    Attributes:
        first: The first row of each.
        end: The first row after it.
        start: When it begins (epoch milliseconds, UTC).
    """

    first: NDArray[np.int64]
    end: NDArray[np.int64]
    start: NDArray[np.int64]


@dataclass(frozen=True)
class Windowing:
    """How sequences are cut into windows.

    Attributes:
        window: How long a window is, in milliseconds; None for whole sequences.
        step: The time from the beginning of one to that of the next, in milliseconds.
    """

    window: int | None
    step: int

    def slices(self, sequences: Sequences) -> Slices:
        """The windows of sequences, without those that have no reading.

        The first begins with the first reading; the last ends with the last reading or before.
        """
        time, first, end = sequences.time, sequences.first, sequences.end
        if self.window is None or not len(first):
            return Slices(first, end, time[first])
        start, duration = time[first], time[end - 1] - time[first]
        count = np.where(duration >= self.window, (duration - self.window) // self.step + 1, 0)
        # All sequences end to end on one axis of time, so that one search finds every window.
        length = end - first
        origin = np.cumsum(duration + self.window + 1) - duration
        rows = np.repeat(first - np.cumsum(length) + length, length) + np.arange(length.sum())
        axis = time[rows] + np.repeat(origin - start, length)
        of = np.repeat(np.arange(len(first)), count)
        since = self.step * (np.arange(len(of)) - np.repeat(np.cumsum(count) - count, count))
        begins = np.searchsorted(axis, origin[of] + since)
        ends = np.searchsorted(axis, origin[of] + since + self.window)
        some = ends > begins
        of, since, begins, ends = of[some], since[some], begins[some], ends[some]
        return Slices(rows[begins], rows[ends - 1] + 1, start[of] + since)


def batches(sequences: Sequences, slices: Slices, size: int) -> Iterator[Batch]:
    """Windows or sequences in batches; the last may be smaller."""
    for at in range(0, len(slices.first), size):
        first, end, start = (each[at : at + size] for each in slices)
        place = np.arange((end - first).max())
        mask = place < (end - first)[:, None]
        rows = np.where(mask, first[:, None] + place, len(sequences.time))
        values = sequences.values.take(rows, axis=0)
        time = np.where(mask, sequences.time.take(rows, mode="clip") - start[:, None], 0)
        yield Batch(values=values, time=time, mask=mask, start=start)


def milliseconds(name: str, duration: str | int | timedelta) -> int:
    """A duration in milliseconds.

    Args:
        name: What it is, for the message.
        duration: As "500ms", "2s", "1min" or "1h", a `timedelta`, or a number of milliseconds.

    Raises:
        LakehouseError: If it is none of these, less than a millisecond, or longer than any time.
    """
    found = None
    if isinstance(duration, timedelta):
        found = duration // timedelta(milliseconds=1)
    elif isinstance(duration, int):
        found = duration
    elif isinstance(duration, str) and (written := re.fullmatch(DURATION, duration)):
        found = round(float(written[1]) * MILLISECONDS[written[2]])
    if found is None or not 0 < found < LONGEST:
        raise LakehouseError(
            f"{name}={duration!r} is not a duration. Write it as 500ms, 2s, 1min or 1h."
        )
    return found
