"""The event table: appends without a table lock, and a reader that never passes over a gap.

Each append holds a shared advisory lock whose key carries the sequence's last value from before
its own ids were drawn. A reader takes S, the sequence's last value, then m, the least key among
the locks held, and then in a new statement reads ids up to min(S, m): whoever drew an id up to S
and is not yet visible holds a lock with a smaller key. Ids of aborted appends stay unused.

The head may go back: a writer that took the sequence's value long ago locks under an old key, and
draws a new id. Below what has been a head nothing is missing ever after, so a page up to there
does not ask again.
"""

import time
from collections.abc import Sequence
from functools import cache
from typing import Any, Final

from eventsourcing.persistence import Notification, StoredEvent
from eventsourcing.postgres import (
    PostgresApplicationRecorder,
    PostgresDatastore,
    PostgresFactory,
)
from psycopg import Connection, sql

from commands.ports import Write
from domain.refusals import Unavailable
from projections.journal import COLUMNS, EVENTS
from twinlock.adapters.database import HASTE, PATIENCE, Database, Row, Statement
from workers.ports import StoredRecord

TAG: Final = 0x5457 << 48
"""High bits of the appends' advisory lock keys."""
SNAPSHOTS: Final = "stored_snapshots"
CHANNEL: Final = "twinlock_events"

FUNCTIONS: Final = f"""
create or replace function twinlock_last_id() returns bigint language sql volatile as $$
    select coalesce(pg_sequence_last_value('{EVENTS}_notification_id_seq'::regclass), 0)
$$;

create or replace function twinlock_head() returns bigint language plpgsql volatile as $$
declare
    last bigint;
    least bigint;
begin
    last := twinlock_last_id();
    select min((classid::bigint << 32 | objid::bigint) & {(1 << 48) - 1}) into least
        from pg_locks
        where locktype = 'advisory' and granted and objsubid = 1
            and classid::bigint >> 16 = {TAG >> 48}
            and database = (select oid from pg_database where datname = current_database());
    return least(last, least);
end $$;

create or replace function twinlock_page(after bigint, until bigint, most bigint)
returns setof {EVENTS} language plpgsql volatile as $$
declare
    head bigint := coalesce(until, twinlock_head());
begin
    return query select * from {EVENTS}
        where notification_id > after and notification_id <= head
        order by notification_id limit most;
end $$;

create or replace function twinlock_still(stream text, version bigint)
returns void language plpgsql volatile as $$
begin
    if version <> (select coalesce(max(originator_version), 0) from {EVENTS}
        where originator_id = stream)
    then raise unique_violation using constraint = '{EVENTS}_pkey';
    end if;
end $$;
"""  # noqa: S608 - the names are constants
# A volatile function takes a new snapshot for each of its statements (PostgreSQL 38.7).

APPEND: Final = f"""
    with held as materialized (select pg_advisory_xact_lock_shared({TAG} | twinlock_last_id()))
    insert into {EVENTS} (originator_id, originator_version, topic, state)
    select mine.* from held, (values {{}}) as mine returning notification_id
"""  # noqa: S608 - the names are constants
# The lock is held before the first row comes out of the join, and each row draws its id after that.
ROW: Final = "(%s::text, %s::bigint, %s::text, %s::bytea)"
HEAD: Final = b"select twinlock_head()"
PAGE: Final = f"select {COLUMNS} from twinlock_page(%s, %s, %s)".encode()  # noqa: S608 - constant
STREAM: Final = f"""
    with snapshot as (
        select originator_version, topic, state from {SNAPSHOTS}
        where originator_id = %s and topic = %s order by originator_version desc limit 1
    )
    select 0, originator_version, topic, state from snapshot
    union all
    (select 1, originator_version, topic, state from {EVENTS} where originator_id = %s
        and originator_version > coalesce((select originator_version from snapshot), 0)
    order by originator_version)
""".encode()  # noqa: S608 - the names are constants
PAIR: Final = b"select 0, * from (%b) as one union all select 1, * from (%b) as other" % (
    STREAM,
    STREAM,
)
SAME: Final = f"""
    select e.notification_id
    from unnest(%s::text[], %s::bigint[], %s::text[], %s::bytea[])
        with ordinality as mine (id, version, topic, state, n)
    join {EVENTS} e on e.originator_id = mine.id and e.originator_version = mine.version
        and e.topic = mine.topic and e.state = mine.state
    order by n
"""  # noqa: S608 - the names are constants


class Datastore(PostgresDatastore):
    """The library's datastore over Twinlock's own pool; it opens no connection by itself."""

    database: Database

    def register_type_adapters(self) -> None:
        """Nothing: events travel as plain values, so no composite type is needed."""

    def close(self) -> None:
        """Nothing: whoever made the pool closes it."""


class Factory(PostgresFactory):
    """The library's PostgreSQL factory, with Twinlock's datastore."""

    def __init__(self, env: Any) -> None:
        """Take names and topics out of `env`; the pool is set by the store."""
        super().__init__(env)
        self.datastore = Datastore("", "", "", "", "", originator_id_type="text")


class Recorder(PostgresApplicationRecorder):
    """Appends in one round trip and reads in order; never tries again by itself."""

    def __init__(self, datastore: PostgresDatastore, *, events_table_name: str = EVENTS) -> None:
        """Keep the library's table and index, with Twinlock's functions."""
        super().__init__(datastore, events_table_name=events_table_name)
        statements = [statement.as_string() for statement in self.sql_create_statements]
        tables = [text for text in statements if "TYPE" not in text and "FUNCTION" not in text]
        self.schema = (*tables, FUNCTIONS)

    @property
    def database(self) -> Database:
        """The pool."""
        assert isinstance(self.datastore, Datastore)
        return self.datastore.database

    def insert_events(
        self, stored_events: Sequence[StoredEvent], *, writes: Sequence[Write] = (), **_: Any
    ) -> Sequence[int]:
        """Commit the events and the writes in one transaction; answers the events' ids.

        Raises psycopg.IntegrityError where a row is taken, else Unavailable. If the connection is
        lost with the commit under way, what is stored decides, and what is left of the usual
        patience is for finding that out.
        """
        deadline = time.monotonic() + PATIENCE
        sent = False
        try:
            with self.database.connection() as connection:
                sent = bool(stored_events)
                return _append(connection, stored_events, writes)
        except Unavailable:
            left = max(HASTE, deadline - time.monotonic())
            if sent and len(ids := self._stored(stored_events, left)) == len(stored_events):
                return ids
            raise

    def select_stream(self, stream: str, snapshot_topic: str) -> list[Row]:
        """Answer (kind, version, topic, state): the newest snapshot as 0, later events as 1."""
        with self.database.connection() as connection:
            return connection.execute(STREAM, (stream, snapshot_topic, stream)).fetchall()

    def select_pair(self, *pair: tuple[str, str]) -> tuple[list[Row], list[Row]]:
        """Answer the same for two streams in one statement; each is given with its topic."""
        (one, its_topic), (other, others_topic) = pair
        values = (one, its_topic, one, other, others_topic, other)
        with self.database.connection() as connection:
            rows = connection.execute(PAIR, values).fetchall()
        return [row[1:] for row in rows if row[0] == 0], [row[1:] for row in rows if row[0] == 1]

    def select_records(self, after: int, limit: int, until: int | None) -> list[StoredRecord]:
        """Answer the next records in the order of their positions, none of them left out.

        `until` has been a head, or lies below one.
        """
        with self.database.connection() as connection:
            rows = connection.execute(PAGE, (after, until, limit)).fetchall()
        return [StoredRecord(*row) for row in rows]

    def select_notifications(
        self,
        start: int | None,
        limit: int,
        stop: int | None = None,
        topics: Sequence[str] = (),
        *,
        inclusive_of_start: bool = True,
    ) -> Sequence[Notification]:
        """Answer the same to the library."""
        after = (start or 0) - (1 if inclusive_of_start else 0)
        return [
            Notification(r.stream, r.version, r.topic, r.state, id=r.position)
            for r in self.select_records(after, limit, stop)
            if not topics or r.topic in topics
        ]

    def max_notification_id(self) -> int:
        """Answer the position up to which every event can be read."""
        with self.database.connection() as connection:
            return _head(connection)

    def select_events(
        self,
        originator_id: Any,
        *,
        gt: int | None = None,
        lte: int | None = None,
        desc: bool = False,
        limit: int | None = None,
    ) -> Sequence[StoredEvent]:
        """Answer a stream's events, without snapshots."""
        query = sql.SQL(
            "select originator_id, originator_version, topic, state from {} where originator_id"
            " = %s and originator_version > %s and originator_version <= %s"
            " order by originator_version {} limit %s"
        ).format(sql.Identifier(self.events_table_name), sql.SQL("desc" if desc else "asc"))
        most = 2**62 if lte is None else lte
        with self.database.connection() as connection:
            rows = connection.execute(query, (originator_id, gt or 0, most, limit)).fetchall()
        return [StoredEvent(*row) for row in rows]

    def _stored(self, events: Sequence[StoredEvent], patience: float) -> list[int]:
        """Answer the ids of these very events, where they are stored."""
        rows = [(e.originator_id, e.originator_version, e.topic, e.state) for e in events]
        columns = [list(column) for column in zip(*rows, strict=True)]
        with self.database.connection(patience) as connection:
            return [row[0] for row in connection.execute(SAME, columns)]


def still(stream: str, version: int) -> Write:
    """A write that fails as a lost race does, unless the stream is at that version."""
    return Statement("select twinlock_still(%s, %s)", (stream, version))


@cache
def append_of(events: int) -> bytes:
    """The statement that appends so many events; they come as rows and not as arrays.

    Adapting arrays costs more than the two or three texts that a process comes to prepare.
    """
    return APPEND.format(", ".join([ROW] * events)).encode()


def _append(
    connection: Connection[Row], events: Sequence[StoredEvent], writes: Sequence[Write]
) -> Sequence[int]:
    """One implicit transaction: between two syncs of a pipeline the server commits once."""
    values = [
        value
        for event in events
        for value in (event.originator_id, event.originator_version, event.topic, event.state)
    ]
    if not writes:
        return [row[0] for row in connection.execute(append_of(len(events)), values)]
    with connection.pipeline():
        ids = connection.execute(append_of(len(events)), values) if events else None
        for write in writes:
            # Where the append fails the server skips what follows, and what it was to prepare.
            connection.execute(write.sql.encode(), write.params, prepare=False)
    return [row[0] for row in ids] if ids else []


def _head(connection: Connection[Row]) -> int:
    row = connection.execute(HEAD).fetchone()
    return int(row[0]) if row else 0
