"""Read models equal the domain's own folding, whatever the order and however often."""

import random
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from domain.entry import due
from domain.member_facts import (
    CodeRejected,
    EnrolmentStarted,
    Locked,
    MemberRemoved,
    MemberRoleChanged,
    TicketClosed,
    TicketOpened,
)
from domain.member_mfa import MemberMFA
from domain.unbind_ticket import (
    TicketClaimed,
    TicketRejected,
    TicketSubmitted,
    UnbindTicket,
)
from domain.workspace import PolicyEnforced, Workspace, WorkspaceCreated
from projections import audit_trail, coverage, standing, tickets
from projections.journal import Entry
from projections.models import MODELS
from tests.flow.histories import NOW, accepted, append, bound, joined
from tests.support.built import twinlock
from tests.support.entries import entries_of
from twinlock.composition import Twinlock

pytestmark = pytest.mark.live
__all__ = ["twinlock"]

WRONG = CodeRejected(purpose="login", reason="wrong", login_id=None)
FILED = TicketSubmitted(
    member_id="m2", binding_id="b1", first_factor_proven=True, approvals_needed=1
)


@pytest.fixture
def connection(twinlock: Twinlock) -> Iterator[psycopg.Connection[Any]]:
    with twinlock.connect() as connection:
        yield connection


def a_history(twinlock: Twinlock) -> None:
    grace = NOW + timedelta(days=7)
    append(twinlock, Workspace, "w", WorkspaceCreated(), PolicyEnforced(grace_until=grace))
    append(twinlock, Workspace, "v", WorkspaceCreated(), PolicyEnforced(grace_until=None))
    append(twinlock, Workspace, "u", WorkspaceCreated())
    append(twinlock, MemberMFA, "m1", *joined("m1", "w", "owner"), bound(), minutes=1)
    append(twinlock, MemberMFA, "m2", *joined("m2"), bound(), accepted(2), minutes=2)
    append(twinlock, MemberMFA, "m3", *joined("m3", "v"), minutes=3)
    locked = Locked(until=NOW + timedelta(days=9), failures=5)
    append(twinlock, MemberMFA, "m4", *joined("m4", "v"), bound(), WRONG, locked, minutes=4)
    started = EnrolmentStarted(enrolment_id="e", expires_at=NOW + timedelta(days=9))
    append(twinlock, MemberMFA, "m5", *joined("m5"), started, minutes=5)
    moved = MemberRoleChanged(workspace_id="w", member_id="m5", role="owner")
    append(twinlock, MemberMFA, "m5", moved, *joined("m5", "u")[1:], minutes=6)
    append(twinlock, MemberMFA, "m5", MemberRemoved(workspace_id="u", member_id="m5"), minutes=7)
    append(twinlock, UnbindTicket, "t1", FILED, minutes=8)
    append(twinlock, MemberMFA, "m2", TicketOpened(ticket_id="t1"), minutes=8)
    append(twinlock, UnbindTicket, "t2", FILED, minutes=9)
    append(twinlock, UnbindTicket, "t1", TicketClaimed(agent_id="zed"), minutes=10)
    append(twinlock, UnbindTicket, "t1", TicketRejected(agent_id="zed"), minutes=11)
    append(twinlock, MemberMFA, "m2", TicketClosed(ticket_id="t1", status="rejected"), minutes=11)


def apply_all(connection: psycopg.Connection[Any], batches: Sequence[Sequence[Entry]]) -> None:
    with connection.transaction(), connection.cursor() as cursor:
        for batch in batches:
            for model in MODELS:
                model.apply(cursor, batch)


def tables(connection: psycopg.Connection[Any]) -> dict[str, list[Any]]:
    names = [table for model in MODELS for table in model.tables]
    return {
        n: connection.execute(f"SELECT * FROM {n} ORDER BY 1, 2".encode()).fetchall() for n in names
    }


def empty(connection: psycopg.Connection[Any]) -> None:
    for model in MODELS:
        for table in model.tables:
            connection.execute(f"TRUNCATE {table}".encode())


def test_shuffled_across_streams_and_doubled_the_tables_are_identical(
    twinlock: Twinlock, connection: psycopg.Connection[Any]
) -> None:
    a_history(twinlock)
    entries = entries_of(twinlock.store.events(0, 500))
    apply_all(connection, [entries])
    expected = tables(connection)
    for seed in range(20):
        chance = random.Random(seed)
        streams: dict[str, list[Entry]] = {}
        for entry in entries:
            streams.setdefault(entry.stream, []).append(entry)
        mixed: list[Entry] = []
        while streams:
            stream = chance.choice(sorted(streams))
            mixed.append(streams[stream][0])
            if chance.random() < 0.7:
                streams[stream].pop(0)
            if not streams[stream]:
                del streams[stream]
        size = chance.randint(1, len(mixed))
        empty(connection)
        apply_all(connection, [mixed[i : i + size] for i in range(0, len(mixed), size)])
        assert tables(connection) == expected


def test_rows_equal_what_commands_decide_on(
    twinlock: Twinlock, connection: psycopg.Connection[Any]
) -> None:
    a_history(twinlock)
    apply_all(connection, [[e] for e in entries_of(twinlock.store.events(0, 500))])
    for member in ("m1", "m2", "m3", "m4", "m5"):
        assert standing.member(connection, member) == twinlock.store.load(MemberMFA, member)
    for workspace in ("w", "v", "u"):
        assert standing.policy(connection, workspace) == twinlock.store.load(Workspace, workspace)
    row = next(row for row in tickets.queue(connection) if row.ticket.id == "t1")
    assert row.ticket == twinlock.store.load(UnbindTicket, "t1")


@pytest.mark.parametrize(
    ("workspace", "member", "decision"),
    [
        ("w", "m1", "code_required"),
        ("w", "m5", "granted"),
        ("v", "m3", "enrolment_required"),
        ("v", "m4", "locked"),
    ],
)
def test_the_login_check_answers_as_the_streams_would(
    twinlock: Twinlock,
    connection: psycopg.Connection[Any],
    workspace: str,
    member: str,
    decision: str,
) -> None:
    a_history(twinlock)
    apply_all(connection, [entries_of(twinlock.store.events(0, 500))])
    seen = standing.see(connection, workspace, member)
    assert not seen.behind
    assert due(seen.member, seen.workspace, NOW + timedelta(hours=1)).decision == decision
    append(twinlock, Workspace, workspace, PolicyEnforced(grace_until=None))
    assert standing.see(connection, workspace, member).behind


def test_a_stranger_is_current_and_has_no_role(connection: psycopg.Connection[Any]) -> None:
    seen = standing.see(connection, "w", "nobody")
    assert (seen.behind, dict(seen.member.roles), seen.position) == (False, {}, 0)


def test_a_row_that_missed_an_event_stays_behind_until_it_is_mended(
    twinlock: Twinlock, connection: psycopg.Connection[Any]
) -> None:
    a_history(twinlock)
    entries = entries_of(twinlock.store.events(0, 500))
    missed = next(e for e in entries if e.stream == "member/m2" and e.type == "mfa.bound")
    apply_all(connection, [[e for e in entries if e is not missed]])
    assert standing.see(connection, "w", "m2").behind
    apply_all(connection, [entries])
    assert not standing.see(connection, "w", "m2").behind


def test_coverage_counts_and_lists_by_chip(
    twinlock: Twinlock, connection: psycopg.Connection[Any]
) -> None:
    a_history(twinlock)
    apply_all(connection, [entries_of(twinlock.store.events(0, 500))])
    at = NOW + timedelta(hours=1)
    counted = coverage.counts(connection, "w", at)
    assert counted == coverage.Counts(members=3, bound=2, in_grace=1, overdue=0, locked=0)
    later = coverage.counts(connection, "w", NOW + timedelta(days=8))
    assert later == coverage.Counts(members=3, bound=2, in_grace=0, overdue=1, locked=0)
    (m5,) = coverage.items(connection, "w", at, chip="in_grace")
    assert (m5.member_id, m5.role, m5.status) == ("m5", "owner", "enrolling")
    assert m5.enrolment_due_at == NOW + timedelta(days=7)
    (m4,) = coverage.items(connection, "v", at, chip="locked")
    assert m4.locked_until == NOW + timedelta(days=9)
    assert [i.member_id for i in coverage.items(connection, "w", at, after="m1", limit=1)] == ["m2"]


def test_a_preview_lists_who_would_be_stopped(
    twinlock: Twinlock, connection: psycopg.Connection[Any]
) -> None:
    a_history(twinlock)
    apply_all(connection, [entries_of(twinlock.store.events(0, 500))])
    seen = coverage.preview(connection, "w", NOW)
    assert (seen.members, seen.stopped, [i.member_id for i in seen.items]) == (3, 1, ["m5"])
    assert standing.owners(connection, "w") == ["m1", "m5"]
    m5 = standing.member(connection, "m5")
    assert m5 is not None
    assert dict(m5.roles) == {"w": "owner"}


def test_the_queue_is_oldest_first(twinlock: Twinlock, connection: psycopg.Connection[Any]) -> None:
    a_history(twinlock)
    apply_all(connection, [[e] for e in entries_of(twinlock.store.events(0, 500))])
    rows = tickets.queue(connection)
    assert [row.ticket.id for row in rows] == ["t1", "t2"]
    assert [r.ticket.id for r in tickets.queue(connection, after=rows[0].place)] == ["t2"]
    assert [r.ticket.id for r in tickets.queue(connection, statuses=("submitted",))] == ["t2"]
    assert [r.ticket.id for r in tickets.queue(connection, assignee="zed")] == ["t1"]


def test_the_audit_trail_finds_what_it_is_asked_for(
    twinlock: Twinlock, connection: psycopg.Connection[Any]
) -> None:
    a_history(twinlock)
    entries = entries_of(twinlock.store.events(0, 500))
    apply_all(connection, [[e] for e in entries])
    connection.execute("INSERT INTO log_head (log) VALUES ('embedded')")
    connection.execute(
        "INSERT INTO progress (model, log, partition, position) VALUES (%s, 'embedded', 0, %s)",
        (audit_trail.KEY, entries[-1].position),
    )

    def found(**wanted: Any) -> list[audit_trail.Row]:
        return audit_trail.page(connection, audit_trail.Filter(**wanted), limit=500)

    assert [row.position for row in found()] == [e.position for e in entries]
    assert {row.member_id for row in found(ticket_id="t1")} == {"m2"}
    assert "ticket.claimed" in {row.type for row in found(member_id="m2")}
    assert {row.type for row in found() if row.result == "refused"} == {
        "mfa.code_rejected",
        "mfa.locked",
        "ticket.rejected",
    }
    assert {row.subject for row in found(type="workspace.member_removed")} == {"workspace/u"}
    assert len(found(since=NOW + timedelta(minutes=11))) == 2
    assert found(actor="h1") == found()
    assert found(until=NOW, workspace_id="w")[-1].type == "workspace.policy_enforced"
    connection.execute("UPDATE progress SET position = 3")
    assert [row.position for row in found()] == [1, 2, 3]
