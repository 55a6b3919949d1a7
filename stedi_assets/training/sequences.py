"""Sequences of a device's readings, streamed from files that are in order of time, not of device.

The table's time is cut into spans of about as many rows each. A sequence belongs to the span in
which it begins: who reads a span looks back by the gap, to know which sequences began before, and
on until those of the span have ended. So spans can be read in any order and by any worker, and what
is in memory is one span and the sequences that begin in it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from stedi_assets.training.versions import DEVICE, TIME, File

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

SPAN_ROWS = 1 << 19
# How far to look beyond a span for the ends of its sequences, in gaps; then twice as far.
REACH = 8


class Span(NamedTuple):
    """A span of time in which sequences begin.

    Attributes:
        first: Its first millisecond (epoch milliseconds, UTC).
        end: The first after it.
    """

    first: int
    end: int


@dataclass(frozen=True)
class Sequences:
    """The sequences that begin in a span: N rows by device and time, S sequences.

    Attributes:
        values: Float32 [N + 1, columns]; the last row is zeros, to fill batches with.
        time: Int64 [N], epoch milliseconds, UTC.
        first: Int64 [S], the first row of each.
        end: Int64 [S], the first row after it.
    """

    values: NDArray[np.float32]
    time: NDArray[np.int64]
    first: NDArray[np.int64]
    end: NDArray[np.int64]


@dataclass(frozen=True)
class Readings:
    """The rows to make sequences of.

    Attributes:
        dataset: The table.
        where: Which of its rows; None for all.
        columns: The columns of values.
        gap: The longest time between two readings of a sequence, in milliseconds.
    """

    dataset: ds.Dataset
    where: ds.Expression | None
    columns: Sequence[str]
    gap: int

    def sequences(self, span: Span, last: int) -> Sequences:
        """The sequences that begin in a span.

        Args:
            span: The span.
            last: The time of the table's last reading (epoch milliseconds, UTC).
        """
        read, seen = [self._read(span.first - self.gap, span.end)], span.end
        reach = REACH * self.gap
        while seen <= last and len(unfinished := _since(read[-1], seen - self.gap)):
            read.append(self._read(seen, seen + reach, pc.field(DEVICE).isin(unfinished)))
            seen, reach = seen + reach, 2 * reach
        return self._cut(pa.concat_tables(read), span)

    def _read(self, first: int, end: int, also: ds.Expression | None = None) -> pa.Table:
        condition = (pc.field(TIME) >= first) & (pc.field(TIME) < end)
        for each in (self.where, also):
            condition = condition if each is None else condition & each
        return self.dataset.to_table([DEVICE, TIME, *self.columns], filter=condition)

    def _cut(self, rows: pa.Table, span: Span) -> Sequences:
        device = rows.unify_dictionaries()[DEVICE].combine_chunks().indices.to_numpy()
        time = rows[TIME].to_numpy()
        order = _by_device_and_time(device, time)
        device, time = device[order], time[order]
        begins = np.empty(len(time), bool)
        begins[:1] = True
        begins[1:] = (device[1:] != device[:-1]) | (np.diff(time) > self.gap)
        first = np.flatnonzero(begins)
        end = np.append(first[1:], len(time))
        here = (time[first] >= span.first) & (time[first] < span.end)
        values = np.zeros((len(time) + 1, len(self.columns)), np.float32)
        for number, column in enumerate(self.columns):
            values[:-1, number] = rows[column].to_numpy()[order]
        return Sequences(values, time, first[here], end[here])


def spans(files: Iterable[File]) -> list[Span]:
    """The spans of a table in order: all of time, whatever its files say."""
    parts = sorted(part for file in files for part in _parts(file))
    firsts, rows = [-(2**62)], 0
    for first, of_part in parts:
        if rows and rows + of_part > SPAN_ROWS and first > firsts[-1]:
            firsts.append(first)
            rows = 0
        rows += of_part
    return [Span(*each) for each in zip(firsts, [*firsts[1:], 2**62], strict=True)]


def _parts(file: File) -> list[tuple[int, int]]:
    """The beginnings of parts of a file, as if its rows were spread evenly, and their rows."""
    count = max(1, math.ceil(file.rows / SPAN_ROWS))
    duration = file.last - file.first + 1
    return [(file.first + duration * n // count, file.rows // count) for n in range(count)]


def _since(rows: pa.Table, first: int) -> pa.Array:
    """The devices with rows from a time on."""
    return rows.filter(pc.field(TIME) >= first)[DEVICE].cast(pa.string()).unique()


def _by_device_and_time(device: NDArray[np.int32], time: NDArray[np.int64]) -> NDArray[np.int64]:
    """The order of rows by device, then time, then as they are in the files."""
    if np.any(time[1:] < time[:-1]):
        return np.lexsort((time, device))
    # Numbers of 16 bits are sorted by counting.
    few = len(device) == 0 or device.max() < 2**16
    return np.argsort(device.astype(np.uint16) if few else device, kind="stable")
