"""A projector: applies the log to one read model, each event exactly once."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
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
Apply = Callable[[Cursor[Any], Model, Sequence[Read]], list[Parked]]
"""Applies records to a model, and answers those that have to be set aside."""

log = structlog.get_logger()


class Poisoned(Exception):
    """An event of the batch cannot be applied."""


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
            # Of this log alone: others in a group would be waited for when it divides the log.
            reader = self._log.reader(f"{self._log.name}.{self._model.key}", marks.resume)
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
        if self._log.name != progress.EMBEDDED:
            _tell_missed(self._model.key, marks.held, deliveries)
        for apply in (apply_at_once, apply_each):
            try:
                marks.held |= self._transact(connection, reader, marks, deliveries, apply)
                return
            except Poisoned:
                continue
            except Superseded:
                log.info("projector.superseded", model=self._model.key)
                for partition, offset in marks.resume(reader.assigned()).items():
                    reader.seek(partition, offset)
                return

    def _transact(
        self,
        connection: Connection[Any],
        reader: LogReader,
        marks: "_Marks",
        deliveries: Sequence[Delivery],
        apply: Apply,
    ) -> dict[int, Mark]:
        """Rows and progress, together or not at all; answers the new progress."""
        with connection.transaction(), connection.cursor() as cursor:
            judged = judge(cursor, reader, self._envelope, deliveries)
            moved = marks.of({delivery.partition for delivery in deliveries})
            fresh = _advance(moved, judged)
            marks.write(cursor, moved)
            parked = [j for j in judged if isinstance(j, Parked)]
            parked += apply(cursor, self._model, fresh)
            park(cursor, self._model.key, parked)
        return moved


def _advance(marks: dict[int, Mark], judged: Sequence[Read | Parked]) -> list[Read]:
    """Move the marks over all records, and answer those that are not applied yet."""
    fresh = []
    reached = {partition: (mark.next_offset, mark.position) for partition, mark in marks.items()}
    for one in judged:
        partition, offset = one.delivery.partition, one.delivery.offset
        position = one.entry.position if isinstance(one, Read) else one.position or 0
        applied = reached[partition][1]
        if isinstance(one, Read) and position > applied:
            fresh.append(one)
        reached[partition] = (offset + 1, max(applied, position))
    for partition, (next_offset, position) in reached.items():
        marks[partition] = Mark(marks[partition].generation, next_offset, position)
    return fresh


def _tell_missed(model: str, marks: Mapping[int, Mark], deliveries: Sequence[Delivery]) -> None:
    """Alarm where records were gone before they were read; a rebuild brings them from the store."""
    reached = {partition: mark.next_offset for partition, mark in marks.items()}
    for one in deliveries:
        expected = reached.get(one.partition, one.offset)
        if one.offset > expected:
            place = {"partition": one.partition, "offset": expected}
            log.error("projector.records_missed", model=model, **place, until=one.offset)
        reached[one.partition] = one.offset + 1


def apply_at_once(cursor: Cursor[Any], model: Model, reads: Sequence[Read]) -> list[Parked]:
    """Apply all, and raise Poisoned where that fails: a savepoint would cost every batch."""
    try:
        if reads:
            model.apply(cursor, [read.entry for read in reads])
    except OperationalError:
        raise
    except Exception as error:  # whatever it is, one by one tells which event it was
        raise Poisoned from error
    return []


def apply_each(cursor: Cursor[Any], model: Model, reads: Sequence[Read]) -> list[Parked]:
    """Apply one by one, so that one bad event stops no other."""
    failed = ((read, _attempt(cursor, model, read.entry)) for read in reads)
    return [Parked(r.delivery, reason, r.entry.position) for r, reason in failed if reason]


def _attempt(cursor: Cursor[Any], model: Model, entry: Entry) -> str | None:
    try:
        with cursor.connection.transaction():
            model.apply(cursor, [entry])
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
            cursor.execute(LOAD, values)
            self.held = {partition: Mark(*rest) for partition, *rest in cursor}
        return {partition: mark.next_offset for partition, mark in self.held.items()}

    def of(self, partitions: set[int]) -> dict[int, Mark]:
        """What we believe of these partitions; raises Superseded for one that is not ours."""
        if not self.held.keys() >= partitions:
            raise Superseded
        return {partition: self.held[partition] for partition in partitions}

    def write(self, cursor: Cursor[Any], marks: Mapping[int, Mark]) -> None:
        """Move the rows, and so lock them; raises Superseded unless they say what we believe."""
        places = sorted(marks)
        was, new = [self.held[p] for p in places], [marks[p] for p in places]
        told = {
            "partitions": places,
            "generations": [mark.generation for mark in was],
            "was_offsets": [mark.next_offset for mark in was],
            "was_positions": [mark.position for mark in was],
            "next_offsets": [mark.next_offset for mark in new],
            "positions": [mark.position for mark in new],
        }
        cursor.execute(MOVE, {**self._key, **told})
        if cursor.rowcount != len(marks):
            raise Superseded


BEGIN = """
INSERT INTO progress (model, log, partition, generation, next_offset)
SELECT %(model)s, %(log)s, p, coalesce((SELECT generation FROM log_head), 0),
    coalesce((SELECT first_offset FROM relay_progress WHERE partition = p), 0)
FROM unnest(%(partitions)s::int[]) AS p
ON CONFLICT (model, log, partition) DO NOTHING
"""
RENEW = """
UPDATE progress SET generation = head.generation, position = 0, next_offset =
    coalesce((SELECT first_offset FROM relay_progress AS put
        WHERE put.partition = progress.partition), 0)
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
WITH told AS (
    SELECT * FROM unnest(
        %(partitions)s::int[], %(generations)s::bigint[], %(was_offsets)s::bigint[],
        %(was_positions)s::bigint[], %(next_offsets)s::bigint[], %(positions)s::bigint[]
    ) AS told (partition, generation, was_offset, was_position, next_offset, position)
), locked AS (
    SELECT partition FROM progress
    WHERE model = %(model)s AND log = %(log)s AND partition = ANY(%(partitions)s)
    ORDER BY partition FOR UPDATE
)
UPDATE progress SET next_offset = told.next_offset, position = told.position
FROM told JOIN locked USING (partition)
WHERE model = %(model)s AND log = %(log)s AND progress.partition = told.partition
AND (progress.generation, progress.next_offset, progress.position)
    = (told.generation, told.was_offset, told.was_position)
AND told.generation = coalesce((SELECT generation FROM log_head), 0)
"""
