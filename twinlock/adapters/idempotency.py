"""What became of requests with an `Idempotency-Key`, so that a repeat never acts twice."""

import hashlib
import hmac
from collections.abc import Callable
from typing import Any, Final

from psycopg.types.json import Jsonb

from api.backend import Outcome
from api.refusals import IdempotencyMismatch, InProgress
from domain.refusals import Unavailable
from twinlock.adapters.database import Database, Row, Statement

SCHEMA: Final = """
create table if not exists idempotency (
    caller text not null,
    key text not null,
    route text not null,
    fingerprint bytea not null,
    attempt bigint not null default 1,
    state text not null default 'begun' check (state in ('begun', 'applied', 'finished')),
    status integer,
    position bigint,
    body jsonb,
    created_at timestamptz not null default clock_timestamp(),
    touched_at timestamptz not null default clock_timestamp(),
    primary key (caller, key)
);
create index if not exists idempotency_age on idempotency (created_at);

create or replace function twinlock_mark(
    of_caller text, of_key text, of_attempt bigint, of_status integer, of_body jsonb
) returns void language plpgsql volatile as $$
begin
    update idempotency set state = 'applied', position = twinlock_last_id(),
            status = of_status, body = of_body, touched_at = clock_timestamp()
        where caller = of_caller and key = of_key and attempt = of_attempt
            and state in ('begun', 'applied');
    if not found then
        raise exception 'another attempt has taken the request over';
    end if;
end $$;
"""
KEPT: Final = "24h"
TAKEN_OVER_AFTER: Final = "60s"
SETTLED_AFTER: Final = "5s"
"""An applied request without an outcome after this long has lost its process."""

BEGIN: Final = """
    insert into idempotency as it (caller, key, route, fingerprint, attempt)
    values (%s, %s, %s, %s, (extract(epoch from clock_timestamp()) * 1000000)::bigint)
    on conflict (caller, key) do update
        set route = excluded.route, fingerprint = excluded.fingerprint, attempt = it.attempt + 1,
            state = 'begun', status = null, position = null, body = null,
            created_at = clock_timestamp(), touched_at = clock_timestamp()
        where it.created_at < clock_timestamp() - %s::interval
            or it.state = 'begun' and it.touched_at < clock_timestamp() - %s::interval
                and it.fingerprint = excluded.fingerprint and it.route = excluded.route
    returning attempt
"""
LOOK: Final = """
    select route, fingerprint, state, status, position, body,
        touched_at < clock_timestamp() - %s::interval
    from idempotency where caller = %s and key = %s
"""
FINISH: Final = """
    update idempotency set state = 'finished', status = %s, position = %s, body = %s,
        touched_at = clock_timestamp()
    where caller = %s and key = %s and attempt = %s and state in ('begun', 'applied')
"""
ABANDON: Final = """
    delete from idempotency where caller = %s and key = %s and attempt = %s and state = 'begun'
"""
OLD: Final = "created_at < now() - %s::interval"


class Idempotency:
    """Implements `api.backend.Idempotency`: rows of a day; `finish` is given no secret.

    Each beginning has a number of its own, so that a request that was taken over after a minute of
    silence can no longer commit. It is a time, as what was abandoned is no row to count on from.
    """

    schema = (SCHEMA,)

    def __init__(self, database: Database, derived: Callable[[str], bytes]) -> None:
        """Take the key of the fingerprints from `derived`, at first use."""
        self._database = database
        self._derived = derived

    def begin(self, caller: str, key: str, *, route: str, body: bytes) -> int | Outcome:
        """The attempt, which goes with every later call, or the outcome.

        Raises IdempotencyMismatch where the key was used for another request, and InProgress.
        """
        fingerprint = self.fingerprint(route, body)
        given = (caller, key, route, fingerprint, KEPT, TAKEN_OVER_AFTER)
        row = self._database.fetch_one(BEGIN, given)
        if row is not None:
            return int(row[0])
        found = self._database.fetch_one(LOOK, (SETTLED_AFTER, caller, key))
        if found is None:
            raise _under_way()
        return _outcome(found, route, fingerprint)

    def fingerprint(self, route: str, body: bytes) -> bytes:
        """A keyed HMAC-SHA-256 of route and body: equal requests match, and no secret is kept."""
        key = self._derived("idempotency")
        return hmac.new(key, route.encode() + b"\0" + body, hashlib.sha256).digest()

    def mark(self, caller: str, key: str, attempt: int, outcome: Outcome) -> Statement:
        """A write for `Context.once`: the request took effect. Fails if it was taken over."""
        told = (caller, key, attempt, outcome.status, _json(outcome.body))
        return Statement("select twinlock_mark(%s, %s, %s, %s, %s)", told)

    def finish(self, caller: str, key: str, attempt: int, outcome: Outcome) -> None:
        """Keep the outcome for a day; best effort, as what took effect is marked already."""
        told = (outcome.status, outcome.position, _json(outcome.body))
        self._try(FINISH, *told, caller, key, attempt)

    def abandon(self, caller: str, key: str, attempt: int) -> None:
        """Forget a request that took no effect, so that it may be tried again; best effort."""
        self._try(ABANDON, caller, key, attempt)

    def prune(self) -> int:
        """Drop the rows of more than a day ago; how many."""
        return self._database.delete("idempotency", OLD, (KEPT,))

    def _try(self, sql: str, *params: object) -> None:
        try:
            self._database.execute(sql, params)
        except Unavailable:
            return


def _outcome(row: Row, route: str, fingerprint: bytes) -> Outcome:
    """How the request ended; after a crash, what was known when it took effect."""
    known_route, known, state, status, position, body, settled = row
    if known_route != route or not hmac.compare_digest(bytes(known), fingerprint):
        raise IdempotencyMismatch("Another request was sent under this key.")
    if state == "begun" or status is None or (state == "applied" and not settled):
        raise _under_way()
    return Outcome(status=status, position=position, body=body)


def _json(body: Any) -> Jsonb | None:
    return None if body is None else Jsonb(body)


def _under_way() -> InProgress:
    return InProgress("The first request under this key is not done yet.")
