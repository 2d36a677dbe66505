"""A slice of the history: events between two positions or times, of some types, about somebody."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg import Connection

from domain import stored
from domain.facts import wire_names
from domain.refusals import Malformed
from projections.journal import COLUMNS, EVENTS
from workers import history
from workers.ports import StoredRecord

TICKETS_OF = f"""
SELECT {COLUMNS} FROM {EVENTS}
WHERE originator_id = %s AND topic LIKE 'mfa.ticket_opened.v%%'
"""  # noqa: S608 - constants
STEP = 1000


class Unreadable(Exception):
    """An event of the store that is none; the message names its position."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """Which events; bounds are inclusive, None and empty ask for all.

    Types are wire names, without a version. A member's events are those of its stream, of its
    tickets, and those that name it.
    """

    first: int = 1
    last: int | None = None
    since: datetime | None = None
    until: datetime | None = None
    types: frozenset[str] = frozenset()
    member_id: str | None = None
    workspace_id: str | None = None

    def check(self) -> None:
        """Raise Malformed for bounds that hold nothing and for types that nobody knows."""
        if self.last is not None and self.first > self.last:
            raise Malformed("The first position lies behind the last.")
        for name in sorted(self.types - wire_names()):
            raise Malformed(f"{name} is no event type like mfa.bound; docs/events.md lists them.")


@dataclass(frozen=True, slots=True)
class Span:
    """The positions that a slice goes through: behind `after` up to `until`."""

    after: int
    until: int


def span(connection: Connection[Any], wanted: Slice) -> Span:
    """Where to read; raises Malformed for positions beyond the end."""
    wanted.check()
    head = history.head(connection)
    for position in (wanted.first if wanted.first > 1 else 0, wanted.last or 0):
        if position > head:
            raise Malformed(f"Position {position} lies beyond the end, which is {head}.")
    return Span(wanted.first - 1, wanted.last or head)


def read(
    connection: Connection[Any], wanted: Slice, where: Span, tell: Callable[[int, int], None]
) -> Iterator[StoredRecord]:
    """The events of the slice in order; raises Unreadable.

    `tell` is told, every thousand events, how many positions of how many are behind us.
    """
    total = where.until - where.after
    suits = _filter(connection, wanted)
    for number, one in enumerate(history.by_position(connection, where.after, where.until), 1):
        if suits(one):
            yield one
        if number % STEP == 0:
            tell(one.position - where.after, total)
    tell(total, total)


def state_of(one: StoredRecord) -> dict[str, Any]:
    """What is stored of an event; raises Unreadable."""
    try:
        return stored.read(one.state)
    except stored.Unreadable:
        raise unreadable(one) from None


def unreadable(one: StoredRecord) -> Unreadable:
    """Say where it is."""
    return Unreadable(f"the event at position {one.position} cannot be read")


def _filter(connection: Connection[Any], wanted: Slice) -> Callable[[StoredRecord], bool]:
    streams = _streams(connection, wanted.member_id) if wanted.member_id else frozenset()

    def suits(one: StoredRecord) -> bool:
        if wanted.types and one.topic.rpartition(".v")[0] not in wanted.types:
            return False
        state = state_of(one)
        return (
            _in_time(wanted, state)
            and (wanted.member_id is None or _about(wanted.member_id, streams, one, state))
            and (wanted.workspace_id is None or _within(wanted.workspace_id, state))
        )

    return suits


def _in_time(wanted: Slice, state: dict[str, Any]) -> bool:
    if wanted.since is None and wanted.until is None:
        return True
    at = datetime.fromisoformat(state["time"])
    since, until = wanted.since or at, wanted.until or at
    return since <= at <= until


def _about(
    member_id: str, streams: frozenset[str], one: StoredRecord, state: dict[str, Any]
) -> bool:
    return one.stream in streams or state["data"].get("member_id") == member_id


def _within(workspace_id: str, state: dict[str, Any]) -> bool:
    own = state["subject"] == f"workspace/{workspace_id}"
    return bool(own or state["workspace_id"] == workspace_id)


def _streams(connection: Connection[Any], member_id: str) -> frozenset[str]:
    stream = f"member/{member_id}"
    opened = (StoredRecord(*row) for row in connection.execute(TICKETS_OF.encode(), (stream,)))
    tickets = (state_of(one)["data"].get("ticket_id") for one in opened)
    return frozenset({stream, *(f"ticket/{ticket_id}" for ticket_id in tickets)})
