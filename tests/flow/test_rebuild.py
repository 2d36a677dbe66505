"""A read model is built anew beside the live one, compared with it, and switched."""

import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from psycopg import Cursor
from psycopg.errors import DiskFull

from domain.member_facts import Erased, MemberRemoved, MFAUnbound, TicketClosed, TicketOpened
from domain.member_mfa import MemberMFA
from domain.unbind_ticket import TicketCancelled, TicketClaimed, TicketSubmitted, UnbindTicket
from projections import audit_trail, standing, tickets
from projections.journal import Entry
from projections.models import MODELS, Model
from projections.progress import wait_visible
from tests.flow.conftest import Running
from tests.flow.histories import a_workspace, accepted, append, bound, joined
from twinlock.adapters.kafka import KafkaLog, partition_of
from workers import mail_queue
from workers.parking import parked_records
from workers.rebuild import Busy, Outcome, check, rebuild
from workers.rebuild_marks import Live

pytestmark = pytest.mark.live
STANDING, TICKETS, AUDIT = MODELS
WAITS = """
SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))
"""
ADD = """
INSERT INTO audit_trail_v1 SELECT 0, time, type, actor_kind, actor_id, subject, workspace_id,
    member_id, ticket_id, request_id, result, data FROM audit_trail_v1 WHERE position = 1
"""


def a_history(running: Running) -> int:
    """A bit of everything that read models keep."""
    twinlock = running.twinlock
    a_workspace(twinlock, ["m1", "m2", "m3"])
    append(twinlock, MemberMFA, "m1", *(accepted(step) for step in range(2, 40)))
    append(twinlock, MemberMFA, "m2", bound("b2"), TicketOpened(ticket_id="t1"))
    submitted = TicketSubmitted(
        member_id="m2", binding_id="b2", first_factor_proven=True, approvals_needed=1
    )
    append(twinlock, UnbindTicket, "t1", submitted, TicketClaimed(agent_id="agent"))
    append(twinlock, UnbindTicket, "t1", TicketCancelled(cause="requester"))
    append(twinlock, MemberMFA, "m2", TicketClosed(ticket_id="t1", status="cancelled"))
    append(twinlock, MemberMFA, "m2", MFAUnbound(binding_id="b2", method="self", ticket_id=None))
    gone = MemberRemoved(workspace_id="w", member_id="m3")
    append(twinlock, MemberMFA, "m3", gone, Erased())
    return append(twinlock, MemberMFA, "m4", *joined("m4"))


def marks(running: Running, model: Model) -> Live:
    on_kafka = isinstance(running.log, KafkaLog)
    return Live(model.key, running.log.name, partition_of if on_kafka else lambda _, __: 0)


def rebuilt(running: Running, model: Model) -> Outcome:
    return rebuild(model, running.twinlock.connect, marks(running, model), silently)


def checked(running: Running, model: Model) -> Outcome:
    return check(model, running.twinlock.connect, marks(running, model), silently)


def silently(*_: object) -> None:
    pass


@pytest.fixture
def live(running: Running) -> Running:
    running.relay()
    running.project(*MODELS, mail_queue.MODEL)
    running.seen(a_history(running))
    return running


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.key)
def test_what_is_built_anew_is_what_was_live(live: Running, model: Model) -> None:
    outcome = rebuilt(live, model)
    assert outcome.compared
    assert outcome.difference is None
    assert outcome.switched
    assert checked(live, model).difference is None
    later = append(live.twinlock, MemberMFA, "m5", *joined("m5"))
    live.seen(later)
    assert checked(live, model).difference is None


def test_the_first_difference_is_named(live: Running) -> None:
    with live.twinlock.connect() as connection:
        connection.execute("UPDATE standing_members_v1 SET bound = false WHERE id = 'm1'")
    found = checked(live, STANDING).difference
    assert found is not None
    assert (found.table, found.key) == ("standing_members_v1", "id=m1")
    assert (found.column, found.live, found.fresh) == ("bound", "f", "t")
    assert str(found) == "standing_members_v1 id=m1, bound: live 'f', fresh 't'"


@pytest.mark.parametrize(
    ("change", "key", "there"),
    [
        ("DELETE FROM audit_trail_v1 WHERE position = 3", "position=3", "fresh"),
        (ADD, "position=0", "live"),
    ],
)
def test_a_missing_and_an_added_row_are_named(
    embedded: Running, change: str, key: str, there: str
) -> None:
    embedded.project()
    embedded.seen(a_history(embedded))
    with embedded.twinlock.connect() as connection:
        connection.execute(change.encode())
    expected = f"audit_trail_v1 {key}: only the {there} one has this row"
    assert str(checked(embedded, AUDIT).difference) == expected


def test_a_rebuild_mends_what_differs_and_says_so(live: Running) -> None:
    with live.twinlock.connect() as connection:
        connection.execute("TRUNCATE standing_members_v1")
    outcome = rebuilt(live, STANDING)
    assert outcome.difference is not None
    assert outcome.switched
    assert checked(live, STANDING).difference is None
    with live.twinlock.connect() as connection:
        found = standing.member(connection, "m1")
        assert found == live.twinlock.store.load(MemberMFA, "m1")
        assert "t1" in [row.ticket.id for row in tickets.queue(connection)]


def test_a_model_that_never_ran_is_built_and_then_goes_on(running: Running) -> None:
    running.relay()
    running.project(STANDING, TICKETS)
    position = a_history(running)
    running.seen(position, STANDING)
    outcome = rebuilt(running, AUDIT)
    assert (outcome.compared, outcome.switched) == (False, True)
    with running.twinlock.connect() as connection:
        rows = audit_trail.page(connection, audit_trail.Filter(), limit=500)
    if not isinstance(running.log, KafkaLog):
        assert [row.position for row in rows] == list(range(1, position + 1))
    running.project(AUDIT)
    later = append(running.twinlock, MemberMFA, "m5", *joined("m5"))
    running.seen(later, AUDIT)
    assert checked(running, AUDIT).difference is None


def test_an_event_that_cannot_be_applied_is_parked_and_the_rest_is_built(
    embedded: Running,
) -> None:
    position = a_history(embedded)
    embedded.project()
    embedded.seen(position)
    with embedded.twinlock.connect() as connection:
        poison = (
            "INSERT INTO stored_events (originator_id, originator_version, topic, state)"
            " SELECT 'member/m1', max(originator_version) + 1, 'mfa.bound.v9', %s"
            " FROM stored_events WHERE originator_id = 'member/m1' RETURNING notification_id"
        )
        row = connection.execute(poison.encode(), (b'{"time": "2026-05-01"}',)).fetchone()
    assert row is not None
    outcome = rebuilt(embedded, AUDIT)
    assert set(outcome.failed) == {row[0]}
    with embedded.twinlock.connect() as connection:
        parked = {(each.model, each.position) for each in parked_records(connection)}
    assert (AUDIT.key, row[0]) in parked


def test_a_full_disk_breaks_a_rebuild_off_and_parks_nothing(embedded: Running) -> None:
    """It is no fault of the events that are caught up with before the switch."""
    embedded.project()
    embedded.seen(a_history(embedded))
    embedded.stop()
    append(embedded.twinlock, MemberMFA, "m5", *joined("m5"))

    def fill_up(cursor: Cursor[Any], entries: Sequence[Entry]) -> None:
        raise DiskFull

    with pytest.raises(DiskFull):
        rebuilt(embedded, replace(AUDIT, apply=fill_up))
    with embedded.twinlock.connect() as connection:
        assert parked_records(connection) == []
    embedded.project(AUDIT)
    embedded.seen(append(embedded.twinlock, MemberMFA, "m6", *joined("m6")), AUDIT)
    assert checked(embedded, AUDIT).difference is None


def test_no_mail_is_queued_again(live: Running) -> None:
    def mails() -> list[Any]:
        with live.twinlock.connect() as connection:
            query = b"SELECT position, kind, status FROM mail_queue ORDER BY id"
            return connection.execute(query).fetchall()

    wait_visible(live.twinlock.reads, mail_queue.KEY, 1, timeout=60)
    before = mails()
    for model in MODELS:
        rebuilt(live, model)
    assert mails() == before


def test_one_rebuild_of_a_model_at_a_time(embedded: Running) -> None:
    a_history(embedded)
    begun, go_on = threading.Event(), threading.Event()

    def dawdle(*_: object) -> None:
        begun.set()
        go_on.wait(60)

    def first() -> None:
        check(STANDING, embedded.twinlock.connect, marks(embedded, STANDING), dawdle)

    thread = threading.Thread(target=first)
    embedded.project(STANDING)
    embedded.seen(1, STANDING)
    thread.start()
    try:
        assert begun.wait(60)
        with pytest.raises(Busy):
            rebuilt(embedded, STANDING)
    finally:
        go_on.set()
        thread.join(60)


def held_up(running: Running) -> None:
    """Wait until the switch has asked for its lock in vain, and asks again."""
    tries, waits, deadline = 0, False, time.monotonic() + 60
    with running.twinlock.connect() as connection:
        while tries < 2:
            assert time.monotonic() < deadline
            before, waits = waits, connection.execute(WAITS).fetchone() == (True,)
            tries += waits and not before
            time.sleep(0.01)


def test_a_reader_that_stays_delays_the_switch_and_nothing_is_lost(embedded: Running) -> None:
    embedded.project()
    embedded.seen(a_history(embedded))
    embedded.stop()
    append(embedded.twinlock, MemberMFA, "m5", *joined("m5"))
    done: list[Outcome] = []
    with embedded.twinlock.connect() as reader:
        with reader.transaction():
            assert standing.member(reader, "m1") is not None
            thread = threading.Thread(target=lambda: done.append(rebuilt(embedded, STANDING)))
            thread.start()
            held_up(embedded)
            assert done == []
        thread.join(60)
    assert done[0].switched
    with embedded.twinlock.connect() as connection:
        assert standing.member(connection, "m5") is not None
    assert checked(embedded, STANDING).difference is None


def test_reads_and_appends_go_on_through_rebuilds(live: Running) -> None:
    stop, failed = threading.Event(), list[BaseException]()
    reads = 0

    def ask() -> None:
        nonlocal reads
        while not stop.is_set():
            try:
                with live.twinlock.reads.connection() as connection:
                    assert standing.member(connection, "m1") is not None
                    assert standing.owners(connection, "w") == ["m1"]
                    assert audit_trail.page(connection, audit_trail.Filter(), limit=5)
                reads += 1
            except BaseException as error:
                failed.append(error)
            time.sleep(0.01)

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for number in range(4):
            append(live.twinlock, MemberMFA, f"new{number}", *joined(f"new{number}"))
            for model in (STANDING, AUDIT):
                assert rebuilt(live, model).difference is None
    finally:
        stop.set()
        for thread in threads:
            thread.join(60)
    assert failed == []
    assert reads > 10
    later = append(live.twinlock, MemberMFA, "m5", *joined("m5"))
    live.seen(later)
    assert checked(live, STANDING).difference is None
