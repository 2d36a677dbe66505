"""The mails that are due: facts become rows here, without address, code or name."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from psycopg import Connection, Cursor
from psycopg.rows import class_row

from commands.ports import Write
from domain.member_facts import (
    ContactChanged,
    EmailCodeSent,
    Locked,
    MFABound,
    MFAUnbound,
    RecoveryCodesIssued,
    RecoveryCodeSpent,
    TicketClosed,
)
from domain.unbind_ticket import TicketSubmitted
from domain.workspace import PolicyEnforced, PolicyLifted
from projections.journal import EVENTS, Entry
from projections.models import Model

KEY = "mail-v1"
SCHEMA = """
CREATE TABLE IF NOT EXISTS mail_queue (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    position bigint NOT NULL,
    kind text NOT NULL,
    recipient text NOT NULL,
    subject_id text NOT NULL,
    detail text NOT NULL,
    expires_at timestamptz NOT NULL,
    status text NOT NULL DEFAULT 'due',
    attempts int NOT NULL DEFAULT 0,
    next_at timestamptz NOT NULL DEFAULT now(),
    changed_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (position, kind, recipient, subject_id)
);
CREATE INDEX IF NOT EXISTS mail_queue_due ON mail_queue (next_at) WHERE status = 'due';
CREATE INDEX IF NOT EXISTS mail_queue_done ON mail_queue (changed_at) WHERE status <> 'due';
"""
WORTH = timedelta(days=1)
"""How long after the event a mail is still worth sending; a code's ends with the code."""
FORGOTTEN = "status <> 'due' AND changed_at < now() - interval '30 days'"
"""Finished rows that go: events that old are never mailed again anyway."""
OVERDUE = """
SELECT count(*) FROM mail_queue
WHERE status = 'due' AND (next_at < now() - interval '1 minute' OR attempts > 5)
"""
"""Mails that nobody takes, or that nobody takes off our hands."""
LEASE = timedelta(seconds=60)
"""How long a sender that took a row has it for itself."""
FIRST_PAUSE, LONGEST_PAUSE = 2.0, 900.0

TO_MEMBER, TO_PREVIOUS, TO_OWNERS = "member", "previous", "owners"


@dataclass(frozen=True, slots=True)
class Due:
    """A mail to send: its kind is the wire name of the event at `position`.

    `subject_id` is the member written to, or, for owners, the workspace; `detail` is what the
    text needs to know (a purpose, a method, a ticket, a time), or which change of address it is.
    """

    id: int
    position: int
    kind: str
    recipient: str
    subject_id: str
    detail: str
    expires_at: datetime
    attempts: int


ADD = f"""
INSERT INTO mail_queue (position, kind, recipient, subject_id, detail, expires_at)
SELECT %(position)s, %(kind)s, %(recipient)s, %(subject_id)s, %(detail)s, %(expires_at)s
WHERE %(kind)s <> 'mfa.recovery_codes_issued' OR NOT EXISTS (
    SELECT FROM {EVENTS} AS issued JOIN {EVENTS} AS before
        ON before.originator_id = issued.originator_id
        AND before.originator_version = issued.originator_version - 1
    WHERE issued.notification_id = %(position)s AND before.topic LIKE 'mfa.bound.v%%')
ON CONFLICT DO NOTHING
"""  # noqa: S608 - a constant
TAKE = """
UPDATE mail_queue SET next_at = now() + %s, attempts = attempts + 1, changed_at = now()
WHERE id = (
    SELECT id FROM mail_queue WHERE status = 'due' AND next_at <= now()
    ORDER BY next_at, id LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING id, position, kind, recipient, subject_id, detail, expires_at, attempts
"""


def apply(cursor: Cursor[Any], entries: Sequence[Entry]) -> None:
    """Queue what these facts call for; a row that is there, sent or not, stays as it is.

    Codes issued together with a binding are told of in its own mail.
    """
    for entry in sorted(entries, key=lambda e: e.position):
        for row in _mails(entry):
            cursor.execute(ADD, row)


MODEL = Model(KEY, SCHEMA, (), apply)


def take(connection: Connection[Any]) -> Due | None:
    """Take a due row for a minute; if its sender dies it is taken again after that."""
    with connection.cursor(row_factory=class_row(Due)) as cursor:
        return cursor.execute(TAKE, (LEASE,)).fetchone()


def settle(connection: Connection[Any], due: Due, status: str, also: Sequence[Write] = ()) -> None:
    """Finish a row: sent, expired, undeliverable or nobody; what it needed goes along with it."""
    with connection.transaction():
        connection.execute(
            "UPDATE mail_queue SET status = %s, changed_at = now() WHERE id = %s", (status, due.id)
        )
        for write in also:
            connection.execute(write.sql.encode(), write.params)


def put_off(connection: Connection[Any], due: Due, chance: float) -> None:
    """Try again later: pauses double from two seconds to a quarter of an hour, with jitter."""
    pause = min(FIRST_PAUSE * 2 ** min(due.attempts - 1, 20), LONGEST_PAUSE) * (0.5 + chance)
    connection.execute(
        "UPDATE mail_queue SET next_at = now() + %s WHERE id = %s",
        (timedelta(seconds=pause), due.id),
    )


def spread(connection: Connection[Any], due: Due, members: Sequence[str]) -> None:
    """Replace a mail to owners by one to each of them."""
    with connection.transaction():
        for member in members:
            connection.execute(
                ADD,
                {
                    "position": due.position,
                    "kind": due.kind,
                    "recipient": TO_MEMBER,
                    "subject_id": member,
                    "detail": f"{due.subject_id}:{due.detail}",
                    "expires_at": due.expires_at,
                },
            )
        settle(connection, due, "sent")


def _mails(entry: Entry) -> Iterator[dict[str, Any]]:
    """The mails that a fact calls for; none for an event that is too old to be news.

    A change of address is queued all the same: the mailer discards the address that was kept.
    """
    event = entry.event
    expires_at = event.at + WORTH
    if isinstance(event.fact, EmailCodeSent):
        expires_at = event.fact.expires_at
    if expires_at <= datetime.now(UTC) and not isinstance(event.fact, ContactChanged):
        return
    found = _told(entry)
    if found is not None:
        recipient, detail = found
        yield {
            "position": entry.position,
            "kind": entry.type,
            "recipient": recipient,
            "subject_id": _about(entry),
            "detail": detail,
            "expires_at": expires_at,
        }


def _told(entry: Entry) -> tuple[str, str] | None:
    """Who is told of a fact, and what besides its kind."""
    match entry.event.fact:
        case EmailCodeSent(purpose=purpose, challenge_id=challenge_id):
            return TO_MEMBER, f"{purpose}:{challenge_id}"
        case MFABound() | RecoveryCodesIssued() | RecoveryCodeSpent():
            return TO_MEMBER, ""
        case MFAUnbound(method=method):
            return TO_MEMBER, method
        case Locked(until=until):
            return TO_MEMBER, until.isoformat()
        case ContactChanged():
            return TO_PREVIOUS, str(entry.event.version)
        case TicketSubmitted():
            return TO_MEMBER, entry.subject.partition("/")[2]
        case TicketClosed(ticket_id=ticket_id, status=status):
            return TO_MEMBER, f"{status}:{ticket_id}"
        case PolicyEnforced(grace_until=grace_until):
            return TO_OWNERS, grace_until.isoformat() if grace_until else ""
        case PolicyLifted():
            return TO_OWNERS, ""
    return None


def _about(entry: Entry) -> str:
    if isinstance(entry.event.fact, TicketSubmitted):
        return entry.event.fact.member_id
    return entry.stream.partition("/")[2]
