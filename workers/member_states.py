"""The compacted topic of each member's current state, without personal data; erased ones leave it.

One leader follows the store and puts, for each member that something happened to, the state that
its stream has by then. What was put is recorded afterwards: a crash repeats states, and changes
nothing, for a state replaces the one before.
"""

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from threading import Event
from typing import Any

import structlog
from psycopg import Connection

from domain.lockout import cap_until
from domain.member_mfa import MemberMFA
from domain.refusals import Unreadable
from domain.times import rfc3339
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
from workers.schemas import DIALECT

SUFFIX = ".members"
"""What the topic's name adds to that of the events."""
TYPE = "twinlock.member_state.v1"
MODEL = "member-states-v1"
WINDOW = 500
BEAT = 0.25
GATHER = 0.05
"""Seconds between a wake-up and a look: the relay goes first, and a burst is put as one state."""
LOAD = "SELECT position, next_offset FROM progress WHERE model = %s AND log = %s"
SAVE = """
INSERT INTO progress (model, log, partition, position, next_offset) VALUES (%s, %s, 0, %s, %s)
ON CONFLICT (model, log, partition) DO UPDATE SET
    position = excluded.position, next_offset = excluded.next_offset
"""
TIME = {"type": ["string", "null"], "format": "date-time"}
TEXT = {"type": ["string", "null"]}
COUNT = {"type": "integer", "minimum": 0}
SCHEMA_OF_STATE: Mapping[str, Any] = {
    "$schema": DIALECT,
    "title": TYPE,
    "description": "A member's state; of two the one with the higher version is newer.",
    "type": "object",
    "properties": {
        "member_id": {"type": "string"},
        "version": COUNT,
        "time": {"type": "string", "format": "date-time"},
        "status": {"enum": ["not_bound", "bound"]},
        "bound_at": TIME,
        "last_used_at": TIME,
        "lock_until": TIME,
        "recovery_codes_left": COUNT,
        "open_ticket_id": TEXT,
        "epoch": COUNT,
        "workspaces": {"type": "object", "additionalProperties": {"type": "string"}},
    },
    "required": [
        "member_id",
        "version",
        "time",
        "status",
        "bound_at",
        "last_used_at",
        "lock_until",
        "recovery_codes_left",
        "open_ticket_id",
        "epoch",
        "workspaces",
    ],
    "additionalProperties": False,
}

log = structlog.get_logger()
Load = Callable[[str], MemberMFA]


@dataclass(frozen=True, slots=True)
class Done:
    """The position up to which states were put, and each partition's last offset."""

    position: int
    ends: Mapping[int, int]

    @property
    def total(self) -> int:
        """How many records the topic has had."""
        return sum(end + 1 for end in self.ends.values())


class MemberStates:
    """The worker; many may run, and one leads."""

    def __init__(self, store: Followed, connect: Connect, topic: RelayedLog, load: Load) -> None:
        self._store = store
        self._connect = connect
        self._topic = topic
        self._load = load

    def run(self, stop: Event) -> None:
        """Put states until `stop` is set."""
        keep_going("member states", lambda: self.session(stop), stop)

    def session(self, stop: Event) -> None:
        """Lead if nobody else does, until something is lost or `stop` is set."""
        with self._connect() as connection:
            if not takes_lead(connection, f"members {self._topic.name}", stop):
                return
            with closing(self._topic.writer()) as writer, closing(self._store.follow()) as source:
                done = self._resume(connection, writer.ends())
                while not stop.is_set():
                    done = self._beat(connection, writer, source, done)

    def _beat(
        self, connection: Connection[Any], writer: LogWriter, source: Source, done: Done
    ) -> Done:
        head = source.head()
        records = source.events(done.position, WINDOW, head)
        if records:
            try:
                ends = _put(writer, self._states(records), done.ends)
            except LogChanged:
                self._save(connection, Done(0, done.ends))  # all states again
                raise
            return self._save(connection, Done(records[-1].position, ends))
        if head > done.position:
            return self._save(connection, Done(head, done.ends))
        if source.wait(BEAT):
            time.sleep(GATHER)
        connection.execute("SELECT")
        return done

    def _states(self, records: Iterable[StoredRecord]) -> Sequence[Outgoing]:
        names = (record.stream.partition("/") for record in records)
        ids = dict.fromkeys(id_ for kind, _, id_ in names if kind == "member")
        return [found for found in map(self._state, ids) if found is not None]

    def _state(self, member_id: str) -> Outgoing | None:
        try:
            member = self._load(member_id)
        except Unreadable:  # whatever else is wrong ends the session: it may be right soon
            log.error("member_state.unreadable", member_id=member_id)
            return None
        value = None if member.erased else state(member)
        return Outgoing(f"member/{member_id}", value, {"type": TYPE})

    def _resume(self, connection: Connection[Any], ends: Mapping[int, int]) -> Done:
        """Where to go on; a topic that does not hold what was put gets all states again.

        It is a new one, has lost some, or got more from a leader that was deposed or has died.
        """
        row = connection.execute(LOAD, (MODEL, self._topic.name)).fetchone()
        position, put = row or (0, 0)
        if (there := Done(0, ends)).total != put:
            log.warning("member_states.topic_is_another", topic=self._topic.name)
            return there
        return Done(position, ends)

    def _save(self, connection: Connection[Any], done: Done) -> Done:
        connection.execute(SAVE, (MODEL, self._topic.name, done.position, done.total))
        return done


def _put(
    writer: LogWriter, states: Sequence[Outgoing], ends: Mapping[int, int]
) -> Mapping[int, int]:
    """Put states, and answer the new ends.

    Raises LogChanged where they do not lie right behind the last ones: the topic has lost some, or
    a deposed leader has put older ones in between.
    """
    reached = dict(ends)
    for state_, offset in zip(states, writer.put(states), strict=True):
        partition = writer.partition(state_.key)
        if offset != reached[partition] + 1:
            raise LogChanged
        reached[partition] = offset
    return reached


def state(member: MemberMFA) -> bytes:
    """The state as it leaves: compact JSON."""
    told = {
        "member_id": member.id,
        "version": member.version,
        "time": _written(member.updated_at),
        "status": "bound" if member.bound else "not_bound",
        "bound_at": _written(member.bound_at),
        "last_used_at": _written(member.last_used_at),
        "lock_until": _written(_lock_until(member)),
        "recovery_codes_left": member.recovery_codes_left,
        "open_ticket_id": member.open_ticket,
        "epoch": member.epoch,
        "workspaces": dict(member.roles),
    }
    return json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode()


def _lock_until(member: MemberMFA) -> datetime | None:
    """The later end of ladder and cap, whether it is over or not: a state is put once."""
    ends = (member.lock, cap_until(member.failed_at))
    return max(filter(None, ends), default=None)


def _written(at: datetime | None) -> str | None:
    return rfc3339(at, "microseconds")
