"""Read models are rebuilt under 50 requests a second: no read fails, no mail comes twice."""

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from projections.models import MODELS
from projections.progress import EMBEDDED, wait_visible
from tests.http.installation import Installation, Person
from twinlock.adapters.embedded import EmbeddedLog
from twinlock.backend import envelope
from workers import mail_queue
from workers.projector import Projector
from workers.rebuild import Outcome, check, rebuild
from workers.rebuild_marks import Live

pytestmark = pytest.mark.live
EVERY = 0.02
"""Seconds between requests."""
REQUESTS = 300
"""Six seconds' worth; a busy machine takes longer over them."""


@pytest.fixture
def mailing(here: Installation) -> Iterator[Installation]:
    """With the mail queue, too."""
    stop = threading.Event()
    log = EmbeddedLog(here.twinlock.store, envelope(here.twinlock))
    projector = Projector(mail_queue.MODEL, here.twinlock.connect, log, envelope(here.twinlock))
    thread = threading.Thread(target=projector.run, args=(stop,))
    thread.start()
    yield here
    stop.set()
    thread.join(60)


class Traffic:
    """Asks and writes, 50 times a second, and keeps what went wrong."""

    def __init__(self, here: Installation, person: Person) -> None:
        self.failed: list[Any] = []
        self.asked = 0
        self._here, self._person = here, person
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._go, args=(n,)) for n in range(2)]

    def __enter__(self) -> "Traffic":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(60)

    def _go(self, number: int) -> None:
        due, turn = time.monotonic(), number
        while not self._stop.is_set():
            self._ask(turn)
            turn += 2
            due += EVERY * 2
            time.sleep(max(0.0, due - time.monotonic()))

    def _ask(self, turn: int) -> None:
        here, person = self._here, self._person
        place = f"/v1/workspaces/{person.workspace_id}"
        login = f"workspace_id={person.workspace_id}&member_id={person.id}"
        asks = (
            f"/v1/members/{person.id}/mfa",
            f"/v1/login-checks?{login}",
            f"{place}/coverage",
            f"{place}/mfa-policy/preview",
            "/v1/tickets",
            "/v1/audit?limit=20",
        )
        role = {4: "support", 5: "auditor"}.get(turn % 7, "host")
        if turn % 7 == 6:
            body = {"email": f"{turn}@example.org", "name": "New", "role": "member"}
            reply = here.put(f"{place}/members/new{turn}", "host", body)
        else:
            reply = here.get(asks[turn % 7], role)
        self.asked += 1
        if reply.status not in (200, 201):
            self.failed.append((turn % 7, reply.status, reply.text))


def marks(model: Any) -> Live:
    return Live(model.key, EMBEDDED, lambda *_: 0)


def mails(here: Installation) -> list[Any]:
    with here.twinlock.connect() as connection:
        query = b"SELECT position, kind, recipient, subject_id, id FROM mail_queue ORDER BY id"
        return connection.execute(query).fetchall()


def test_rebuilds_under_traffic(mailing: Installation) -> None:
    here = mailing
    person = here.bound(here.workspace())
    wait_visible(here.twinlock.reads, mail_queue.KEY, here.twinlock.store.head(), timeout=60)
    before = mails(here)
    assert before
    outcomes: list[Outcome] = []
    with Traffic(here, person) as traffic:
        deadline = time.monotonic() + 120
        while traffic.asked < REQUESTS or len(outcomes) < len(MODELS) * 2:
            assert time.monotonic() < deadline
            model = MODELS[len(outcomes) % len(MODELS)]
            connect = here.twinlock.connect
            outcomes.append(rebuild(model, connect, marks(model), lambda *_: None))
            time.sleep(0.2)
    assert traffic.failed == []
    assert all(each.switched and each.compared for each in outcomes)
    assert [each.difference for each in outcomes] == [None] * len(outcomes)
    assert mails(here) == before
    for model in MODELS:
        wait_visible(here.twinlock.reads, model.key, here.twinlock.store.head(), timeout=60)
        assert check(model, here.twinlock.connect, marks(model), lambda *_: None).difference is None
