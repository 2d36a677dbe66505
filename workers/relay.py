"""The relay: puts every event on the log, in order, by one leader at a time."""

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
from workers.loops import keep_going, leads
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

NEWEST = f"""
SELECT state FROM {EVENTS} ORDER BY notification_id DESC LIMIT 100
"""  # noqa: S608 - a constant
RECORD = """
WITH head AS (
    UPDATE log_head SET position = %s WHERE log = %s AND generation = %s RETURNING position
), put AS (
    INSERT INTO relay_progress (partition, record_offset, position)
    SELECT told.* FROM unnest(%s::int[], %s::bigint[], %s::bigint[]) AS told, head
    ON CONFLICT (partition) DO UPDATE SET
        record_offset = excluded.record_offset, position = excluded.position
)
SELECT position FROM head
"""
BEGIN_ANEW = """
INSERT INTO relay_progress (partition, first_offset, record_offset, position)
SELECT partition, tail + 1, tail, 0 FROM unnest(%s::int[], %s::bigint[]) AS told (partition, tail)
"""
SKIP = f"SELECT setval('{EVENTS}_notification_id_seq', %s)"

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Place:
    """The furthest record of ours in a partition: its offset, and its event's position; 0: none."""

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
            # The topic itself tells what was put: losing the newest progress costs nothing.
            connection.execute("SET synchronous_commit = off")
            while not leads(connection, f"relay {self._topic.name}"):
                if stop.wait(BEAT * 4):
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
        told = {partition: self._told(value) for partition, value in writer.read(ends).items()}
        self._stay_apart(told.values())
        tails = {partition: Place(end, told[partition][0]) for partition, end in ends.items()}
        self._generation, self.position, self._last = self._resume(tails)

    def put(self, records: Sequence[StoredRecord]) -> None:
        """Put what is not there yet, then record it; raises LogChanged if offsets went back."""
        fresh = [r for r in records if r.position > self._last[self._partition(r)].position]
        offsets = self._writer.put([self._outgoing(r) for r in fresh])
        for record, offset in zip(fresh, offsets, strict=True):
            partition = self._partition(record)
            if offset <= self._last[partition].offset:
                raise LogChanged
            self._last[partition] = Place(offset, record.position)
        self._record(records[-1].position, {self._partition(r) for r in records})

    def move(self, position: int) -> None:
        """Nothing more is to put up to here."""
        self._record(position, set())

    def hold(self) -> None:
        """Notice a lost lock."""
        self._connection.execute("SELECT")

    def _partition(self, record: StoredRecord) -> int:
        return self._writer.partition(record.stream)

    def _outgoing(self, record: StoredRecord) -> Outgoing:
        event = self._envelope.wrap(record)
        if topic_of(event) == UNREADABLE:
            log.error("relay.unreadable_event", position=record.position)
        return Outgoing(record.stream, serialized(event), headers(event))

    def _resume(self, tails: Mapping[int, Place]) -> tuple[int, int, dict[int, Place]]:
        """The topic's generation, the position to go on from, and what each partition has."""
        with self._connection.transaction():
            progress.choose(self._connection, self._topic)
            rows = self._connection.execute(
                "SELECT partition, record_offset, position FROM relay_progress"
            )
            recorded = {partition: Place(*rest) for partition, *rest in rows}
            if self._is_another(recorded, tails):
                log.warning("relay.topic_is_new", topic=self._topic)
                recorded = self._begin_anew(tails)
            head = self._connection.execute("SELECT generation, position FROM log_head").fetchone()
        assert head is not None
        last = {p: _furthest(recorded.get(p, NOWHERE), tail) for p, tail in tails.items()}
        return head[0], head[1], last

    def _is_another(self, recorded: Mapping[int, Place], tails: Mapping[int, Place]) -> bool:
        """Whether a record is not where it was put: the topic is new, or has lost its tail.

        Tails alone do not tell: records may have been put behind the loss before it was noticed.
        What retention has removed is no loss.
        """
        if any(place.offset > tails.get(p, NOWHERE).offset for p, place in recorded.items()):
            return True
        put = {p: place for p, place in recorded.items() if place.position}
        found = self._writer.read({p: place.offset for p, place in put.items()})
        there = {p: value for p, value in found.items() if value is not None}
        return any(self._told(value)[0] != put[p].position for p, value in there.items())

    def _begin_anew(self, tails: Mapping[int, Place]) -> dict[int, Place]:
        """A new generation begins behind all that is there, and will hold the whole history.

        What is there has gaps nobody knows of: its readers would take later events for applied.
        """
        self._connection.execute("UPDATE log_head SET generation = generation + 1, position = 0")
        self._connection.execute("DELETE FROM relay_progress")
        ends = {partition: tail.offset for partition, tail in tails.items()}
        self._connection.execute(BEGIN_ANEW, (list(ends), list(ends.values())))
        return {partition: Place(end, 0) for partition, end in ends.items()}

    def _stay_apart(self, told: Collection[tuple[int, str]]) -> None:
        """Keep a restored store's new positions apart from those that the topic has told already.

        The next position is drawn beyond the topic's last, so that none ever means two events.
        Raises TopicAhead where the store has gone on since: another topic has to be taken.
        """
        last = max((position for position, _ in told), default=0)
        told_at = max((time for _, time in told), default="")
        row = self._connection.execute("SELECT twinlock_last_id()").fetchone()
        if row is None or row[0] >= last:
            return
        if self._newest_time() > told_at:
            raise TopicAhead
        self._connection.execute(SKIP.encode(), (last,))
        log.error("relay.store_was_restored", topic=self._topic, position=row[0], told=last)

    def _newest_time(self) -> str:
        """When the store's newest event that can be read was appended; empty without any."""
        for (state,) in self._connection.execute(NEWEST.encode()):
            with suppress(stored.Unreadable):
                return str(stored.read(state)["time"])
        return ""

    def _told(self, value: bytes | None) -> tuple[int, str]:
        """Position and time of the event in a record; a forged one says nothing.

        It puts again what may be there; times are of one form, so that they compare.
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


def _furthest(recorded: Place, tail: Place) -> Place:
    """What was recorded, or what a leader put behind it and did not live to record."""
    ahead = tail.offset > recorded.offset and tail.position > recorded.position
    return tail if ahead else recorded


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
