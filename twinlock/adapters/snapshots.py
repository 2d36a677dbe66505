"""Snapshots keep the cost of a load flat; they are taken in the background, at best effort."""

import queue
import threading
from functools import cache
from typing import Any, Final

import structlog
from pydantic import TypeAdapter, ValidationError

from domain.refusals import Refusal
from twinlock.adapters.database import Database
from twinlock.adapters.recorder import SNAPSHOTS

EVERY: Final = 10
"""Events beyond a snapshot that make the next one due.

A load after 10,000 events then replays no more than one after 10 does.
"""
WAITING: Final = 256
TAKE: Final = f"""
    with taken as (
        insert into {SNAPSHOTS} (originator_id, originator_version, topic, state)
        values (%s, %s, %s, %s) on conflict do nothing
    )
    delete from {SNAPSHOTS}
        where originator_id = %s and topic = %s and originator_version < %s
"""  # noqa: S608 - the names are constants
SCHEMA: Final = f"""
create table if not exists {SNAPSHOTS} (
    originator_id text not null,
    originator_version bigint not null,
    topic text not null,
    state bytea not null,
    primary key (originator_id, topic, originator_version)
)
"""


class Snapshots:
    """The newest state of each long stream, as JSON under its class's snapshot version."""

    schema = (SCHEMA,)

    def __init__(self, database: Database) -> None:
        """Start nothing yet."""
        self._database = database
        self._due: queue.Queue[Any] = queue.Queue(WAITING)
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None

    @staticmethod
    def topic(kind: Any) -> str:
        """Under which snapshots are kept; a new snapshot version starts afresh."""
        return f"{kind.kind}.v{kind.snapshot_version}"

    @staticmethod
    def read(kind: Any, state: bytes) -> Any | None:
        """The aggregate in a snapshot; None where it can't be read, and a replay is due."""
        try:
            return _adapter(kind).validate_json(state)
        except ValidationError:
            return None

    def consider(self, aggregate: Any, replayed: int) -> None:
        """Have a snapshot taken if the last one is far behind; drop the wish if many wait."""
        if replayed < EVERY:
            return
        if self._thread is None:
            self._start()
        try:
            self._due.put_nowait(aggregate)
        except queue.Full:
            return

    def close(self) -> None:
        """Take what waits, and end the thread."""
        if self._thread is not None:
            self._due.put(None)
            self._thread.join(timeout=5)
            self._thread = None

    def _start(self) -> None:
        with self._starting:
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name="twinlock-snapshots", daemon=True
                )
                self._thread.start()

    def _run(self) -> None:
        while (aggregate := self._due.get()) is not None:
            try:
                self._take(aggregate)
            except Exception as error:  # best effort: a request never notices
                reason = error.slug if isinstance(error, Refusal) else type(error).__name__
                structlog.get_logger().warning("snapshot not taken", reason=reason)

    def _take(self, aggregate: Any) -> None:
        kind: Any = type(aggregate)
        stream, topic = f"{kind.kind}/{aggregate.id}", self.topic(kind)
        state = _adapter(kind).dump_json(aggregate)
        version = aggregate.version
        self._database.execute(TAKE, (stream, version, topic, state, stream, topic, version))


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)
