"""A commit whose answer is lost on the way is recognised by what is stored."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from urllib.parse import urlsplit, urlunsplit

import pytest
from pydantic import SecretStr

from commands.ports import Stale
from domain.member_facts import Registered, SessionsRevoked
from domain.member_mfa import MemberMFA
from domain.refusals import Unavailable
from tests.live.test_store import context
from twinlock.adapters.database import Statement
from twinlock.composition import Twinlock, build

pytestmark = pytest.mark.live


class Wire:
    """Stands between Twinlock and PostgreSQL, and cuts the line at the answer to the next append.

    Whoever connects after that is let in half a second late, as a busy server does. Other
    connections of the pool may be in the middle of something meanwhile: they go on.
    """

    def __init__(self, host: str, port: int) -> None:
        self._server = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.cut_next = False
        self._busy = 0.0
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                time.sleep(self._busy)
                server = socket.create_connection(self._server)
                asked = threading.Event()
                for pass_on in (self._requests, self._answers):
                    threading.Thread(
                        target=pass_on, args=(client, server, asked), daemon=True
                    ).start()

    def _requests(
        self, client: socket.socket, server: socket.socket, asked: threading.Event
    ) -> None:
        with suppress(OSError), client, server:
            while data := client.recv(65536):
                if self.cut_next and b"insert into" in data:
                    self.cut_next = False
                    self._busy = 0.5
                    asked.set()
                server.sendall(data)

    def _answers(
        self, client: socket.socket, server: socket.socket, asked: threading.Event
    ) -> None:
        with suppress(OSError), client, server:
            while data := server.recv(65536):
                if asked.is_set():
                    client.shutdown(socket.SHUT_RDWR)
                    return
                client.sendall(data)


@pytest.fixture
def wire(database: str) -> Iterator[Wire]:
    parts = urlsplit(database)
    assert parts.hostname
    assert parts.port
    wire = Wire(parts.hostname, parts.port)
    yield wire
    wire.close()


@pytest.fixture
def far(twinlock: Twinlock, wire: Wire) -> Iterator[Twinlock]:
    """Twinlock at the other end of the wire."""
    parts = urlsplit(twinlock.settings.database.get_secret_value())
    netloc = f"{parts.username}:{parts.password}@127.0.0.1:{wire.port}"
    uri = SecretStr(urlunsplit(parts._replace(netloc=netloc)))
    built = build(twinlock.settings.model_copy(update={"database": uri}))
    built.store.load(MemberMFA, "m1")
    yield built
    built.close()


def test_an_append_that_was_committed_is_done(
    twinlock: Twinlock, far: Twinlock, wire: Wire
) -> None:
    wire.cut_next = True
    position = far.store.append(context(), (MemberMFA("m1"), (Registered(), SessionsRevoked())))
    assert not wire.cut_next
    assert twinlock.store.head() == position
    assert twinlock.store.load(MemberMFA, "m1").version == 2


def test_an_append_with_writes_that_was_committed_is_done(
    twinlock: Twinlock, far: Twinlock, wire: Wire
) -> None:
    mark = Statement("insert into vault_addresses values ('m', %s)", (b"marked",))
    wire.cut_next = True
    position = far.store.append(context(), (MemberMFA("m1"), (Registered(),)), also=(mark,))
    assert not wire.cut_next
    assert [record.position for record in twinlock.store.events(0)] == [position]


def test_what_another_appended_is_not_taken_for_ours(
    twinlock: Twinlock, far: Twinlock, wire: Wire
) -> None:
    twinlock.store.append(context(), (MemberMFA("m1"), (SessionsRevoked(),)))
    wire.cut_next = True
    with pytest.raises(Unavailable):
        far.store.append(context(), (MemberMFA("m1"), (Registered(),)))
    with pytest.raises(Stale):
        far.store.append(context(), (MemberMFA("m1"), (Registered(),)))
