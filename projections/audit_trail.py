"""The audit trail: one row for each event, in the order of positions."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg import Connection, Cursor
from psycopg.rows import class_row
from psycopg.sql import SQL, Composed
from pydantic_core import to_json

from projections.journal import Entry
from projections.progress import Connections, complete_up_to
from projections.standing import columns

KEY = "audit_trail-v1"
PAGE = 500
SCHEMA = """
CREATE TABLE IF NOT EXISTS audit_trail_v1 (
    position bigint PRIMARY KEY,
    time timestamptz NOT NULL,
    type text NOT NULL,
    actor_kind text NOT NULL,
    actor_id text,
    subject text NOT NULL,
    workspace_id text,
    member_id text,
    ticket_id text,
    request_id text NOT NULL,
    result text NOT NULL,
    data jsonb NOT NULL
);
CREATE INDEX IF NOT EXISTS audit_workspace_v1 ON audit_trail_v1 (workspace_id, position);
CREATE INDEX IF NOT EXISTS audit_member_v1 ON audit_trail_v1 (member_id, position);
CREATE INDEX IF NOT EXISTS audit_ticket_v1 ON audit_trail_v1 (ticket_id, position)
    WHERE ticket_id IS NOT NULL;
CREATE INDEX IF NOT EXISTS audit_actor_v1 ON audit_trail_v1 (actor_id, position);
CREATE INDEX IF NOT EXISTS audit_type_v1 ON audit_trail_v1 (type, position);
CREATE INDEX IF NOT EXISTS audit_time_v1 ON audit_trail_v1 (time);
"""
TABLES = ("audit_trail_v1",)
REFUSED = frozenset(
    {"mfa.code_rejected", "mfa.email_code_rejected", "mfa.locked", "ticket.rejected"}
)
PUT = """
INSERT INTO audit_trail_v1
SELECT * FROM unnest(
    %b::bigint[], %b::timestamptz[], %b::text[], %b::text[], %b::text[], %b::text[], %b::text[],
    %b::text[], %b::text[], %b::text[], %b::text[],
    %b::text[]::jsonb[])
ON CONFLICT (position) DO UPDATE SET member_id = excluded.member_id
    WHERE audit_trail_v1.member_id IS NULL AND excluded.member_id IS NOT NULL
"""
FILTERS = {
    "workspace_id": SQL("workspace_id = %(workspace_id)s"),
    "member_id": SQL("member_id = %(member_id)s"),
    "ticket_id": SQL("ticket_id = %(ticket_id)s"),
    "actor": SQL("actor_id = %(actor)s"),
    "type": SQL("type = %(type)s"),
    "since": SQL(
        "time >= %(since)s AND position >= (SELECT position FROM audit_trail_v1"
        " WHERE time >= %(since)s - interval '1 day' ORDER BY time LIMIT 1)"
    ),
    "until": SQL(
        "time <= %(until)s AND position <= (SELECT position FROM audit_trail_v1"
        " WHERE time <= %(until)s + interval '1 day' ORDER BY time DESC LIMIT 1)"
    ),
}
"""Times follow positions as far as clocks agree, so a trail is not read from its other end."""
COLUMNS = SQL(
    "SELECT position, time, type, actor_kind, actor_id, subject, workspace_id, member_id,"
    " ticket_id, request_id, result, data FROM audit_trail_v1"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What happened; `result` is ok or refused, `data` the event's own fields."""

    position: int
    time: datetime
    type: str
    actor_kind: str
    actor_id: str | None
    subject: str
    workspace_id: str | None
    member_id: str | None
    ticket_id: str | None
    request_id: str
    result: str
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """What to look for; `since` and `until` are inclusive, None asks for everything.

    An event whose clock was more than a day wrong is found by its place, and not by its time.
    """

    workspace_id: str | None = None
    member_id: str | None = None
    ticket_id: str | None = None
    actor: str | None = None
    type: str | None = None
    since: datetime | None = None
    until: datetime | None = None


def apply(cursor: Cursor[Any], entries: Sequence[Entry]) -> None:
    """Add a row for each entry that has none."""
    if entries:
        members = _members_of_tickets(cursor, entries)
        unique = {entry.position: entry for entry in entries}
        rows = [row(unique[position], members) for position in sorted(unique)]
        cursor.execute(PUT, columns(rows))


def page(
    connection: Connection[Any],
    wanted: Filter,
    *,
    after: int = 0,
    until: int | None = None,
    limit: int = 50,
) -> list[Row]:
    """A page of rows behind the position `after`, up to where the trail is complete.

    Beyond that a cursor might step over a late row. `until` is a position up to which it has been
    complete: while a log is read again it is not said to be, and the rows are there all the same.
    """
    asked, values = matching(wanted)
    last = complete_up_to(connection, KEY) if until is None else until
    query = COLUMNS + SQL(
        " WHERE position > %(after)s AND position <= %(last)s{} ORDER BY position LIMIT %(limit)s"
    ).format(asked)
    with connection.cursor(row_factory=class_row(Row)) as cursor:
        values |= {"after": after, "last": last, "limit": limit}
        return cursor.execute(query, values).fetchall()


def rows(pool: Connections, wanted: Filter, *, after: int = 0, until: int) -> Iterator[Row]:
    """Every row behind `after` up to `until`, a position up to which the trail has been complete.

    Page after page, each on a connection of the moment: a slow reader holds none.
    """
    while after < until:
        with pool.connection() as connection:
            found = page(connection, wanted, after=after, until=until, limit=PAGE)
        yield from found
        after = found[-1].position if len(found) == PAGE else until


def matching(wanted: Filter) -> tuple[Composed, dict[str, Any]]:
    """Conditions to put behind a first one, with their values."""
    asked = {name: getattr(wanted, name) for name in FILTERS}
    values = {name: value for name, value in asked.items() if value is not None}
    return SQL("").join(SQL(" AND {}").format(FILTERS[name]) for name in values), values


def row(entry: Entry, members: Mapping[str, str]) -> tuple[Any, ...]:
    """An event as its row holds it; `members` are those of tickets, by the tickets' ids."""
    event = entry.event
    kind, _, id_ = entry.subject.partition("/")
    ticket_id = id_ if kind == "ticket" else entry.data.get("ticket_id")
    return (
        entry.position,
        event.at,
        entry.type,
        event.actor.kind,
        event.actor.id,
        entry.subject,
        id_ if kind == "workspace" else event.workspace_id,
        _member(entry, members),
        ticket_id,
        event.request_id,
        "refused" if entry.type in REFUSED else "ok",
        to_json(entry.data).decode(),
    )


def _member(entry: Entry, members: Mapping[str, str]) -> str | None:
    kind, _, id_ = entry.subject.partition("/")
    if kind == "member":
        return id_
    named: str | None = entry.data.get("member_id")
    return named or members.get(id_)


def _members_of_tickets(cursor: Cursor[Any], entries: Sequence[Entry]) -> dict[str, str]:
    """Whose the tickets are that these entries speak of: it is said once, at submission."""
    ids = {e.subject.partition("/")[2] for e in entries if e.subject.startswith("ticket/")}
    if not ids:
        return {}
    cursor.execute(
        "SELECT ticket_id, member_id FROM audit_trail_v1"
        " WHERE ticket_id = ANY(%s) AND type = 'ticket.submitted'",
        (sorted(ids),),
    )
    filed = {
        e.subject.partition("/")[2]: e.data["member_id"]
        for e in entries
        if e.type == "ticket.submitted"
    }
    return {**dict(cursor.fetchall()), **filed}
