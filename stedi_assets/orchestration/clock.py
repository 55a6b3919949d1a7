"""The time by which a run judges consent."""

import functools
import time

import dagster as dg
from pydantic import PrivateAttr


@functools.lru_cache(maxsize=64)
def time_of_run(run_id: str) -> int:
    """When this process first heard of a run (epoch milliseconds, UTC)."""
    return time.time_ns() // 1_000_000


class Clock(dg.ConfigurableResource):
    """One time for all of a run, so that no part finds another's consent in the future."""

    _run_id: str = PrivateAttr(default="")

    def setup_for_execution(self, context: dg.InitResourceContext) -> None:
        """Takes note of the run."""
        self._run_id = context.run.run_id if context.run else ""

    @property
    def now(self) -> int:
        """The time of the run (epoch milliseconds, UTC)."""
        return time_of_run(self._run_id)
