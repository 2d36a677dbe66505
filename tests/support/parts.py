"""The real parts of the test session: each is started at its first use, and once."""

import os
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn, TypeVar
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from psycopg import sql

from twinlock.dev.kafka import KafkaBroker
from twinlock.dev.mailbox import Mailbox
from twinlock.dev.missing import CannotStart
from twinlock.dev.postgres import Postgres

AnyBroker = TypeVar("AnyBroker", bound=KafkaBroker)


def go_without(missing: str) -> NoReturn:
    """Skip what needs a program that is missing; CI has them all, and there it fails."""
    (pytest.fail if os.environ.get("CI") else pytest.skip)(missing)


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """Make a folder that PostgreSQL's own user can enter; pytest's are closed to others."""
    folder = Path(tempfile.mkdtemp(prefix="twinlock-tests-"))
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def fresh_database(cluster: str, template: str | None = None) -> Iterator[str]:
    """Make a database of this cluster, empty or a copy of a template, and drop it at the end.

    The template is a database's name or URI; nobody may be connected to it meanwhile.
    """
    name = f"test_{secrets.token_hex(6)}"
    source = "template0" if template is None else urlsplit(template).path.rpartition("/")[2]
    make = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
    drop = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)")
    with psycopg.connect(cluster, autocommit=True) as connection:
        connection.execute(make.format(sql.Identifier(name), sql.Identifier(source)))
    try:
        yield urlunsplit(urlsplit(cluster)._replace(path=f"/{name}"))
    finally:
        with psycopg.connect(cluster, autocommit=True) as connection:
            connection.execute(drop.format(sql.Identifier(name)))


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL of the session's own, for tests that kill or restart one too."""
    with temporary_folder() as folder:
        server = Postgres(folder / "postgres")
        server.start()
        yield server
        server.stop()


@pytest.fixture(scope="session")
def postgres_server(request: pytest.FixtureRequest) -> str:
    """The URI of the cluster: TWINLOCK_TEST_DATABASE, or the session's own."""
    given = os.environ.get("TWINLOCK_TEST_DATABASE")
    if given:
        return given
    server: Postgres = request.getfixturevalue("postgres")
    return server.uri


@pytest.fixture
def database(postgres_server: str) -> Iterator[str]:
    """The URI of a fresh, empty database of this test."""
    with fresh_database(postgres_server) as uri:
        yield uri


@pytest.fixture(scope="module")
def module_database(postgres_server: str) -> Iterator[str]:
    """The URI of a fresh, empty database that the tests of a module share."""
    with fresh_database(postgres_server) as uri:
        yield uri


@contextmanager
def started(make: Callable[[], AnyBroker]) -> Iterator[AnyBroker]:
    """Run a broker, or go without it where there is no Java."""
    try:
        broker = make()
    except CannotStart as error:
        go_without(str(error))
    broker.start()
    try:
        yield broker
    finally:
        broker.stop()


@pytest.fixture(scope="session")
def kafka_broker() -> Iterator[KafkaBroker]:
    """The session's broker, with `kill` and `restart` for fault tests."""
    with temporary_folder() as folder, started(lambda: KafkaBroker(folder / "kafka")) as broker:
        yield broker


@pytest.fixture(scope="session")
def kafka(kafka_broker: KafkaBroker) -> str:
    """The bootstrap servers of the session's broker."""
    return kafka_broker.bootstrap


@pytest.fixture
def topic() -> str:
    """The name of a topic that no other test uses; it is not created."""
    return f"test.{secrets.token_hex(6)}"


@pytest.fixture(scope="session")
def session_mailbox() -> Iterator[Mailbox]:
    """The session's mailbox."""
    with Mailbox() as box:
        yield box


@pytest.fixture
def mailbox(session_mailbox: Mailbox) -> Mailbox:
    """The session's mailbox, emptied."""
    session_mailbox.clear()
    return session_mailbox
