"""Frames whose rows an engine has written to a disk of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def checkpointed(frame: DataFrame) -> DataFrame:
    """A frame with the same rows, which the engine keeps as long as the session: a scan of them."""
    found: Any = frame.localCheckpoint()
    # PySpark binds it to the thread's active session, which may be that of another engine.
    found._session = found._plan._spark_session = frame.sparkSession
    return cast("DataFrame", found)
