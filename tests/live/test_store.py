"""The event store against a real PostgreSQL: order, versions, atomicity, snapshots."""

import random
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from commands.ports import Change, Context, Stale
from domain.facts import Actor
from domain.member_facts import CodeAccepted, Registered, SessionsRevoked
from domain.member_mfa import MemberMFA
from domain.refusals import EmailTaken, Unavailable
from domain.workspace import Workspace, WorkspaceCreated
from twinlock.adapters.database import Statement
from twinlock.adapters.recorder import TAG, append_of
from twinlock.adapters.snapshots import EVERY
from twinlock.composition import Twinlock

pytestmark = pytest.mark.live

AT = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)


def context(at: datetime = AT) -> Context:
    return Context(at=at, actor=Actor("host", "h"), request_id="r1", workspace_id="acme")


def test_a_stream_without_events_is_at_version_0(twinlock: Twinlock) -> None:
    assert twinlock.store.load(MemberMFA, "m1") == MemberMFA("m1")


def test_what_was_appended_is_loaded(twinlock: Twinlock) -> None:
    position = twinlock.store.append(context(), (MemberMFA("m1"), (Registered(),)))
    m1 = twinlock.store.load(MemberMFA, "m1")
    assert (m1.version, m1.registered, m1.updated_at) == (1, True, AT)
    assert twinlock.store.head() == position


def test_an_append_at_an_old_version_is_stale(twinlock: Twinlock) -> None:
    twinlock.store.append(context(), (MemberMFA("m1"), (Registered(),)))
    with pytest.raises(Stale):
        twinlock.store.append(context(), (MemberMFA("m1"), (Registered(),)))


def test_two_streams_change_together_or_not_at_all(twinlock: Twinlock) -> None:
    store = twinlock.store
    store.append(context(), (MemberMFA("m1"), (Registered(),)))
    with pytest.raises(Stale):
        store.append(
            context(),
            (Workspace("acme"), (WorkspaceCreated(),)),
            (MemberMFA("m1"), (Registered(),)),
        )
    assert store.load_pair((Workspace, "acme"), (MemberMFA, "m1"))[0].version == 0


def test_writes_of_a_stale_append_are_undone(twinlock: Twinlock) -> None:
    store, vault = twinlock.store, twinlock.vault
    store.append(context(), (MemberMFA("m1"), (Registered(),)))
    with pytest.raises(Stale):
        store.append(
            context(),
            (MemberMFA("m1"), (Registered(),)),
            also=(vault.seal("member/m1", "contact", b"secret"),),
        )
    assert vault.peek("member/m1", "contact") is None


def test_events_of_a_refused_write_are_undone(twinlock: Twinlock) -> None:
    store, vault = twinlock.store, twinlock.vault
    store.append(context(), also=(vault.claim_address("m2", "x@example.com"),))
    with pytest.raises(EmailTaken):
        store.append(
            context(),
            (MemberMFA("m1"), (Registered(),)),
            also=(vault.claim_address("m1", " X@EXAMPLE.com"),),
        )
    assert store.load(MemberMFA, "m1").version == 0


def test_writes_alone_are_committed_and_answer_the_head(twinlock: Twinlock) -> None:
    position = twinlock.store.append(context(), (MemberMFA("m1"), (Registered(),)))
    write = twinlock.vault.seal("member/m1", "contact", b"x")
    assert twinlock.store.append(context(), also=(write,)) == position
    assert twinlock.vault.open("member/m1", "contact") == b"x"


def test_writes_without_an_event_are_undone_where_the_stream_went_on(twinlock: Twinlock) -> None:
    store, vault = twinlock.store, twinlock.vault
    store.append(context(), (MemberMFA("m1"), (Registered(),)))
    loaded = store.load(MemberMFA, "m1")
    store.append(context(), (loaded, ()), also=(vault.seal("member/m1", "contact", b"new"),))
    store.append(context(), (loaded, (SessionsRevoked(),)))
    late = vault.seal("member/m1", "contact", b"late")
    with pytest.raises(Stale):
        store.append(context(), (loaded, ()), also=(late,))
    assert vault.open("member/m1", "contact") == b"new"


def test_nothing_at_all_answers_the_head(twinlock: Twinlock) -> None:
    assert twinlock.store.append(context(), (MemberMFA("m1"), ())) == 0


def test_the_mark_of_a_request_is_committed_with_its_append(twinlock: Twinlock) -> None:
    mark = Statement("insert into vault_addresses values ('m', %s)", (b"marked",))
    once = replace(context(), once=lambda _: mark)
    twinlock.store.append(once, (MemberMFA("m1"), (Registered(),)))
    assert twinlock.database.fetch("select member_id from vault_addresses") == [("m",)]


def test_time_in_a_stream_never_goes_back(twinlock: Twinlock) -> None:
    store = twinlock.store
    store.append(context(), (MemberMFA("m1"), (Registered(),)))
    m1 = store.load(MemberMFA, "m1")
    store.append(context(AT - timedelta(hours=1)), (m1, (SessionsRevoked(),)))
    assert store.load(MemberMFA, "m1").updated_at == AT


def test_of_200_appends_at_one_version_exactly_one_wins(twinlock: Twinlock) -> None:
    def attempt(_: int) -> bool:
        try:
            twinlock.store.append(context(), (MemberMFA("m1"), (Registered(),)))
        except Stale:
            return False
        return True

    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(attempt, range(200))) == 1


def test_of_two_appends_that_name_their_streams_in_other_orders_one_wins(
    twinlock: Twinlock,
) -> None:
    twinlock.database.execute(
        "create function slowly() returns trigger language plpgsql as"
        " 'begin perform pg_sleep(0.3); return new; end'"
    )
    twinlock.database.execute(
        "create trigger slowly before insert on stored_events"
        " for each row execute function slowly()"
    )
    changes: list[Change] = [
        (MemberMFA("m1"), (Registered(),)),
        (Workspace("acme"), (WorkspaceCreated(),)),
    ]

    def attempt(order: int) -> bool:
        try:
            twinlock.store.append(context(), *changes[::order])
        except Stale:
            return False
        return True

    with ThreadPoolExecutor(2) as pool:
        assert sum(pool.map(attempt, (1, -1))) == 1


def test_a_reader_misses_nothing_of_16_writers(twinlock: Twinlock) -> None:
    writers, rounds = 16, 60
    done = threading.Event()
    seen: list[int] = []

    def write(writer: int) -> list[int]:
        positions = []
        for number in range(rounds):
            member = MemberMFA(f"m{writer}-{number}")
            bad = (Statement("select 1 / 0"),) if number % 3 == 0 else ()
            with suppress(Unavailable):
                positions.append(
                    twinlock.store.append(
                        context(), (member, (Registered(), SessionsRevoked())), also=bad
                    )
                )
        return positions

    def read() -> None:
        while True:
            last = done.is_set()
            records = twinlock.store.events(seen[-1] if seen else 0)
            seen.extend(record.position for record in records)
            if last and not records:
                return

    reader = threading.Thread(target=read)
    reader.start()
    with ThreadPoolExecutor(writers) as pool:
        stored = {p for positions in pool.map(write, range(writers)) for p in positions}
    done.set()
    reader.join()
    assert len(stored) == writers * rounds * 2 / 3
    assert stored <= set(seen)
    assert len(seen) == 2 * len(stored)
    assert seen == sorted(set(seen))


def test_appends_that_lost_leave_their_connection_well(twinlock: Twinlock) -> None:
    """The server skips what follows a statement that failed, and with it what was to be prepared.

    The driver prepares what has come five times, and remembers it as prepared.
    """
    also = (
        twinlock.vault.seal("member/m1", "totp/b1", b"secret"),
        twinlock.vault.discard("member/m1", "recovery/"),
    )

    def append(member: MemberMFA) -> None:
        twinlock.store.append(context(), (member, (SessionsRevoked(),)), also=also)

    chance = random.Random(1)
    for _ in range(60):
        append(twinlock.store.load(MemberMFA, "m1"))
        for _ in range(chance.randrange(4)):
            with pytest.raises(Stale):
                append(MemberMFA("m1"))
    assert twinlock.vault.open("member/m1", "totp/b1") == b"secret"


def test_an_uncommitted_append_holds_the_head_back(twinlock: Twinlock) -> None:
    with psycopg.connect(twinlock.database.uri) as slow:
        slow.execute(append_of(1), ("member/x", 1, "mfa.registered.v1", b'""'))
        twinlock.store.append(context(), (MemberMFA("m1"), (Registered(),)))
        assert twinlock.store.head() == 0
        assert not twinlock.store.events(0)
        slow.rollback()
    assert [record.position for record in twinlock.store.events(0)] == [2]


def test_a_page_up_to_what_was_the_head_is_complete_though_the_head_goes_back(
    twinlock: Twinlock,
) -> None:
    store = twinlock.store
    head = store.append(context(), (MemberMFA("m1"), (Registered(),)))
    assert store.head() == head
    with psycopg.connect(twinlock.database.uri) as slow:  # took the last id before that append
        slow.execute("select pg_advisory_xact_lock_shared(%s::bigint)", (TAG | (head - 1),))
        assert store.head() == head - 1
        assert [record.position for record in store.events(0, 500, head)] == [head]


def a_long_stream(twinlock: Twinlock, events: int) -> MemberMFA:
    step = CodeAccepted(purpose="login", binding_id="b", step=1, login_id="l")
    twinlock.store.append(
        context(), (MemberMFA("m1"), tuple(replace(step, step=n) for n in range(events)))
    )
    return twinlock.store.load(MemberMFA, "m1")


def test_a_snapshot_equals_a_full_replay(twinlock: Twinlock) -> None:
    m1 = a_long_stream(twinlock, EVERY + 5)
    twinlock.store.close()
    taken = twinlock.database.fetch("select originator_version from stored_snapshots")
    assert taken == [(EVERY + 5,)]
    twinlock.store.append(context(), (m1, (SessionsRevoked(),)))
    loaded = twinlock.store.load(MemberMFA, "m1")
    twinlock.database.execute("delete from stored_snapshots")
    assert loaded == twinlock.store.load(MemberMFA, "m1")
    assert loaded.epoch == 1


def test_an_unreadable_snapshot_costs_a_replay_and_no_more(twinlock: Twinlock) -> None:
    m1 = a_long_stream(twinlock, EVERY)
    twinlock.store.close()
    twinlock.database.execute("update stored_snapshots set state = 'x'")
    assert twinlock.store.load(MemberMFA, "m1") == m1


@pytest.mark.parametrize(
    "harm",
    [
        "state = 'x'",
        "topic = 'mfa.unheard_of.v1'",
        "originator_version = 9",
        "state = replace(convert_from(state, 'utf8'), 'request_id', 'requested')::bytea",
    ],
)
def test_a_broken_stream_stops_that_member_only(twinlock: Twinlock, harm: str) -> None:
    store = twinlock.store
    store.append(context(), (MemberMFA("m1"), (Registered(),)))
    store.append(context(), (MemberMFA("m2"), (Registered(),)))
    twinlock.database.execute(f"update stored_events set {harm} where originator_id = 'member/m1'")
    with pytest.raises(Unavailable):
        store.load(MemberMFA, "m1")
    assert store.load(MemberMFA, "m2").registered


def test_an_append_whose_answer_was_lost_is_recognised(twinlock: Twinlock) -> None:
    stop = Statement("select pg_terminate_backend(pg_backend_pid())")
    with pytest.raises(Unavailable):  # lost before the commit: nothing was stored
        twinlock.store.append(context(), (MemberMFA("m1"), (Registered(),)), also=(stop,))
    assert twinlock.store.load(MemberMFA, "m1").version == 0


def test_a_follower_is_woken_by_an_append(twinlock: Twinlock) -> None:
    follower = twinlock.store.follow()
    twinlock.store.append(context(), (MemberMFA("m1"), (Registered(),)))
    assert follower.wait(60)
    assert [record.topic for record in follower.events(0)] == ["mfa.registered.v1"]
    follower.close()


@pytest.fixture(autouse=True)
def _no_threads_left(twinlock: Twinlock) -> Iterator[None]:
    yield
    twinlock.close()
