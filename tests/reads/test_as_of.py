"""As of: for every time and position, what is answered is what a fresh replay cut there says."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain import member_mfa, workspace
from domain.facts import Actor, Event, Fact
from domain.member_facts import (
    CodeRejected,
    EnrolmentStarted,
    Locked,
    MemberAdded,
    MemberRemoved,
    MFABound,
    MFAUnbound,
    Registered,
)
from domain.member_mfa import MemberMFA
from domain.refusals import Malformed
from domain.workspace import PolicyEnforced, PolicyLifted, Workspace
from projections import as_of, audit_trail
from projections.journal import entry
from tests.support.built import some_settings
from twinlock.adapters.mapper import encode
from twinlock.adapters.recorder import append_of
from twinlock.composition import build

pytestmark = pytest.mark.live
START = datetime(2026, 3, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
MEMBERS = ("m1", "m2", "m3")
EXAMPLES = count()


@dataclass(frozen=True)
class Told:
    """An event of a history, at its position."""

    position: int
    event: Event


@pytest.fixture(scope="module")
def connection(module_database: str) -> Iterator[psycopg.Connection[Any]]:
    built = build(some_settings(module_database))
    built.migrate()
    with built.connect() as connection:
        yield connection
    built.close()


def facts(member: str, place: str, at: datetime) -> st.SearchStrategy[Fact]:
    """Anything that may happen to a member, in an order that no rule would allow."""
    return st.one_of(
        st.just(Registered()),
        st.sampled_from(("member", "owner")).map(
            lambda role: MemberAdded(workspace_id=place, member_id=member, role=role)
        ),
        st.just(MemberRemoved(workspace_id=place, member_id=member)),
        st.integers(0, 9).map(
            lambda n: MFABound(binding_id=f"b{n}", step=n, workspace_id=None, login_id=None)
        ),
        st.just(MFAUnbound(binding_id="b", method="self", ticket_id=None)),
        st.just(EnrolmentStarted(enrolment_id="e", expires_at=at + 3 * MINUTE)),
        st.just(Locked(until=at + 4 * MINUTE, failures=5)),
        st.just(CodeRejected(purpose="login", reason="wrong", login_id=None)),
    )


def policies(at: datetime) -> st.SearchStrategy[Fact]:
    grace = st.none() | st.integers(1, 6).map(lambda n: at + n * MINUTE)
    return st.just(PolicyLifted()) | grace.map(lambda until: PolicyEnforced(grace_until=until))


@st.composite
def histories(draw: Any) -> list[tuple[str, datetime, Fact]]:
    """Events of three members and a workspace; time never decreases within a stream."""
    number = next(EXAMPLES)
    place, begun = f"w{number}", START + number * timedelta(hours=1)
    clocks = dict.fromkeys((*MEMBERS, "policy"), begun)
    told: list[tuple[str, datetime, Fact]] = []
    for _ in range(draw(st.integers(1, 14))):
        who = draw(st.sampled_from((*MEMBERS, "policy")))
        at = clocks[who] = clocks[who] + draw(st.integers(0, 3)) * MINUTE
        if who == "policy":
            told.append((f"workspace/{place}", at, draw(policies(at))))
        else:
            member = f"{place}.{who}"
            told.append((f"member/{member}", at, draw(facts(member, place, at))))
    return told


def stored(
    connection: psycopg.Connection[Any], history: list[tuple[str, datetime, Fact]]
) -> list[Told]:
    """Append the history as it stands, and what the audit trail says of it."""
    versions: dict[str, int] = {}
    told = []
    for stream, at, fact in history:
        version = versions[stream] = versions.get(stream, 0) + 1
        event = Event(
            stream=stream, version=version, fact=fact, at=at, actor=Actor("host"), request_id="r"
        )
        values = (stream, version, fact.topic(), encode(event))
        row = connection.execute(append_of(1), values).fetchone()
        assert row is not None
        told.append(Told(row[0], event))
    with connection.cursor() as cursor:
        audit_trail.apply(cursor, [_entry(each) for each in told])
    return told


def _entry(told: Told) -> Any:
    event = told.event
    return entry(
        position=told.position,
        stream=event.stream,
        version=event.version,
        topic=event.fact.topic(),
        state=json.loads(encode(event)),
    )


def replayed(told: list[Told], stream: str) -> Any:
    """A fresh replay of one stream out of the events that are left."""
    kind, _, id_ = stream.partition("/")
    evolve: Any = member_mfa.evolve if kind == "member" else workspace.evolve
    state: Any = MemberMFA(id_) if kind == "member" else Workspace(id_)
    for each in told:
        if each.event.stream == stream:
            state = evolve(state, each.event)
    return state


def cuts(
    connection: psycopg.Connection[Any], told: list[Told]
) -> Iterator[tuple[as_of.Cut, list[Told]]]:
    """Every time at which anything happens, just before and just after, and every position."""
    now = datetime.now(UTC) + timedelta(days=3650)
    for at in sorted({each.event.at for each in told}):
        for time in (at - timedelta(microseconds=1), at, at + timedelta(microseconds=1)):
            left = [each for each in told if each.event.at <= time]
            yield as_of.at_time(connection, time, now), left
    for each in told:
        left = [other for other in told if other.position <= each.position]
        yield as_of.at_position(connection, each.position), left


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck), database=None)
@given(history=histories())
def test_an_answer_as_of_any_time_is_a_fresh_replay_cut_there(
    connection: psycopg.Connection[Any], history: list[tuple[str, datetime, Fact]]
) -> None:
    told = stored(connection, history)
    place = next(
        (e.event.stream for e in told if e.event.stream.startswith("workspace/")), "workspace/none"
    ).partition("/")[2]
    if place == "none":
        place = told[0].event.stream.partition("/")[2].partition(".")[0]
    for cut, left in cuts(connection, told):
        _agree(connection, cut, left, place)


def _agree(
    connection: psycopg.Connection[Any], cut: as_of.Cut, left: list[Told], place: str
) -> None:
    policy = replayed(left, f"workspace/{place}")
    assert as_of.policy(connection, cut, place).state == policy
    members = {m: replayed(left, f"member/{place}.{m}") for m in MEMBERS}
    for state in members.values():
        answer = as_of.member(connection, cut, state.id)
        assert answer.state == state
        assert answer.because is None or answer.because in {each.position for each in left}
        assert answer.because is not None or not state.bound
    inside = {state.id: state for state in members.values() if place in state.roles}
    seen = as_of.coverage(connection, cut, place)
    assert {item.member_id: item.role for item in seen.items} == {
        id_: state.roles[place] for id_, state in inside.items()
    }
    assert [item.status for item in seen.items] == [
        inside[item.member_id].status(cut.time) for item in seen.items
    ]
    free = sum(not state.bound for state in inside.values())
    assert (seen.counts.members, seen.counts.bound) == (len(inside), len(inside) - free)
    assert seen.counts.overdue == (free if policy.enforces(cut.time) else 0)
    assert seen.counts.in_grace == (free if policy.in_grace(cut.time) else 0)
    assert seen.counts.locked == sum(
        state.locked_until(cut.time) is not None for state in inside.values()
    )


def test_the_cut_of_a_time_ends_at_the_last_event_that_is_not_later(
    connection: psycopg.Connection[Any],
) -> None:
    now = datetime.now(UTC)
    rows = connection.execute("SELECT notification_id, state FROM stored_events").fetchall()
    times = {p: datetime.fromisoformat(json.loads(state)["time"]) for p, state in rows}
    for time in sorted(set(times.values()))[-20:]:
        expected = max(p for p, at in times.items() if at <= time)
        assert as_of.at_time(connection, time, now).position == expected
    assert as_of.at_time(connection, START - MINUTE * 99, now).position == 0


def test_the_future_and_positions_beyond_the_end_are_malformed(
    connection: psycopg.Connection[Any],
) -> None:
    now = datetime.now(UTC)
    with pytest.raises(Malformed, match="future"):
        as_of.at_time(connection, now + MINUTE, now)
    with pytest.raises(Malformed, match="beyond the end"):
        as_of.at_position(connection, 10**9)
