"""The cursor of the landing sensor, which has the names of some landing files."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import astuple, dataclass, field

import dagster as dg
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.scheduler.instigation import SensorInstigatorData

from stedi_assets.landing.watch import LANDING_SENSOR, Contents, Seen


@dataclass(frozen=True)
class Cursor:
    """The state of the landing sensor between its ticks.

    Attributes:
        seen: The state of each source's folder.
        known: The digest of all files that were there when it last requested a run.
        landed: The digest of all files that had landed by then.
        change: How often it has requested a run for new files. It is part of the run key, since
            files that change back have an earlier run's digests.
        retry: How often the last run has been requested again.
    """

    seen: Mapping[str, Seen] = field(default_factory=dict)
    known: str = ""
    landed: str = ""
    change: int = 0
    retry: int = 0

    def dump(self) -> str:
        """The cursor as text, under a kilobyte except in buckets with long names of objects."""
        seen = {name: astuple(each) for name, each in self.seen.items()}
        kept = [seen, self.known, self.landed, self.change, self.retry]
        return json.dumps(kept, ensure_ascii=False, separators=(",", ":"))

    @classmethod
    def load(cls, text: str | None) -> Cursor:
        """The cursor of a text; a new one if there is none or it is of another version."""
        try:
            seen, *requested = json.loads(text or "")
            found = {
                name: Seen(Contents(*known), last, Contents(*swept), position)
                for name, (known, last, swept, position) in seen.items()
            }
            return cls(found, *requested)
        except (ValueError, TypeError, AttributeError):
            return cls()

    @property
    def run_key(self) -> str:
        """The key of the last requested run. Dagster starts one run for each key."""
        retry = f"-retry-{self.retry}" if self.retry else ""
        return f"landing-{self.change}-{digest([self.known, self.landed])}{retry}"


def digest(of: Mapping[str, str] | list[str]) -> str:
    """A digest of texts."""
    return hashlib.sha256(json.dumps(of, sort_keys=True).encode()).hexdigest()[:32]


def delete_file_names(instance: dg.DagsterInstance) -> None:
    """Deletes the landing sensor's cursor and ticks: the name of a file may identify a person.

    The next tick compares the folders with what has landed, so that it requests no extra run.
    """
    if instance.schedule_storage is None:
        return  # an instance of one process, in which no sensor runs
    for state in instance.all_instigator_state(instigator_type=InstigatorType.SENSOR):
        data = state.instigator_data
        if state.instigator_name == LANDING_SENSOR and isinstance(data, SensorInstigatorData):
            origin, selector = state.instigator_origin_id, state.selector_id
            instance.purge_ticks(origin, selector, before=time.time())
            instance.update_instigator_state(state.with_data(data._replace(cursor=None)))
