"""The stored history, read by a connection of one's own: in order, by stream, in bounded memory."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from psycopg import Connection

from domain import plain, stored
from projections.journal import COLUMNS, EVENTS, Entry, Told, entry
from workers.ports import StoredRecord

PAGE = 5000
STREAMED = 1000
BY_POSITION = f"""
SELECT {COLUMNS} FROM {EVENTS} WHERE notification_id > %s AND notification_id <= %s
ORDER BY notification_id LIMIT {PAGE}
""".encode()  # noqa: S608 - constants
AT_ONCE = f"""
SELECT {COLUMNS} FROM {EVENTS} WHERE notification_id <= %s ORDER BY notification_id
""".encode()  # noqa: S608 - constants
BY_STREAM = f"""
SELECT {COLUMNS} FROM {EVENTS} WHERE notification_id <= %s
AND split_part(originator_id, '/', 1) = ANY(%s) ORDER BY originator_id, originator_version
""".encode()  # noqa: S608 - constants


def entry_of(record: StoredRecord) -> Entry:
    """As read models meet it; raises UnknownType, or ValueError and such for a bad shape."""
    return entry(
        position=record.position,
        stream=record.stream,
        version=record.version,
        topic=record.topic,
        state=stored.read(record.state),
    )


def told_of(record: StoredRecord) -> Told:
    """The same for what is folded: its fields are all that is asked for."""
    event = plain.read(record.stream, record.version, record.topic, record.state)
    return Told(record.position, event or entry_of(record).event)


def head(connection: Connection[Any]) -> int:
    """The position up to which every event can be read."""
    row = connection.execute("SELECT twinlock_head()").fetchone()
    return int(row[0]) if row else 0


def by_position(connection: Connection[Any], after: int, until: int) -> Iterator[StoredRecord]:
    """The events behind one position up to another, which is no later than the head."""
    with connection.cursor(binary=True) as cursor:
        while True:
            rows = cursor.execute(BY_POSITION, (after, until)).fetchall()
            yield from (StoredRecord(*row) for row in rows)
            if len(rows) < PAGE:
                return
            after = rows[-1][0]


def by_stream(
    connection: Connection[Any], kinds: Sequence[str], until: int
) -> Iterator[StoredRecord]:
    """The events of these kinds of streams up to a position, one whole stream after another."""
    with patient(connection):
        # Along the key, as it has the order: sorting a long history would fill a disk.
        connection.execute("SET LOCAL enable_sort = off")
        yield from _streamed(connection, BY_STREAM, (until, list(kinds)))


def at_once(connection: Connection[Any], until: int) -> Iterator[StoredRecord]:
    """All events up to a position, in order; the connection is good for nothing else meanwhile."""
    yield from _streamed(connection, AT_ONCE, (until,))


def _streamed(
    connection: Connection[Any], query: bytes, values: Sequence[Any]
) -> Iterator[StoredRecord]:
    """Rows that the server goes on sending while the earlier ones are worked on."""
    with connection.cursor(binary=True) as cursor:
        yield from map(StoredRecord._make, cursor.stream(query, values, size=STREAMED))


@contextmanager
def patient(connection: Connection[Any], *, snapshot: bool = False) -> Iterator[None]:
    """A transaction that may idle while others work; `snapshot` sees the same all along."""
    with connection.transaction():
        if snapshot:
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        connection.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
        yield
