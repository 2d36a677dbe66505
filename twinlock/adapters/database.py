"""PostgreSQL connections that fail fast: a frozen server costs seconds and not minutes."""

import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import psycopg
import structlog
from psycopg import Connection, OperationalError
from psycopg.abc import PQGen
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.errors import _WaitTimeout
from psycopg_pool import ConnectionPool, PoolClosed, PoolTimeout, TooManyRequests

from domain.refusals import Unavailable

PATIENCE = 2.0
"""Seconds that a request waits for a connection, and for a statement."""
HASTE = 0.2
"""Seconds that a request waits for a connection while the database is known to be away."""
WHY_AWAY = {
    "password": "the server refused the password, or knows no such role",
    'role ".*" does not exist': "the server knows no such role",
    'database ".*" does not exist': "the server has no such database",
    "too many |connection slots": "the server lends no more connections (see max_connections)",
    "pg_hba": "the server lets nobody in from here, as this role, or without TLS (pg_hba.conf)",
    "SSL|certificate": "no TLS comes about: see sslmode and sslrootcert, and the certificate",
    "resolve host|translate host": "no host is found by that name",
    "Connection refused|No such file": "nobody listens there",
}
"""What a failure to connect is called, by a word of the driver's, the most telling first."""
MOST_DELETED = 1000
MIGRATION = 0x54574D4947
"""Key of the advisory lock under which the schema is made."""

SLOW = (psycopg.errors.QueryCanceled, psycopg.errors.LockNotAvailable)
"""Errors of a statement that took too long, on a connection that is well."""

BY_INDEX = (
    "-c enable_seqscan=off -c enable_bitmapscan=off -c jit=off"
    " -c plan_cache_mode=force_generic_plan"
)
"""For a pool that asks by key only: a plan must not change with the statistics of the day."""

OURS = r"-c default_transaction_isolation=read\ committed -c DateStyle=ISO -c timezone=UTC"
"""What our statements and the driver count on, whatever is usual on the server."""

log = structlog.get_logger()
T = TypeVar("T")
Row = tuple[Any, ...]

SCHEMA_VERSION = 2
"""Raised by one with every change of the DDL: a process refuses a database that is behind it."""
VERSIONS = """
create table if not exists schema_version (
    one boolean primary key default true check (one),
    version integer not null
)
"""
PUT_VERSION = """
    insert into schema_version (version) values (%s)
    on conflict (one) do update set version = excluded.version
"""


@dataclass(frozen=True, slots=True)
class Statement:
    """SQL with its parameters, to be committed together with an append."""

    sql: str
    params: Sequence[Any] = field(default=(), repr=False)


class PatientConnection(Connection[Row]):
    """A connection that gives up on a server that doesn't answer, even if TCP still does."""

    patience: float = PATIENCE + 0.5

    def wait(self, gen: PQGen[T], interval: float = 0.1, timeout: float | None = None) -> T:
        """Consume a libpq generator, for at most `patience` seconds."""
        try:
            return super().wait(gen, interval, self.patience if timeout is None else timeout)
        except _WaitTimeout:
            self.pgconn.finish()
            raise OperationalError("the server does not answer") from None


def connect_arguments(
    uri: str, *, statement_seconds: float = PATIENCE, more: str = ""
) -> dict[str, Any]:
    """What psycopg is to connect with: `uri` with time limits on both sides of the wire.

    Transactions see what others commit meanwhile: readers and writers of the events rely on it.
    Times come in UTC: the last hours that Python knows have no place in zones east of it.
    """
    given = conninfo_to_dict(uri)
    limit = int(statement_seconds * 1000)
    options = (
        f"{given.get('options') or ''} -c statement_timeout={limit} "
        f"-c lock_timeout={min(limit, 2000) if limit else 2000} "
        f"-c idle_in_transaction_session_timeout=5000 {OURS} {more}"
    )
    defaults = {
        "connect_timeout": 2,
        "keepalives_idle": 2,
        "keepalives_interval": 1,
        "keepalives_count": 3,
        "tcp_user_timeout": 3000,
        "application_name": "twinlock",
    }
    return {**defaults, **given, "options": options.strip(), "client_encoding": "UTF8"}


class Database:
    """A pool of connections in autocommit mode; whatever goes wrong with one is Unavailable."""

    def __init__(self, uri: str, *, size: int = 8, options: str = "") -> None:
        """Make the pool, and open it at first use: after a fork, and with the server away.

        `options` are the server's settings for these connections, as `-c name=value`.
        """
        self.uri = uri
        self._pool: ConnectionPool[PatientConnection] = ConnectionPool(
            make_conninfo(**connect_arguments(uri, more=options)),
            connection_class=PatientConnection,
            kwargs={"autocommit": True},
            min_size=1,
            max_size=size,
            open=False,
            timeout=PATIENCE,
            reconnect_timeout=2,
            num_workers=2,
        )
        self._opening = threading.Lock()
        self._away_since: float | None = None

    @contextmanager
    def connection(self, patience: float | None = None) -> Iterator[Connection[Row]]:
        """Lend a connection; raises Unavailable, also for what fails inside the block.

        `patience` is how many seconds to wait for one, where it is not the usual. Errors of
        integrity pass: they are answers.
        """
        if patience is None:
            patience = HASTE if self._away_since else PATIENCE
        if self._pool.closed:
            self._open()
        try:
            # Not `connection()`: under autocommit there is nothing for it to commit.
            lent = self._pool.getconn(timeout=patience)
            try:
                yield lent
            finally:
                self._pool.putconn(lent)
            self._note_return()
        except psycopg.IntegrityError:
            raise
        except (psycopg.Error, PoolClosed, PoolTimeout, TooManyRequests) as error:
            self._note(error)
            raise Unavailable("The database did not answer.", retry_after=1) from error

    def fetch(self, sql: str, params: Sequence[Any] = ()) -> list[Row]:
        """Answer the rows of one statement, committed."""
        with self.connection() as connection:
            return connection.execute(sql.encode(), params).fetchall()

    def fetch_one(self, sql: str, params: Sequence[Any] = ()) -> Row | None:
        """Answer the first row of one statement, committed; None where there is none."""
        with self.connection() as connection:
            return connection.execute(sql.encode(), params).fetchone()

    def execute(self, sql: str, params: Sequence[Any] = ()) -> int:
        """Run one statement, committed, and answer how many rows it touched."""
        with self.connection() as connection:
            return connection.execute(sql.encode(), params).rowcount

    def delete(self, table: str, where: str, params: Sequence[Any] = ()) -> int:
        """Delete rows by the thousand, each committed, so that no backlog is too much; how many."""
        sql = (
            f"delete from {table} where ctid = any(array("  # noqa: S608 - names and conditions
            f"select ctid from {table} where {where} limit {MOST_DELETED} for update skip locked))"
        )
        deleted = gone = self.execute(sql, params)
        while gone == MOST_DELETED:
            gone = self.execute(sql, params)
            deleted += gone
        return deleted

    def close(self) -> None:
        """Close every connection."""
        self._pool.close(timeout=2)

    def _open(self) -> None:
        with self._opening:
            if self._pool.closed:
                self._pool.open(wait=False)

    def _note(self, error: Exception) -> None:
        """After a failure of the connection, trust no other one of the pool; say so once."""
        if not isinstance(error, OperationalError) or isinstance(error, SLOW):
            sqlstate = getattr(error, "sqlstate", None)
            log.error("database.refused", reason=type(error).__name__, sqlstate=sqlstate)
            return
        if self._away_since is None:
            self._away_since = time.monotonic()
            log.error("database.away", reason=type(error).__name__)
        if not isinstance(error, PoolTimeout | TooManyRequests | PoolClosed):
            self._pool.drain()

    def _note_return(self) -> None:
        """The database answers; after a failure, say so once."""
        if self._away_since is not None:
            noticed = round(time.monotonic() - self._away_since, 1)  # not when it came back
            log.info("database.back", noticed_after_seconds=noticed)
            self._away_since = None


def told(error: Unavailable | psycopg.Error, uri: str) -> str:
    """One line about what went wrong, in words of ours: the driver's may hold the URI."""
    if isinstance(error, Unavailable):
        if not isinstance(error.__cause__, psycopg.Error):
            return error.detail or "not available now"
        error = error.__cause__
    if not isinstance(error, OperationalError):
        return f"DATABASE: the server refused ({type(error).__name__})"
    try:
        psycopg.connect(**connect_arguments(uri)).close()
    except OperationalError as failed:
        said = (words for mark, words in WHY_AWAY.items() if re.search(mark, str(failed)))
        return f"DATABASE: {next(said, 'no connection comes about')}"
    return "DATABASE: the server did not answer in time"


class Unfit(Exception):
    """The database must not hold a system of record; the message is one line."""


def refuse_standby(connection: Connection[Any]) -> None:
    """Raise Unfit for a server that takes no writes."""
    if _setting(connection, "transaction_read_only") == "on":
        raise Unfit("DATABASE: the server takes no writes; is it a standby?")


def refuse_forgetful(connection: Connection[Any]) -> None:
    """Raise Unfit for a server that may forget what it acknowledged."""
    for name in ("fsync", "synchronous_commit", "full_page_writes"):
        if _setting(connection, name) == "off":
            raise Unfit(f"DATABASE: the server has {name} off and could lose acknowledged events.")


def _setting(connection: Connection[Any], name: str) -> str:
    row = connection.execute("select current_setting(%s)", [name]).fetchone()
    return str(row[0]) if row else ""


def refuse_other_letters(connection: Connection[Any]) -> None:
    """Raise Unfit for a database that cannot hold every text, such as a signed note."""
    encoding = _setting(connection, "server_encoding")
    if encoding != "UTF8":
        raise Unfit(f"DATABASE: its encoding is {encoding} and has to be UTF8")


def refuse_unmade(connection: Connection[Any]) -> None:
    """Raise Unfit for a database without Twinlock's schema, or with one of an earlier release."""
    if _version(connection) < SCHEMA_VERSION:
        raise Unfit("DATABASE: there is no schema, or an earlier release's; run: twinlock migrate")


def migrate(uri: str, schema: Sequence[str], *, then: Callable[[Connection[Row]], None]) -> None:
    """Make the schema once, in one transaction, however many processes try at the same time.

    `schema` is idempotent DDL; `then` writes the first rows in the same transaction. Raises Unfit,
    also where a table is not to be had within two seconds: whoever serves waits behind it.
    """
    arguments = connect_arguments(uri, statement_seconds=0)
    with psycopg.connect(**arguments) as connection:
        refuse_standby(connection)
        refuse_forgetful(connection)
        refuse_other_letters(connection)
        connection.execute("set local lock_timeout = 0")
        connection.execute("select pg_advisory_xact_lock(%s)", [MIGRATION])
        connection.execute("set local lock_timeout = '2s'")
        connection.execute("set local client_min_messages = warning")
        try:
            if _version(connection) < SCHEMA_VERSION:  # even what is there would take its tables
                for ddl in (*schema, VERSIONS):
                    connection.execute(ddl.encode())
                connection.execute(PUT_VERSION, [SCHEMA_VERSION])
            then(connection)
        except (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected):
            raise Unfit("DATABASE: somebody holds a table for long; try again later") from None


def _version(connection: Connection[Any]) -> int:
    """Of the schema; 0 where there is none."""
    row = connection.execute("select to_regclass('schema_version')").fetchone()
    if row is None or row[0] is None:
        return 0
    row = connection.execute("select version from schema_version").fetchone()
    return int(row[0]) if row else 0
