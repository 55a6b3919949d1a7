"""Batches of the training set, span of time by span of time, in order or shuffled."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from stedi_assets.errors import LakehouseError
from stedi_assets.training import windows
from stedi_assets.training.sequences import Readings, Sequences, Span
from stedi_assets.training.versions import reading
from stedi_assets.training.windows import Batch, Windowing


@dataclass(frozen=True)
class Stream:
    """Batches, span of time by span of time.

    Attributes:
        uri: Where the table is.
        readings: The rows.
        spans: The spans of time.
        last: The time of the last reading (epoch milliseconds, UTC).
        windowing: How sequences are cut.
        batch_size: Windows or sequences in a batch.
    """

    uri: str
    readings: Readings
    spans: list[Span]
    last: int
    windowing: Windowing
    batch_size: int

    def batches(self, seed: int | None, worker: int = 0, workers: int = 1) -> Iterator[Batch]:
        """The batches of one of some workers, each of which reads other spans."""
        spans = self.spans
        if seed is not None:
            order = np.random.default_rng(seed).permutation(len(spans))
            spans = [spans[place] for place in order]
        for number in range(worker, len(spans), workers):
            found = self._sequences(spans[number])
            slices = self.windowing.slices(found)
            if seed is not None:
                order = np.random.default_rng((seed, number)).permutation(len(slices.first))
                slices = windows.Slices(*(each[order] for each in slices))
            yield from windows.batches(found, slices, self.batch_size)

    def require_windows(self) -> None:
        """Makes sure that there is a window.

        Raises:
            LakehouseError: If no sequence is as long as one.
        """
        longest = 0
        for span in self.spans if self.windowing.window else ():
            found = self._sequences(span)
            if len(self.windowing.slices(found).first):
                return
            durations: np.ndarray = found.time[found.end - 1] - found.time[found.first]
            longest = max(longest, int(durations.max(initial=0)))
        if self.windowing.window:
            raise LakehouseError(
                f"No sequence is as long as the window of {self.windowing.window:,} ms: the "
                f"longest takes {longest:,} ms. Give a shorter window, or a longer gap than "
                f"{self.readings.gap:,} ms."
            )

    def _sequences(self, span: Span) -> Sequences:
        with reading(self.uri):
            return self.readings.sequences(span, self.last)
