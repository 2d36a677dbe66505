"""Bearer tokens in PostgreSQL, of which only SHA-256 hashes are kept."""

import hashlib
import time
from collections.abc import Sequence
from typing import Any, Final

from psycopg.types.json import Jsonb

from commands.ports import Credential
from twinlock.adapters.database import Database, Row, Statement

SCHEMA: Final = """
create table if not exists credentials (
    token_hash bytea primary key,
    kind text not null,
    subject text not null,
    claims jsonb not null,
    expires_at timestamptz,
    created_at timestamptz not null default clock_timestamp()
);
create index if not exists credentials_subject on credentials (kind, subject);
create index if not exists credentials_expiry on credentials (expires_at);
create table if not exists credential_decoys (
    token_hash bytea primary key,
    position bigint not null,
    created_at timestamptz not null default clock_timestamp()
);
create index if not exists credential_decoys_age on credential_decoys (created_at);
"""
KEPT: Final = "api"
"""The kind that is kept for `KEEP` seconds; a revoked one must end within five, everywhere."""
KEEP: Final = 1.0
MOST_KEPT: Final = 1000
FIND: Final = """
    select kind, subject, claims, expires_at from credentials
    where token_hash = %s and kind = %s and (expires_at is null or expires_at > clock_timestamp())
"""
SPEND: Final = """
    delete from credentials
    where token_hash = %s and kind = %s and (expires_at is null or expires_at > clock_timestamp())
    returning kind, subject, claims, expires_at
"""
OF_KIND: Final = """
    select kind, subject, claims, expires_at from credentials
    where kind = %s and (expires_at is null or expires_at > clock_timestamp())
    order by created_at
"""
BY_SUBJECT: Final = """
    select kind, subject, claims, expires_at from credentials
    where kind = %s and subject = %s and (expires_at is null or expires_at > clock_timestamp())
    order by created_at desc limit 1
"""
EXPIRED: Final = "expires_at < now()"
OLD_DECOY: Final = "created_at < now() - interval '1 minute'"


class HashedCredentials:
    """Implements `commands.ports.Credentials`; tokens have 256 bits, so one fast hash is enough."""

    schema = (SCHEMA,)

    def __init__(self, database: Database) -> None:
        """Connect nothing yet."""
        self._database = database
        self._fresh: dict[bytes, tuple[float, Credential]] = {}

    def issue(self, credential: Credential, token: str) -> Statement:
        """A write that makes the token mean something."""
        return Statement(
            "insert into credentials (token_hash, kind, subject, claims, expires_at)"
            " values (%s, %s, %s, %s, %s)",
            (
                hashed(token),
                credential.kind,
                credential.subject,
                Jsonb(dict(credential.claims)),
                credential.expires_at,
            ),
        )

    def find(self, kind: str, token: str) -> Credential | None:
        """What a token of that kind means; None where it never did or no longer does."""
        if kind == KEPT:
            return self._kept(hashed(token))
        return self._one(FIND, (hashed(token), kind))

    def by_subject(self, kind: str, subject: str) -> Credential | None:
        """The newest live credential about a subject."""
        return self._one(BY_SUBJECT, (kind, subject))

    def of_kind(self, kind: str) -> Sequence[Credential]:
        """Every live credential of a kind, oldest first."""
        return [_credential(row) for row in self._database.fetch(OF_KIND, (kind,))]

    def spend(self, kind: str, token: str) -> Credential | None:
        """Find and take away in one statement: of many at once, one gets it."""
        return self._one(SPEND, (hashed(token), kind))

    def withdraw(self, kind: str, subject: str) -> Statement:
        """A write that ends every token of that kind about the subject."""
        self._fresh.clear()
        return Statement(
            "delete from credentials where kind = %s and subject = %s", (kind, subject)
        )

    def decoy(self) -> Statement:
        """A write that costs what a real one costs, and means nothing.

        It draws a position, as an event does: the head tells nobody which of them it was.
        """
        return Statement(
            "insert into credential_decoys (token_hash, position) values"
            " (sha256(gen_random_uuid()::text::bytea), nextval(%s::regclass))",
            ("stored_events_notification_id_seq",),
        )

    def prune(self) -> int:
        """Drop what expired and the decoys of more than a minute ago; how many."""
        expired = self._database.delete("credentials", EXPIRED)
        return expired + self._database.delete("credential_decoys", OLD_DECOY)

    def _kept(self, token_hash: bytes) -> Credential | None:
        """A host sends its one token with every call: it is looked up once a second."""
        known = self._fresh.get(token_hash)
        if known and time.monotonic() - known[0] < KEEP:
            return known[1]
        found = self._one(FIND, (token_hash, KEPT))
        if len(self._fresh) >= MOST_KEPT:
            self._fresh.clear()
        if found is not None:
            self._fresh[token_hash] = (time.monotonic(), found)
        return found

    def _one(self, sql: str, params: Sequence[Any]) -> Credential | None:
        row = self._database.fetch_one(sql, params)
        return None if row is None else _credential(row)


def _credential(row: Row) -> Credential:
    kind, subject, claims, expires_at = row
    return Credential(kind=kind, subject=subject, claims=claims, expires_at=expires_at)


def hashed(token: str) -> bytes:
    """What is kept of a token."""
    return hashlib.sha256(token.encode()).digest()
