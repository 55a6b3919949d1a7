"""Loads the training set, for pandas, Polars, Arrow, DuckDB, NumPy or PyTorch.

It takes neither Spark nor Dagster, and reads through Arrow's own file systems.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from stedi_assets.errors import Code, LakehouseError
from stedi_assets.settings import Settings
from stedi_assets.split import PARTS
from stedi_assets.storage import address
from stedi_assets.training import versions

if TYPE_CHECKING:
    import duckdb
    import pandas as pd
    import polars as pl
    import pyarrow as pa
    import pyarrow.dataset as ds

    from stedi_assets.training.manifest import Manifest
    from stedi_assets.training.stream import Stream
    from stedi_assets.training.torch_dataset import Batches
    from stedi_assets.training.windows import Batch

# The columns that are no numbers to learn from.
OTHERS = ("sensorReadingTime", "timestamp", "serialNumber", "split")
GAP = "10s"
Duration = str | int | timedelta


def load(
    lakehouse: str | None = None,
    split: str | None = None,
    version: int | None = None,
    columns: Sequence[str] | None = None,
) -> TrainingSet:
    """Opens the training set; rows are read when they are asked for.

    Args:
        lakehouse: A folder or s3://bucket/prefix; by default STEDI_LAKEHOUSE_URI. AWS settings are
            those of boto3.
        split: `train`, `validation` or `test`; None for all.
        version: A published version, which stays as it is until someone in it withdraws; None for
            the newest state of the table, which the next run may replace.
        columns: The columns, in order; None for all.

    Raises:
        LakehouseError: If there is no training set (`NOT_MATERIALISED`), the version is gone
            (`VERSION_GONE`), the split has no rows (`SPLIT_EMPTY`), or an argument is wrong
            (`SETTING`).
    """
    if split is not None and split not in PARTS:
        raise LakehouseError(f"There is no split {split!r}. The splits are {', '.join(PARTS)}.")
    if not isinstance(version, int | None):
        raise LakehouseError(
            f"version={version!r} is no number of a version. Leave it out for the newest state."
        )
    root = address.as_uri(lakehouse or Settings.from_environment().lakehouse_uri)
    opened = versions.open_version(root, version)
    known = opened.dataset.schema.names
    if columns is not None and not columns:
        raise LakehouseError(f"columns has none. The columns are {', '.join(known)}.")
    if unknown := [name for name in columns or () if name not in known]:
        raise LakehouseError(
            f"There is no column {unknown[0]!r}. The columns are {', '.join(known)}."
        )
    loaded = TrainingSet(opened, split, tuple(columns or known))
    if not loaded.head(1).num_rows:
        what = f"The split {split}" if split else "The training set"
        raise LakehouseError(
            f"{what} of version {opened.version} has no rows, as after people have withdrawn. "
            "Load another split or version, or materialise training_set when more have landed.",
            Code.SPLIT_EMPTY,
        )
    return loaded


@dataclass(frozen=True)
class TrainingSet:
    """Rows of the training set, at one version, not read yet.

    A row is a reading of a device and one of its owner's phone, of the same millisecond. Columns:
    `sensorReadingTime` and `timestamp` (int64, epoch milliseconds, UTC, equal), `serialNumber` (the
    device, or its pseudonym), `distanceFromObject` (int32, in the device's unit), `x`, `y` and `z`
    (float64, as the phone reports them) and `split`.

    Attributes:
        opened: The version.
        split: The split; None for all.
        columns: The columns, in order.
    """

    opened: versions.Version = field(repr=False)
    split: str | None
    columns: tuple[str, ...]

    @property
    def version(self) -> int:
        """The version, to cite and to load again if it is published."""
        return self.opened.version

    @property
    def manifest(self) -> Manifest | None:
        """What the version holds, if it is published and was loaded by its number."""
        return self.opened.manifest

    @property
    def features(self) -> list[str]:
        """The columns of numbers, in order: the last dimension of `values` in a batch."""
        return [name for name in self.columns if name not in OTHERS]

    def __len__(self) -> int:
        """The number of rows."""
        with versions.reading(self.opened.uri):
            return int(self.opened.dataset.count_rows(filter=self._where))

    def head(self, rows: int = 5) -> pa.Table:
        """The first rows."""
        with versions.reading(self.opened.uri):
            return self.opened.dataset.head(rows, columns=list(self.columns), filter=self._where)

    def batches(self) -> Iterator[pa.RecordBatch]:
        """The rows as Arrow batches, in bounded memory."""
        with versions.reading(self.opened.uri):
            yield from self.opened.dataset.to_batches(list(self.columns), filter=self._where)

    def arrow(self) -> pa.Table:
        """All rows as an Arrow table, in memory."""
        with versions.reading(self.opened.uri):
            return self.opened.dataset.to_table(list(self.columns), filter=self._where)

    def pandas(self) -> pd.DataFrame:
        """All rows as a pandas frame, in memory."""
        return self.arrow().to_pandas()

    def polars(self) -> pl.DataFrame:
        """All rows as a Polars frame, in memory."""
        _require_installed("polars")
        import polars as pl

        return pl.DataFrame(self.arrow())

    def duckdb(self) -> duckdb.DuckDBPyRelation:
        """The rows as a DuckDB relation, which reads when its result is asked for.

        A file that is gone or damaged by then is an error of DuckDB.
        """
        _require_installed("duckdb")
        import duckdb

        relation = duckdb.connect().from_arrow(self.opened.dataset)
        if self.split:
            relation = relation.filter(f"split = '{self.split}'")
        return relation.select(*(f'"{name}"' for name in self.columns))

    def numpy(
        self,
        window: Duration | None = None,
        step: Duration | None = None,
        *,
        gap: Duration = GAP,
        batch_size: int = 1024,
        seed: int | None = None,
    ) -> Iterator[Batch]:
        """Windows of sequences, or whole sequences, as batches of arrays; in bounded memory.

        A sequence is a device's readings in order of time. Readings are irregular and a millisecond
        may have several, so a window has as many as there are; one without any is left out.

        Args:
            window: How long a window is, as "2s"; None for whole sequences.
            step: The time from the beginning of a window to that of the next; by default `window`.
            gap: The longest time between two readings of a sequence.
            batch_size: Windows or sequences in a batch; the last of a span of time may be smaller.
            seed: Shuffles the sequences or windows, by this number; None for the order of time.

        Returns:
            Batches: `values` float32 [B, L, features], `mask` bool [B, L], `time` int64 [B, L]
            (milliseconds since `start`) and `start` int64 [B] (epoch milliseconds, UTC), where L is
            the number of readings in the longest of the batch.

        Raises:
            LakehouseError: If a duration is wrong, or no sequence is as long as the window.
        """
        if seed is not None and seed < 0:
            raise LakehouseError(f"seed={seed} is not a seed. Give a number from 0 on.")
        return self._stream(window, step, gap, batch_size).batches(seed)

    def torch(
        self,
        window: Duration | None = None,
        step: Duration | None = None,
        *,
        gap: Duration = GAP,
        batch_size: int = 1024,
        shuffle: bool = False,
    ) -> Batches:
        """As `numpy`, an iterable dataset of PyTorch with tensors of the same shapes.

        Give it to `DataLoader(dataset, batch_size=None, num_workers=…)`. Each worker reads other
        spans of time. `shuffle` follows `torch.manual_seed`, and differs in each epoch.

        Raises:
            LakehouseError: As `numpy`, and if PyTorch is not installed.
        """
        _require_installed("torch")
        from stedi_assets.training.torch_dataset import Batches

        return Batches(self._stream(window, step, gap, batch_size), shuffle)

    def _stream(
        self, window: Duration | None, step: Duration | None, gap: Duration, batch_size: int
    ) -> Stream:
        from stedi_assets.training.sequences import Readings, spans
        from stedi_assets.training.stream import Stream
        from stedi_assets.training.windows import Windowing, milliseconds

        if not isinstance(batch_size, int) or batch_size < 1:
            raise LakehouseError(
                f"batch_size={batch_size!r} is not a size. Give a whole number of at least 1."
            )
        length = None if window is None else milliseconds("window", window)
        every = length or 1 if step is None else milliseconds("step", step)
        if not self.features:
            raise LakehouseError(
                "No column of numbers is loaded. Load x, y, z or distanceFromObject among the "
                "columns."
            )
        readings = Readings(
            self.opened.by_device, self._where, self.features, milliseconds("gap", gap)
        )
        files = self.opened.files
        stream = Stream(
            self.opened.uri,
            readings,
            spans(files),
            max((file.last for file in files), default=2**62),
            Windowing(length, every),
            batch_size,
        )
        stream.require_windows()
        return stream

    @property
    def _where(self) -> ds.Expression | None:
        import pyarrow.dataset as ds

        return None if self.split is None else ds.field("split") == self.split


def _require_installed(package: str) -> None:
    """Imports an optional package, to find out whether it is installed.

    Raises:
        LakehouseError: If it is not.
    """
    try:
        importlib.import_module(package)
    except ImportError:
        raise LakehouseError(
            f"The Python package {package} is not installed. Run `pip install {package}`, or load "
            "the training set another way.",
            Code.NOT_INSTALLED,
        ) from None
