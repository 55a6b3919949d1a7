"""What others do to a table, by delta-rs and by hand."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable
from pathlib import Path

from deltalake import DeltaTable, write_deltalake
from deltalake.exceptions import DeltaError

from stedi_assets_tests.rows import stored_rows

KEPT = ("_verified.json", "_files", "_value_counts")


def _restored(uri: str) -> None:
    table = DeltaTable(uri)
    with contextlib.suppress(DeltaError):  # its files may be gone
        table.restore(max(0, table.version() - 2))


def _maintained(uri: str) -> None:
    DeltaTable(uri).optimize.compact()
    DeltaTable(uri).vacuum(0, dry_run=False, enforce_retention_duration=False)


def _forgotten(uri: str) -> None:
    for name in KEPT:
        path = Path(uri, name)
        if path.is_dir():
            shutil.rmtree(path)
        path.unlink(missing_ok=True)


DAMAGES: dict[str, Callable[[str], object]] = {
    "rows appended": lambda uri: write_deltalake(uri, stored_rows(uri).slice(0, 1), mode="append"),
    "rows deleted": lambda uri: DeltaTable(uri).delete(),
    "restored": _restored,
    "maintained": _maintained,
    "what is kept beside it removed": _forgotten,
    "removed": shutil.rmtree,
}
