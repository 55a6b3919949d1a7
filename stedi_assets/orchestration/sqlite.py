"""Dagster's history in SQLite, with a connection kept open for each file of it.

Dagster makes an engine of SQLAlchemy and a connection for each event, which compiles each statement
anew, and waits for the disk at each. That is a third of a run that finds nothing new.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self

import sqlalchemy
from dagster._core.instance.ref import InstanceRef
from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage
from dagster._core.storage.sqlite_storage import DagsterSqliteStorage
from dagster._serdes import ConfigurableClassData
from typing_extensions import override

BUSY_SECONDS = 30
# The index of all runs, the run itself and some that it asks of.
KEPT_OPEN = 8


class EventLogStorage(SqliteEventLogStorage):
    """Dagster's event log, of which files that are open stay open."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        self._engines: dict[str, sqlalchemy.Engine] = {}
        super().__init__(base_dir, inst_data)

    @override
    @contextmanager
    def _connect(self, shard: str) -> Iterator[sqlalchemy.Connection]:
        with self._db_lock:
            engine = self._engine(self.conn_string_for_shard(shard))
            if shard not in self._initialized_dbs:
                self._initdb(engine)
                self._initialized_dbs.add(shard)
            with engine.begin() as connection:
                yield connection

    @override
    def dispose(self) -> None:
        super().dispose()
        while self._engines:
            self._engines.popitem()[1].dispose()

    def _engine(self, address: str) -> sqlalchemy.Engine:
        # In order of their last use.
        used = self._engines.pop(address) if address in self._engines else _engine(address)
        self._engines[address] = used
        if len(self._engines) > KEPT_OPEN:
            self._engines.pop(next(iter(self._engines))).dispose()
        return used


class SqliteStorage(DagsterSqliteStorage):
    """Dagster's storage of runs, events and schedules, with `EventLogStorage`."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        super().__init__(base_dir, inst_data)
        self._event_log_storage = EventLogStorage(self._event_log_storage._base_dir)

    @override
    @classmethod
    def from_config_value(cls, inst_data: Any, config_value: Any) -> Self:
        return cls.from_local(inst_data=inst_data, **config_value)


def kept_open(ref: InstanceRef) -> InstanceRef:
    """The same history, of which files of SQLite stay open; that of another database as it is."""
    assert ref.storage_data is not None
    if ref.storage_data.class_name != DagsterSqliteStorage.__name__:
        return ref
    own = {"module_name": __name__, "class_name": SqliteStorage.__name__}
    return ref._replace(storage_data=ref.storage_data._replace(**own))


def _engine(address: str) -> sqlalchemy.Engine:
    engine = sqlalchemy.create_engine(
        address,
        poolclass=sqlalchemy.pool.QueuePool,
        pool_size=1,
        connect_args={"timeout": BUSY_SECONDS},
    )

    @sqlalchemy.event.listens_for(engine, "connect")
    def not_waiting_for_the_disk(connection: Any, _: object) -> None:
        # Of a log written ahead, as this is, only a machine that stops may lose the last events.
        connection.execute("PRAGMA synchronous=NORMAL")

    return engine
