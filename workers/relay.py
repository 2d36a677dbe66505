"""The relay: puts every event on the log, in order, by one leader at a time."""

import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from threading import Event
from typing import Any, Final

import structlog
from psycopg import Connection

from domain import stored
from projections import progress
from projections.journal import EVENTS
from workers.cloud_events import UNREADABLE, Envelope, Forged, headers, serialized, topic_of
from workers.loops import keep_going, takes_lead
from workers.ports import (
    Connect,
    Followed,
    LogChanged,
    LogWriter,
    Outgoing,
    RelayedLog,
    Source,
    StoredRecord,
)

WINDOW = 500
BEAT = 0.25
LOOK = 30.0
"""Seconds after which an idle leader looks whether the topic still has what was put."""

NEWEST = f"""
SELECT state FROM {EVENTS} ORDER BY notification_id DESC LIMIT 100
"""  # noqa: S608 - a constant
RECORD = f"""
WITH kept AS (
    INSERT INTO complete (model, generation, position)
    SELECT known.model, head.generation, {progress.reached("known.model")}
    FROM log_head AS head
        JOIN (SELECT DISTINCT model, log FROM progress) AS known ON known.log = head.log
    ON CONFLICT (model) DO UPDATE SET
        generation = excluded.generation, position = excluded.position
        WHERE (complete.generation, complete.position)
            < (excluded.generation, excluded.position)
), head AS (
    UPDATE log_head SET position = %s WHERE log = %s AND generation = %s RETURNING position
), put AS (
    INSERT INTO relay_progress (partition, record_offset, position)
    SELECT told.* FROM unnest(%s::int[], %s::bigint[], %s::bigint[]) AS told, head
    ON CONFLICT (partition) DO UPDATE SET
        record_offset = excluded.record_offset, position = excluded.position
)
SELECT position FROM head
"""  # noqa: S608 - constants
"""Keeps what is complete before anything new makes a partition late."""
BEGIN_ANEW = """
INSERT INTO relay_progress (partition, first_offset, record_offset, position)
SELECT partition, tail + 1, tail, 0 FROM unnest(%s::int[], %s::bigint[]) AS told (partition, tail)
"""
SKIP = f"SELECT setval('{EVENTS}_notification_id_seq', %s)"
AT = f"SELECT notification_id, state FROM {EVENTS} WHERE notification_id = ANY(%s)"  # noqa: S608 - a constant

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Place:
    """The last record put in a partition: its offset, and its event's position; 0: none."""

    offset: int
    position: int


NOWHERE: Final = Place(-1, 0)


class TopicAhead(Exception):
    """The topic tells of another history: the store was restored, and has gone on before us."""


class Deposed(Exception):
    """Another relay leads, or the log that feeds the read models is another one now."""


class Relay:
    """Leads while it holds a session lock, on the very connection that its progress goes through.

    Losing the connection loses the lock and the progress alike: a deposed leader records nothing.
    """

    def __init__(
        self, store: Followed, connect: Connect, topic: RelayedLog, envelope: Envelope
    ) -> None:
        self._store = store
        self._connect = connect
        self._topic = topic
        self._envelope = envelope

    def run(self, stop: Event) -> None:
        """Relay until `stop` is set."""
        keep_going("relay", lambda: self.session(stop), stop)

    def session(self, stop: Event) -> None:
        """Lead if nobody else does, until something is lost or `stop` is set."""
        with self._connect() as connection:
            # Losing the newest progress costs repeats, as what is not recorded is put again.
            connection.execute("SET synchronous_commit = off")
            if not takes_lead(connection, f"relay {self._topic.name}", stop):
                return
            with closing(self._topic.writer()) as writer, closing(self._store.follow()) as source:
                lead = _Lead(connection, writer, self._topic.name, self._envelope)
                log.info("relay.leads", topic=self._topic.name, position=lead.position)
                while not stop.is_set():
                    _beat(lead, source)


class _Lead:
    """One leader's knowledge of what is on the log."""

    def __init__(
        self, connection: Connection[Any], writer: LogWriter, topic: str, envelope: Envelope
    ) -> None:
        self._connection = connection
        self._writer = writer
        self._topic = topic
        self._envelope = envelope
        ends = writer.ends()
        self._stay_apart([self._told(value) for value in writer.read(ends).values()])
        self._generation, self.position, self._last = self._resume(ends)
        self._next_look = time.monotonic() + LOOK

    def put(self, records: Sequence[StoredRecord]) -> None:
        """Put and record them; where offsets went back, begin anew and raise LogChanged."""
        offsets = self._writer.put([self._outgoing(record) for record in records])
        for record, offset in zip(records, offsets, strict=True):
            partition = self._partition(record)
            if offset <= self._last[partition].offset:
                self._begin_anew(self._writer.ends())
                raise LogChanged
            self._last[partition] = Place(offset, record.position)
        self._record(records[-1].position, {self._partition(r) for r in records})

    def move(self, position: int) -> None:
        """Nothing more is to put up to here."""
        self._record(position, set())

    def hold(self) -> None:
        """Notice a lost lock, and now and then a lost tail; raises LogChanged."""
        self._connection.execute("SELECT")
        if time.monotonic() > self._next_look:
            if _is_shorter(self._writer.ends(), self._last):
                raise LogChanged
            self._next_look = time.monotonic() + LOOK

    def _partition(self, record: StoredRecord) -> int:
        return self._writer.partition(record.stream)

    def _outgoing(self, record: StoredRecord) -> Outgoing:
        event = self._envelope.wrap(record)
        if topic_of(event) == UNREADABLE:
            log.error("relay.unreadable_event", position=record.position)
        return Outgoing(record.stream, serialized(event), headers(event))

    def _resume(self, ends: Mapping[int, int]) -> tuple[int, int, dict[int, Place]]:
        """The topic's generation, the position to go on from, and what each partition has.

        What a leader put and did not live to record is put again: it may have a gap.
        """
        with self._connection.transaction():
            if progress.choose(self._connection, self._topic):
                self._begin_anew(ends)  # if it was chosen before, its losses are forgotten
            rows = self._connection.execute(
                "SELECT partition, record_offset, position FROM relay_progress"
            )
            recorded = {partition: Place(*rest) for partition, *rest in rows}
        if self._is_another(recorded, ends):
            log.warning("relay.topic_is_new", topic=self._topic)
            self._begin_anew(ends)
            recorded = {partition: Place(end, 0) for partition, end in ends.items()}
        head = self._connection.execute("SELECT generation, position FROM log_head").fetchone()
        assert head is not None
        return head[0], head[1], {p: recorded.get(p, NOWHERE) for p in ends}

    def _is_another(self, recorded: Mapping[int, Place], ends: Mapping[int, int]) -> bool:
        """Whether a record is not where it was put: the topic is new, or has lost its tail.

        Ends alone do not tell: records may have been put behind the loss before it was noticed.
        What retention has removed is no loss.
        """
        if _is_shorter(ends, recorded):
            return True
        put = {p: place for p, place in recorded.items() if place.position}
        found = self._writer.read({p: place.offset for p, place in put.items()})
        there = {p: value for p, value in found.items() if value is not None}
        return any(self._told(value)[0] != put[p].position for p, value in there.items())

    def _begin_anew(self, ends: Mapping[int, int]) -> None:
        """A new generation begins behind all that is there, and will hold the whole history.

        What is there has gaps nobody knows of: its readers would take later events for applied.
        """
        with self._connection.transaction():
            self._connection.execute(
                "UPDATE log_head SET generation = generation + 1, position = 0"
            )
            self._connection.execute("DELETE FROM relay_progress")
            self._connection.execute(BEGIN_ANEW, (list(ends), list(ends.values())))

    def _stay_apart(self, told: Collection[tuple[int, str]]) -> None:
        """Keep a restored store's new positions apart from those that the topic has told already.

        The next position is drawn beyond the topic's last, so that none ever means two events.
        Raises TopicAhead where the store has gone on since: another topic has to be taken.
        """
        if self._contradicts(dict(told)):
            raise TopicAhead
        last = max((position for position, _ in told), default=0)
        told_at = max((time for _, time in told), default="")
        row = self._connection.execute("SELECT twinlock_last_id()").fetchone()
        if row is None or row[0] >= last:
            return
        if self._newest_time() > told_at:
            raise TopicAhead
        self._connection.execute(SKIP.encode(), (last,))
        log.error("relay.store_was_restored", topic=self._topic, position=row[0], told=last)

    def _contradicts(self, told: Mapping[int, str]) -> bool:
        """Whether the store has other events where the topic told of some; what it lacks is not."""
        for position, state in self._connection.execute(AT.encode(), (list(told),)):
            with suppress(stored.Unreadable):
                if told[position] not in ("", stored.read(state)["time"]):
                    return True
        return False

    def _newest_time(self) -> str:
        """When the store's newest event that can be read was appended; empty without any."""
        for (state,) in self._connection.execute(NEWEST.encode()):
            with suppress(stored.Unreadable):
                return str(stored.read(state)["time"])
        return ""

    def _told(self, value: bytes | None) -> tuple[int, str]:
        """Position and time of the event in a record; a forged one says nothing.

        Times are of one form, so that they compare.
        """
        try:
            event = self._envelope.unwrap(value or b"")
            return int(event["id"]), str(event.get("time", ""))
        except Forged:
            return 0, ""

    def _record(self, position: int, partitions: set[int]) -> None:
        places = sorted(partitions)
        last = [self._last[p] for p in places]
        offsets, put = [place.offset for place in last], [place.position for place in last]
        told = (position, self._topic, self._generation, places, offsets, put)
        if self._connection.execute(RECORD, told).fetchone() is None:
            raise Deposed
        self.position = position


def _is_shorter(ends: Mapping[int, int], last: Mapping[int, Place]) -> bool:
    """Whether a partition ends before the last record that was put there."""
    return any(place.offset > ends.get(p, -1) for p, place in last.items())


def _beat(lead: _Lead, source: Source) -> None:
    """Put the next window, or wait; positions of appends that failed stay empty and are passed."""
    records = source.events(lead.position, WINDOW)
    if not records and (head := source.head()) > lead.position:
        # Up to this head nothing is missing; what came meanwhile lies below it as well.
        records = source.events(lead.position, WINDOW, head)
        if not records:
            lead.move(head)
            return
    if records:
        lead.put(records)
    else:
        source.wait(BEAT)
        lead.hold()
