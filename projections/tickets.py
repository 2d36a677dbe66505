"""Tickets as agents and requesters see them, less their text, which only the vault has."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from psycopg import Connection, Cursor
from psycopg.sql import SQL
from pydantic import TypeAdapter

from domain import unbind_ticket
from domain.unbind_ticket import UnbindTicket
from projections.folding import Folding
from projections.journal import Entry
from projections.standing import columns

KEY = "tickets-v1"
SCHEMA = """
CREATE TABLE IF NOT EXISTS tickets_v1 (
    id text PRIMARY KEY,
    version bigint NOT NULL,
    position bigint NOT NULL,
    filed_at bigint NOT NULL,
    status text NOT NULL,
    assignee text,
    member_id text NOT NULL,
    state jsonb NOT NULL
);
CREATE INDEX IF NOT EXISTS tickets_queue_v1 ON tickets_v1 (status, filed_at);
CREATE INDEX IF NOT EXISTS tickets_assignee_v1 ON tickets_v1 (assignee, filed_at);
CREATE INDEX IF NOT EXISTS tickets_order_v1 ON tickets_v1 (filed_at);
"""
TABLES = ("tickets_v1",)
TICKETS = Folding(
    "ticket", "tickets_v1", UnbindTicket, unbind_ticket.evolve, TypeAdapter(UnbindTicket)
)
PUT = """
INSERT INTO tickets_v1 (id, version, position, filed_at, status, assignee, member_id, state)
SELECT * FROM unnest(
    %b::text[], %b::bigint[], %b::bigint[], %b::bigint[], %b::text[], %b::text[], %b::text[],
    %b::text[]::jsonb[])
ON CONFLICT (id) DO UPDATE SET
    version = excluded.version, position = excluded.position, status = excluded.status,
    assignee = excluded.assignee, state = excluded.state
"""


@dataclass(frozen=True, slots=True)
class Row:
    """A ticket, and its place in the queue (a cursor)."""

    ticket: UnbindTicket
    place: int


def apply(cursor: Cursor[Any], entries: Sequence[Entry]) -> None:
    """Fold a batch into the rows; entries that the rows have change nothing."""
    filed = {e.stream: e.position for e in entries if e.type == "ticket.submitted"}
    folded = TICKETS.fold(cursor, entries)
    if folded:
        rows = [ticket_row(f.after, f.position, f.position) for f in folded]
        cursor.execute(PUT, columns(rows))
    _place(cursor, filed)


def ticket_row(after: UnbindTicket, position: int, filed_at: int) -> tuple[Any, ...]:
    """A ticket as its row holds it; positions of its newest event and of its submission."""
    return (
        after.id,
        after.version,
        position,
        filed_at,
        after.status,
        after.assignee,
        after.member_id,
        TICKETS.write(after),
    )


def _place(cursor: Cursor[Any], filed: dict[str, int]) -> None:
    """Queue by the position of the submission, however the batches were cut."""
    if filed:
        cursor.execute(
            "UPDATE tickets_v1 AS t SET filed_at = new.filed_at"
            " FROM unnest(%b::text[], %b::bigint[]) AS new (id, filed_at)"
            " WHERE t.id = new.id AND t.filed_at <> new.filed_at",
            ([stream.partition("/")[2] for stream in filed], list(filed.values())),
        )


def queue(
    connection: Connection[Any],
    *,
    statuses: Sequence[str] = (),
    assignee: str | None = None,
    after: int = 0,
    limit: int = 50,
) -> list[Row]:
    """A page of tickets, oldest first, those behind the place `after`; of any status without."""
    asked = [SQL("filed_at > %(after)s")]
    if statuses:
        asked.append(SQL("status = ANY(%(statuses)s)"))
    if assignee:
        asked.append(SQL("assignee = %(assignee)s"))
    query = SQL(
        "SELECT state::text, filed_at FROM tickets_v1 WHERE {} ORDER BY filed_at LIMIT %(limit)s"
    ).format(SQL(" AND ").join(asked))
    values = {"statuses": list(statuses), "assignee": assignee, "after": after, "limit": limit}
    return [Row(TICKETS.read(state), place) for state, place in connection.execute(query, values)]
