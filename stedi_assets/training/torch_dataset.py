"""The training set as an iterable dataset of PyTorch, which only this module imports."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch
from torch.utils.data import IterableDataset, get_worker_info

if TYPE_CHECKING:
    from stedi_assets.training.stream import Stream


class Batches(IterableDataset):  # type: ignore[misc]  # PyTorch is not there where types are checked
    """Batches as tensors: see `TrainingSet.torch`.

    Args:
        stream: The batches as arrays.
        shuffle: Whether each epoch has another order, by PyTorch's random numbers.
    """

    def __init__(self, stream: Stream, shuffle: bool) -> None:
        self.stream = stream
        self.shuffle = shuffle

    def __iter__(self) -> Iterator[dict[str, torch.Tensor]]:
        """The batches of an epoch; in a worker of a `DataLoader`, of that worker."""
        info = get_worker_info()
        # All workers of an epoch take the same number, or two of them would read the same span.
        epoch = torch.initial_seed() - info.id if info else _random()
        seed = epoch % 2**63 if self.shuffle else None
        worker, workers = (info.id, info.num_workers) if info else (0, 1)
        for batch in self.stream.batches(seed, worker, workers):
            yield {name: torch.from_numpy(array) for name, array in batch.items()}


def _random() -> int:
    return int(torch.empty((), dtype=torch.int64).random_().item())
