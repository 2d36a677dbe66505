"""A projector: applies the log to one read model, each event exactly once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from threading import Event
from typing import Any

import structlog
from psycopg import Connection, Cursor, OperationalError

from projections import progress
from projections.journal import Entry
from projections.models import Model
from workers.cloud_events import Envelope
from workers.judging import Parked, Read, judge
from workers.loops import keep_going
from workers.parking import park
from workers.ports import Connect, Delivery, Log, LogReader

POLL = 0.5

log = structlog.get_logger()


class Superseded(Exception):
    """Another projector has moved on from where we stood, or the topic is a new one."""


@dataclass(frozen=True, slots=True)
class Mark:
    """How far a partition is applied: the next record's offset, and the last position."""

    generation: int
    next_offset: int
    position: int


class Projector:
    """One member of the model's consumer group; many may run."""

    def __init__(self, model: Model, connect: Connect, source: Log, envelope: Envelope) -> None:
        self._model = model
        self._connect = connect
        self._log = source
        self._envelope = envelope

    def run(self, stop: Event) -> None:
        """Project until `stop` is set."""
        keep_going(f"project {self._model.key}", lambda: self.session(stop), stop)

    def session(self, stop: Event) -> None:
        """Project on one connection, until it is lost or `stop` is set."""
        with self._connect() as connection:
            # Rows and progress are lost together, and the log is read again: no flush is awaited.
            connection.execute("SET synchronous_commit = off")
            if self._log.name == progress.EMBEDDED:
                progress.choose(connection, self._log.name)  # otherwise the relay says so
            marks = _Marks(connection, self._model.key, self._log.name)
            reader = self._log.reader(f"twinlock-{self._model.key}", marks.resume)
            try:
                while not stop.is_set():
                    if deliveries := reader.poll(POLL):
                        self._batch(connection, reader, marks, deliveries)
            finally:
                reader.close()

    def _batch(
        self,
        connection: Connection[Any],
        reader: LogReader,
        marks: "_Marks",
        deliveries: Sequence[Delivery],
    ) -> None:
        try:
            with connection.transaction(), connection.cursor() as cursor:
                moved = marks.require(cursor, {d.partition for d in deliveries})
                judged = judge(cursor, reader, self._envelope, deliveries)
                fresh = _advance(moved, judged)
                parked = [j for j in judged if isinstance(j, Parked)]
                parked += apply_each(cursor, self._model, fresh)
                park(cursor, self._model.key, parked)
                marks.write(cursor, moved)
            marks.held.update(moved)
        except Superseded:
            log.info("projector.superseded", model=self._model.key)
            for partition, offset in marks.resume(reader.assigned()).items():
                reader.seek(partition, offset)


def _advance(marks: dict[int, Mark], judged: Sequence[Read | Parked]) -> list[Read]:
    """Move the marks over all records, and answer those that are not applied yet."""
    fresh = []
    for one in judged:
        mark = marks[one.delivery.partition]
        position = one.entry.position if isinstance(one, Read) else one.position or 0
        if isinstance(one, Read) and position > mark.position:
            fresh.append(one)
        marks[one.delivery.partition] = replace(
            mark,
            next_offset=one.delivery.offset + 1,
            position=max(mark.position, position),
        )
    return fresh


def apply_each(cursor: Cursor[Any], model: Model, reads: Sequence[Read]) -> list[Parked]:
    """Apply all at once; where that fails one by one, so that one bad event stops no other."""
    if not reads or _attempt(cursor, model, [read.entry for read in reads]) is None:
        return []
    failed = ((read, _attempt(cursor, model, [read.entry])) for read in reads)
    return [Parked(r.delivery, reason, r.entry.position) for r, reason in failed if reason]


def _attempt(cursor: Cursor[Any], model: Model, entries: Sequence[Entry]) -> str | None:
    try:
        with cursor.connection.transaction():
            model.apply(cursor, entries)
    except OperationalError:
        raise
    except Exception as error:  # whatever an event breaks is parked with its reason
        return type(error).__name__
    return None


class _Marks:
    """The progress rows of a model, and what this projector believes they say."""

    def __init__(self, connection: Connection[Any], model: str, log_name: str) -> None:
        self._connection = connection
        self._key = {"model": model, "log": log_name}
        self.held: dict[int, Mark] = {}

    def resume(self, partitions: frozenset[int]) -> Mapping[int, int]:
        """Load the marks of these partitions; a new generation of the log starts at its begin."""
        with self._connection.transaction(), self._connection.cursor() as cursor:
            values = {**self._key, "partitions": sorted(partitions)}
            cursor.execute(BEGIN, values)
            cursor.execute(RENEW, values)
            self.held = self._load(cursor, partitions)
        return {partition: mark.next_offset for partition, mark in self.held.items()}

    def require(self, cursor: Cursor[Any], partitions: set[int]) -> dict[int, Mark]:
        """Lock the rows and compare: raises Superseded unless they say what we believe."""
        found = self._load(cursor, partitions)
        if any(found.get(p) != self.held.get(p) or p not in found for p in partitions):
            raise Superseded
        return found

    def write(self, cursor: Cursor[Any], marks: Mapping[int, Mark]) -> None:
        """Move the rows that `require` has locked."""
        rows = [
            {**self._key, "partition": p, "next_offset": m.next_offset, "position": m.position}
            for p, m in marks.items()
        ]
        cursor.executemany(MOVE, rows)

    def _load(self, cursor: Cursor[Any], partitions: set[int] | frozenset[int]) -> dict[int, Mark]:
        """The rows of the log's present generation, locked."""
        cursor.execute(LOAD, {**self._key, "partitions": sorted(partitions)})
        return {partition: Mark(*rest) for partition, *rest in cursor}


BEGIN = """
INSERT INTO progress (model, log, partition, generation)
SELECT %(model)s, %(log)s, p, coalesce((SELECT generation FROM log_head), 0)
FROM unnest(%(partitions)s::int[]) AS p
ON CONFLICT (model, log, partition) DO NOTHING
"""
RENEW = """
UPDATE progress SET generation = head.generation, next_offset = 0, position = 0
FROM log_head AS head
WHERE model = %(model)s AND progress.log = %(log)s AND partition = ANY(%(partitions)s)
AND progress.generation <> head.generation
"""
LOAD = """
SELECT partition, progress.generation, next_offset, progress.position
FROM progress LEFT JOIN log_head AS head ON true
WHERE model = %(model)s AND progress.log = %(log)s AND partition = ANY(%(partitions)s)
AND progress.generation = coalesce(head.generation, 0)
ORDER BY partition FOR UPDATE OF progress
"""
MOVE = """
UPDATE progress SET next_offset = %(next_offset)s, position = %(position)s
WHERE model = %(model)s AND log = %(log)s AND partition = %(partition)s
"""
