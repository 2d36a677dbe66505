"""Browsers' sessions in PostgreSQL: opaque tokens of which only hashes are kept."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from psycopg.types.json import Jsonb

from api.backend import Session
from twinlock.adapters.credentials import hashed
from twinlock.adapters.database import Database, Row

IDLE: Final = timedelta(minutes=30)
"""A session that nobody used for so long has ended."""
NOTICED: Final = timedelta(minutes=1)
"""How exactly the last use is known: not every request writes."""
SCHEMA: Final = """
create table if not exists sessions (
    token_hash bytea primary key,
    id text not null unique,
    kind text not null,
    member_id text,
    claims jsonb not null,
    label text not null,
    created_at timestamptz not null,
    seen_at timestamptz not null,
    expires_at timestamptz not null
);
create index if not exists sessions_member on sessions (member_id);
create index if not exists sessions_expiry on sessions (expires_at);
"""
FIELDS: Final = "id, kind, member_id, claims, label, created_at, seen_at, expires_at"
OPEN: Final = f"""
    with gone as (delete from sessions where id = %s)
    insert into sessions (token_hash, {FIELDS})
    values (%s, %s, %s, %s, %s, %s, %s, %s, %s)
"""  # noqa: S608 - constants
FIND: Final = f"""
    select {FIELDS} from sessions where token_hash = %s and expires_at > %s and seen_at > %s
"""  # noqa: S608 - constants
OF_MEMBER: Final = f"""
    select {FIELDS} from sessions
    where member_id = %s and kind = 'member' and expires_at > %s and seen_at > %s
    order by created_at desc, id
"""  # noqa: S608 - constants
NOTE: Final = "update sessions set claims = jsonb_strip_nulls(claims || %s) where id = %s"
SEEN: Final = "update sessions set seen_at = %s where id = %s and seen_at < %s"
EXPIRED: Final = "expires_at < %s or seen_at < %s"


class StoredSessions:
    """Implements `api.backend.Sessions`; tokens have 256 bits, so one fast hash is enough."""

    schema = (SCHEMA,)

    def __init__(self, database: Database) -> None:
        """Connect nothing yet."""
        self._database = database

    def open(self, session: Session, token: str, *, instead_of: str | None = None) -> None:
        """Make the token mean the session, and end the one that it takes the place of."""
        self._database.execute(
            OPEN,
            (
                instead_of or "",
                hashed(token),
                session.id,
                session.kind,
                session.member_id,
                Jsonb(dict(session.claims)),
                session.label,
                session.created_at,
                session.seen_at,
                session.expires_at,
            ),
        )

    def find(self, token: str, at: datetime) -> Session | None:
        """What the token means; None where it never did or no longer does."""
        row = self._database.fetch_one(FIND, (hashed(token), at, at - IDLE))
        if row is None:
            return None
        session = _session(row)
        if session.seen_at < at - NOTICED:
            self._database.execute(SEEN, (at, session.id, at))
        return session

    def note(self, session_id: str, notes: Mapping[str, Any]) -> None:
        """Add to the claims; None takes one away."""
        self._database.execute(NOTE, (Jsonb(dict(notes)), session_id))

    def of_member(self, member_id: str, at: datetime) -> Sequence[Session]:
        """The member's live sessions, the newest first."""
        rows = self._database.fetch(OF_MEMBER, (member_id, at, at - IDLE))
        return [_session(row) for row in rows]

    def end(self, session_id: str) -> None:
        """End a session; none of that id is no mistake."""
        self._database.execute("delete from sessions where id = %s", (session_id,))

    def prune(self, at: datetime) -> int:
        """Drop what has ended; how many."""
        return self._database.delete("sessions", EXPIRED, (at, at - IDLE))


def _session(row: Row) -> Session:
    return Session(**dict(zip(FIELDS.split(", "), row, strict=True)))
