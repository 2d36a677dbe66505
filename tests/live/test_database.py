"""A database that is frozen, killed or restarted costs seconds, and is found again by itself."""

import hashlib
import os
import signal
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from pydantic import SecretStr

from domain.member_facts import Registered
from domain.member_mfa import MemberMFA
from domain.refusals import Unavailable
from tests.live.test_store import context
from tests.support.built import a_master_key, some_settings
from tests.support.parts import temporary_folder
from twinlock.adapters.database import (
    SCHEMA_VERSION,
    Database,
    Unfit,
    refuse_forgetful,
    refuse_standby,
    told,
)
from twinlock.composition import Twinlock, build
from twinlock.dev.postgres import Postgres

pytestmark = pytest.mark.live

KEY = SecretStr(a_master_key())
SOON = 8.0
"""Seconds; a busy machine takes some, but what hangs for a frozen server takes far more."""
NEVER = 60.0


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    """A server of these tests' own, to be harmed."""
    with temporary_folder() as folder:
        postgres = Postgres(folder / "postgres")
        postgres.start()
        yield postgres
        postgres.stop()


@pytest.fixture
def built(server: Postgres) -> Iterator[Twinlock]:
    twinlock = build(some_settings(server.uri, master_key=KEY))
    twinlock.migrate()
    yield twinlock
    twinlock.close()


def seconds_until_served(twinlock: Twinlock) -> float:
    begun = time.monotonic()
    while time.monotonic() - begun < NEVER:
        try:
            twinlock.store.load(MemberMFA, "m1")
            twinlock.reads.fetch("select 1")
            return time.monotonic() - begun
        except Unavailable:
            time.sleep(0.05)
    return NEVER


def seconds_until_refused(twinlock: Twinlock) -> float:
    begun = time.monotonic()
    with pytest.raises(Unavailable):
        twinlock.store.load(MemberMFA, "m1")
    return time.monotonic() - begun


def descendants(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(each for child in children for each in descendants(int(child)))]


@contextmanager
def frozen(server: Postgres) -> Iterator[None]:
    assert server.process is not None
    pids = descendants(server.process.pid)
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def test_a_frozen_server_is_refused_in_three_seconds_and_found_again(
    server: Postgres, built: Twinlock
) -> None:
    seconds_until_served(built)
    with frozen(server):
        assert seconds_until_refused(built) < SOON
        assert seconds_until_refused(built) < SOON
        time.sleep(5)
        assert seconds_until_refused(built) < SOON
    assert seconds_until_served(built) < NEVER


def test_a_restarted_server_is_found_again(server: Postgres, built: Twinlock) -> None:
    seconds_until_served(built)
    server.restart()
    assert seconds_until_served(built) < NEVER


def test_a_killed_server_is_refused_fast_and_found_again(server: Postgres, built: Twinlock) -> None:
    seconds_until_served(built)
    server.kill()
    assert seconds_until_refused(built) < SOON
    time.sleep(4)
    assert seconds_until_refused(built) < SOON
    server.restart()
    assert seconds_until_served(built) < NEVER


def test_ended_backends_cost_few_requests(server: Postgres, built: Twinlock) -> None:
    built.store.load(MemberMFA, "m1")
    with psycopg.connect(server.uri, autocommit=True) as admin:
        admin.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where application_name = 'twinlock'"
        )
    assert seconds_until_served(built) < NEVER


def test_a_slow_statement_is_refused(built: Twinlock) -> None:
    begun = time.monotonic()
    with pytest.raises(Unavailable):
        built.database.fetch("select pg_sleep(10)")
    assert time.monotonic() - begun < SOON


def test_a_locked_stream_is_refused_in_time(server: Postgres, built: Twinlock) -> None:
    with psycopg.connect(server.uri) as other:
        other.execute("lock table stored_events in access exclusive mode")
        begun = time.monotonic()
        with pytest.raises(Unavailable):
            built.store.append(context(), (MemberMFA("m1"), (Registered(),)))
        assert time.monotonic() - begun < SOON


def test_a_pool_opens_late_so_that_it_survives_a_fork_and_an_absent_server() -> None:
    database = Database("postgresql://nobody:nothing@127.0.0.1:1/none")
    begun = time.monotonic()
    with pytest.raises(Unavailable):
        database.fetch("select 1")
    assert time.monotonic() - begun < SOON
    database.close()


@pytest.fixture(scope="module")
def choosy(server: Postgres) -> str:
    """The URI of a server that asks some for no password, and lets somebody barred not in."""
    rules = server.folder / "data/pg_hba.conf"
    own = "host all stranger,crowded all trust\nhost all barred all reject\n"
    with psycopg.connect(server.uri) as connection:
        connection.execute("create role crowded login connection limit 0")
    rules.write_text(own + rules.read_text())
    server.restart()
    return server.uri


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"password": "marked"}, "the server refused the password, or knows no such role"),
        ({"password": ""}, "the server refused the password, or knows no such role"),
        ({"user": "stranger"}, "the server knows no such role"),
        ({"user": "crowded"}, "the server lends no more connections"),
        ({"user": "barred"}, "the server lets nobody in from here"),
        ({"dbname": "none"}, "the server has no such database"),
        ({"sslmode": "require"}, "no TLS comes about"),
        ({"host": "twinlock.invalid"}, "no host is found by that name"),
        ({"port": "1"}, "nobody listens there"),
        ({}, "the server did not answer in time"),
    ],
)
def test_why_the_database_is_away_is_said_in_words_of_ours(
    choosy: str, changed: dict[str, str], said: str
) -> None:
    away = Unavailable("The database did not answer.")
    away.__cause__ = psycopg.OperationalError("marked")
    assert told(away, make_conninfo(choosy, **changed)).startswith(f"DATABASE: {said}")


def test_a_forgetful_server_is_refused(server: Postgres) -> None:
    with psycopg.connect(server.uri) as connection:
        connection.execute("set synchronous_commit = off")
        with pytest.raises(Unfit, match="synchronous_commit"):
            refuse_forgetful(connection)


def test_a_server_that_takes_no_writes_is_refused(server: Postgres) -> None:
    with psycopg.connect(server.uri) as connection:
        connection.execute("set transaction_read_only = on")
        with pytest.raises(Unfit, match="standby"):
            refuse_standby(connection)


def test_what_is_usual_on_the_server_changes_nothing_for_us(twinlock: Twinlock) -> None:
    name = sql.Identifier(str(conninfo_to_dict(twinlock.database.uri)["dbname"]))
    usual = {
        "default_transaction_isolation": "serializable",
        "datestyle": "SQL, DMY",
        "client_encoding": "LATIN1",
    }
    for setting, value in usual.items():
        change = sql.SQL("alter database {} set {} = {}")
        with psycopg.connect(twinlock.database.uri) as connection:
            connection.execute(change.format(name, sql.Identifier(setting), sql.Literal(value)))
    with twinlock.connect() as connection:
        asked = "select current_setting('transaction_isolation'), '2026-03-02T00:00Z'::timestamptz"
        row = connection.execute(asked + ", chr(8212)").fetchone()
    assert row == ("read committed", datetime(2026, 3, 2, tzinfo=UTC), "\u2014")


def test_a_database_that_cannot_hold_every_text_is_refused(server: Postgres) -> None:
    latin = urlsplit(server.uri)._replace(path="/latin").geturl()
    with psycopg.connect(server.uri, autocommit=True) as connection:
        connection.execute("create database latin encoding LATIN1 locale 'C' template template0")
    with closing(build(some_settings(latin, master_key=KEY))) as built:
        for refused in (built.migrate, built.check_database):
            with pytest.raises(Unfit, match="LATIN1 and has to be UTF8"):
                refused()


def test_a_schema_of_an_earlier_release_is_refused_until_it_is_migrated(twinlock: Twinlock) -> None:
    twinlock.check_database()
    twinlock.database.execute("update schema_version set version = version - 1")
    with pytest.raises(Unfit, match="twinlock migrate"):
        twinlock.check_database()
    twinlock.migrate()
    twinlock.check_database()


def test_a_schema_of_a_later_release_serves_until_everybody_is_there(twinlock: Twinlock) -> None:
    twinlock.database.execute("update schema_version set version = version + 1")
    twinlock.migrate()
    twinlock.check_database()
    (version,) = twinlock.database.fetch("select version from schema_version")[0]
    assert version == SCHEMA_VERSION + 1


def test_a_change_of_the_schema_raises_its_version(twinlock: Twinlock) -> None:
    ddl = hashlib.sha256("\n".join(twinlock.schema()).encode()).hexdigest()
    assert (SCHEMA_VERSION, ddl[:16]) == (2, "7b60ab97e7a4994f")


def test_a_migration_gives_up_on_a_table_that_somebody_holds(twinlock: Twinlock) -> None:
    with psycopg.connect(twinlock.database.uri) as other:
        other.execute("lock table credentials in share update exclusive mode")
        twinlock.migrate()  # nothing is to be changed
        twinlock.database.execute("update schema_version set version = version - 1")
        begun = time.monotonic()
        with pytest.raises(Unfit, match="try again"):
            twinlock.migrate()
        assert time.monotonic() - begun < SOON
    twinlock.migrate()
    twinlock.check_database()


def test_the_schema_may_be_made_by_many_at_once(database: str) -> None:
    from concurrent.futures import ThreadPoolExecutor

    def migrate(_: int) -> None:
        twinlock = build(settings)
        twinlock.migrate()
        twinlock.close()

    settings = some_settings(database)
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(migrate, range(6)))
    twinlock = build(settings)
    assert len(twinlock.passes.jwks()["keys"]) == 1
    twinlock.close()
