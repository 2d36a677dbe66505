"""kill -9 of relay and projectors while commands run: topic and read models equal the store."""

import random
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event
from typing import Any

import psycopg
import pytest
from psycopg import sql

from projections.models import MODELS
from tests.flow.installation import Installation, installed
from tests.flow.postbox import open_postbox
from tests.flow.topics import consume, first_of_each
from tests.support.built import some_settings
from tests.support.entries import entries_of
from tests.support.parts import fresh_database, temporary_folder
from twinlock.composition import Twinlock, build
from workers.cloud_events import PREFIX, topic_of
from workers.ports import StoredRecord

pytestmark = [pytest.mark.live, pytest.mark.kafka]
COMMANDS = 1000
CLIENTS = 4
MEMBERS = 40
WORKSPACES = 4
VICTIMS = ("relay", "project")
FEWEST_KILLS = 5
PAUSE = 0.05
MOST_SECONDS = 40


@pytest.fixture
def here(postgres_server: str, kafka: str, topic: str) -> Iterator[Installation]:
    """A Twinlock of this test's own: relay and projectors in processes of their own."""
    with (
        temporary_folder() as folder,
        open_postbox() as postbox,
        fresh_database(postgres_server) as database,
        installed(folder, database, postbox, workers=VICTIMS, KAFKA=kafka, TOPIC=topic) as here,
    ):
        yield here


@pytest.fixture
def store(here: Installation) -> Iterator[Twinlock]:
    """The store of that Twinlock, to compare with."""
    built = build(some_settings(here.setting("DATABASE")))
    yield built
    built.close()


def commands(here: Installation, client: int, enough: Event) -> int:
    """One client's share of the commands, and more until there were enough kills; how many."""
    n = 0
    while n < COMMANDS // CLIENTS or not enough.is_set():
        command(here, client, n)
        n += 1
        time.sleep(PAUSE)
    return n


def command(here: Installation, client: int, n: int) -> None:
    """One of a few commands that append to members and to workspaces."""
    member, workspace = f"m{(client + CLIENTS * n) % MEMBERS}", f"w{n % WORKSPACES}"
    if n % 10 == 9:
        mode = {"mode": "enforced" if n % 20 == 9 else "off"}
        here.as_host("PUT", f"/v1/workspaces/w-{client}/mfa-policy", mode)
    elif n % 3:
        here.as_host("POST", f"/v1/members/{member}/sessions/revocation")
    else:
        role = "owner" if (n // 3) % 2 else "member"
        body = {"email": f"{member}@example.org", "name": "Somebody", "role": role}
        here.as_host("PUT", f"/v1/workspaces/{workspace}/members/{member}", body)


def prepare(here: Installation) -> None:
    """The workspaces and members that commands speak of."""
    names = [f"w{n}" for n in range(WORKSPACES)] + [f"w-{n}" for n in range(CLIENTS)]
    for name in names:
        here.as_host("PUT", f"/v1/workspaces/{name}", {"name": "A workspace"})
    for n in range(MEMBERS):
        body = {"email": f"m{n}@example.org", "name": "Somebody", "role": "member"}
        here.as_host("PUT", f"/v1/workspaces/w{n % WORKSPACES}/members/m{n}", body)


def kill_while(
    here: Installation, store: Twinlock, running: list[Future[int]], enough: Event
) -> int:
    """Kill one victim after the other, each in the midst of its work; how often."""
    chance, kills, deadline = random.Random(11), 0, time.monotonic() + MOST_SECONDS
    while not all(each.done() for each in running):
        victim = VICTIMS[kills % len(VICTIMS)]
        begun = done_by(store, victim)
        while done_by(store, victim) <= begun and not all(each.done() for each in running):
            time.sleep(0.02)
        time.sleep(chance.uniform(0, 0.3))
        here.kill(victim)
        here.start_workers(victim)
        kills += 1
        if kills == FEWEST_KILLS or time.monotonic() > deadline:
            enough.set()
    return kills


def done_by(store: Twinlock, victim: str) -> int:
    """How far the relay has put, or the projectors have applied."""
    query = {
        "relay": "SELECT sum(position) FROM log_head",
        "project": "SELECT sum(position) FROM progress",
    }
    row = store.reads.fetch_one(query[victim])
    return int(row[0] or 0) if row else 0


def test_kills_lose_nothing_and_double_nothing(
    here: Installation, store: Twinlock, postgres_server: str
) -> None:
    prepare(here)
    before = store.store.head()
    enough = Event()
    with ThreadPoolExecutor(CLIENTS) as pool:
        running = [pool.submit(commands, here, n, enough) for n in range(CLIENTS)]
        try:
            kills = kill_while(here, store, running, enough)
        finally:
            enough.set()
    assert sum(each.result() for each in running) >= COMMANDS
    assert kills >= FEWEST_KILLS
    stored = store.store.events(0, 10**6)
    assert len([r for r in stored if r.position > before]) >= COMMANDS / 2
    here.settle(store.store.head(), MOST_SECONDS)
    topic_equals(here, stored)
    read_models_equal(here, stored, postgres_server)


def topic_equals(here: Installation, stored: Any) -> None:
    """Nothing is missing, nothing foreign is there, and each key keeps its order."""
    found = consume(here.setting("KAFKA"), here.setting("TOPIC"))
    by_id = first_of_each(found)
    told = {id_: (r.key, r.event["type"], r.event["data"]) for id_, r in by_id.items()}
    assert told == {record.position: _told(record) for record in stored}
    keys: dict[str, list[int]] = {}
    for record in sorted(found, key=lambda r: (r.partition, r.offset)):
        keys.setdefault(record.key, []).append(int(record.event["id"]))
    for ids in keys.values():
        first = list(dict.fromkeys(ids))
        assert first == sorted(first)
    assert all(topic_of(r.event) == r.headers["type"].removeprefix(PREFIX) for r in found)


def _told(record: StoredRecord) -> tuple[str, str, Any]:
    (entry,) = entries_of([record])
    return record.stream, PREFIX + record.topic, dict(entry.data)


def read_models_equal(here: Installation, stored: Any, cluster: str) -> None:
    """Each table is what one fold of the whole store makes of an empty one."""
    with fresh_database(cluster) as other:
        folded = build(some_settings(other))
        folded.migrate()
        with folded.connect() as connection, connection.cursor() as cursor:
            for model in MODELS:
                model.apply(cursor, entries_of(stored))
            expected = tables(connection)
        folded.close()
    with psycopg.connect(here.setting("DATABASE")) as connection:
        assert connection.execute("SELECT count(*) FROM parked").fetchone() == (0,)
        assert tables(connection) == expected
    assert len(expected["audit_trail_v1"]) == len(stored)


def tables(connection: psycopg.Connection[Any]) -> dict[str, list[Any]]:
    """Every row of every read model, in one order."""
    query = sql.SQL("SELECT t::text FROM {} AS t ORDER BY 1")
    names = [table for model in MODELS for table in model.tables]
    return {n: connection.execute(query.format(sql.Identifier(n))).fetchall() for n in names}
