"""The relay: puts every event on the log, in order, by one leader at a time."""

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from threading import Event
from typing import Any

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
SKIP = f"SELECT setval('{EVENTS}_notification_id_seq', %s)"

log = structlog.get_logger()


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
        tails = writer.tails()
        self._stay_apart(tails)
        self._offsets = {partition: offset for partition, (offset, _) in tails.items()}
        self._generation, self.position = self._resume()
        self._put = self._there_already(tails)

    def put(self, records: Sequence[StoredRecord]) -> None:
        """Put what is not there yet, then record it; raises LogChanged if offsets went back."""
        fresh = [r for r in records if r.position > self._put.get(self._partition(r), 0)]
        offsets = self._writer.put([self._outgoing(r) for r in fresh])
        for record, offset in zip(fresh, offsets, strict=True):
            partition = self._partition(record)
            if offset <= self._offsets.get(partition, -1):
                raise LogChanged
            self._offsets[partition] = offset
            self._put[partition] = record.position
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

    def _resume(self) -> tuple[int, int]:
        """The topic's generation and the position to go on from; a shorter topic is a new one."""
        with self._connection.transaction():
            progress.choose(self._connection, self._topic)
            rows = self._connection.execute("SELECT partition, record_offset FROM relay_progress")
            recorded = dict(rows.fetchall())
            if any(offset > self._offsets.get(p, -1) for p, offset in recorded.items()):
                log.warning("relay.topic_is_new", topic=self._topic)
                self._connection.execute(
                    "UPDATE log_head SET generation = generation + 1, position = 0"
                )
                self._connection.execute("DELETE FROM relay_progress")
            head = self._connection.execute("SELECT generation, position FROM log_head").fetchone()
        assert head is not None
        return head[0], head[1]

    def _there_already(self, tails: Mapping[int, tuple[int, bytes | None]]) -> dict[int, int]:
        """The last position in each partition, out of its last record and what was recorded."""
        rows = self._connection.execute("SELECT partition, position FROM relay_progress")
        put: Counter[int] = Counter(dict(rows.fetchall()))
        for partition, tail in tails.items():
            put[partition] = max(put[partition], self._told(tail)[0])
        return dict(put)

    def _stay_apart(self, tails: Mapping[int, tuple[int, bytes | None]]) -> None:
        """Keep a restored store's new positions apart from those that the topic has told already.

        The next position is drawn beyond the topic's last, so that none ever means two events.
        Raises TopicAhead where the store has gone on since: another topic has to be taken.
        """
        told = [self._told(tail) for tail in tails.values()]
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

    def _told(self, tail: tuple[int, bytes | None]) -> tuple[int, str]:
        """Position and time of a partition's last event; a forged one says nothing.

        It puts again what may be there; times are of one form, so that they compare.
        """
        try:
            event = self._envelope.unwrap(tail[1] or b"")
            return int(event["id"]), str(event.get("time", ""))
        except Forged:
            return 0, ""

    def _record(self, position: int, partitions: set[int]) -> None:
        places = sorted(partitions)
        offsets, put = [self._offsets[p] for p in places], [self._put[p] for p in places]
        told = (position, self._topic, self._generation, places, offsets, put)
        if self._connection.execute(RECORD, told).fetchone() is None:
            raise Deposed
        self.position = position


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
