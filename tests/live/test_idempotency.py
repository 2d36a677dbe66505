"""A repeated request gets the first outcome, and never acts a second time."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from api.backend import Outcome
from api.refusals import IdempotencyMismatch, InProgress
from commands.ports import Write
from domain.member_facts import Registered
from domain.member_mfa import MemberMFA
from domain.refusals import Refusal, Unavailable
from tests.live.test_store import context
from twinlock.composition import Twinlock

pytestmark = pytest.mark.live

CALLER, KEY, BODY = "host/h", "k1", b"body"


def begin(twinlock: Twinlock, body: bytes = BODY, route: str = "POST /x") -> int | Outcome:
    return twinlock.idempotency.begin(CALLER, KEY, route=route, body=body)


def attempt_of(twinlock: Twinlock, body: bytes = BODY) -> int:
    """A beginning that is none of a repeat."""
    begun = begin(twinlock, body)
    assert isinstance(begun, int)
    return begun


def begun(twinlock: Twinlock) -> int | Outcome | None:
    """The same; None while the first request is being carried out."""
    try:
        return begin(twinlock)
    except InProgress:
        return None


def apply(twinlock: Twinlock, attempt: int, member: str = "m1") -> int:
    def once(_: Refusal | None) -> Write:
        outcome = Outcome(status=201, position=None, body={"told": 1})
        return twinlock.idempotency.mark(CALLER, KEY, attempt, outcome)

    return twinlock.store.append(
        replace(context(), once=once), (MemberMFA(member), (Registered(),))
    )


def test_a_finished_request_is_replayed(twinlock: Twinlock) -> None:
    attempt = attempt_of(twinlock)
    outcome = Outcome(status=201, position=apply(twinlock, attempt), body={"a": "é"})
    twinlock.idempotency.finish(CALLER, KEY, attempt, outcome)
    assert begin(twinlock) == outcome


def test_another_body_or_route_under_the_key_is_a_mismatch(twinlock: Twinlock) -> None:
    begin(twinlock)
    with pytest.raises(IdempotencyMismatch):
        begin(twinlock, b"other")
    with pytest.raises(IdempotencyMismatch):
        begin(twinlock, route="POST /y")


def test_the_same_request_at_the_same_time_is_in_progress(twinlock: Twinlock) -> None:
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: begun(twinlock), range(16)))
    assert found.count(None) == 15


def test_another_caller_has_keys_of_its_own(twinlock: Twinlock) -> None:
    begin(twinlock)
    other = twinlock.idempotency.begin("host/other", KEY, route="/", body=b"other")
    assert isinstance(other, int)


def test_an_abandoned_request_may_be_tried_again(twinlock: Twinlock) -> None:
    first = attempt_of(twinlock)
    twinlock.idempotency.abandon(CALLER, KEY, first)
    assert attempt_of(twinlock) > first


def test_an_applied_request_is_not_forgotten_by_abandoning(twinlock: Twinlock) -> None:
    attempt = attempt_of(twinlock)
    apply(twinlock, attempt)
    twinlock.idempotency.abandon(CALLER, KEY, attempt)
    with pytest.raises(InProgress):
        begin(twinlock)


def test_after_a_crash_behind_the_append_the_repeat_never_acts(twinlock: Twinlock) -> None:
    position = apply(twinlock, attempt_of(twinlock))
    twinlock.database.execute("update idempotency set touched_at = now() - interval '10s'")
    assert begin(twinlock) == Outcome(status=201, position=position, body={"told": 1})


def test_after_a_crash_before_the_append_the_repeat_acts_a_minute_later(
    twinlock: Twinlock,
) -> None:
    first = attempt_of(twinlock)
    with pytest.raises(InProgress):
        begin(twinlock)
    twinlock.database.execute("update idempotency set touched_at = now() - interval '61s'")
    assert attempt_of(twinlock) > first
    with pytest.raises(InProgress):
        begin(twinlock)


def test_one_who_was_taken_over_can_no_longer_commit(twinlock: Twinlock) -> None:
    first = attempt_of(twinlock)
    twinlock.database.execute("update idempotency set touched_at = now() - interval '61s'")
    second = attempt_of(twinlock)
    with pytest.raises(Unavailable):
        apply(twinlock, first)
    assert twinlock.store.load(MemberMFA, "m1").version == 0
    apply(twinlock, second)


def test_nor_can_it_where_whoever_took_over_gave_up_and_a_third_began(twinlock: Twinlock) -> None:
    first = attempt_of(twinlock)
    twinlock.database.execute("update idempotency set touched_at = now() - interval '61s'")
    twinlock.idempotency.abandon(CALLER, KEY, attempt_of(twinlock))
    third = attempt_of(twinlock)
    with pytest.raises(Unavailable):
        apply(twinlock, first)
    apply(twinlock, third)


def test_several_appends_of_one_request_mark_it_once(twinlock: Twinlock) -> None:
    attempt = attempt_of(twinlock)
    apply(twinlock, attempt)
    apply(twinlock, attempt, "m2")
    assert twinlock.store.load(MemberMFA, "m2").registered


def test_after_a_day_a_key_is_new(twinlock: Twinlock) -> None:
    begin(twinlock)
    twinlock.database.execute("update idempotency set created_at = now() - interval '23h59m'")
    assert twinlock.idempotency.prune() == 0
    with pytest.raises(IdempotencyMismatch):
        begin(twinlock, b"other")
    twinlock.database.execute("update idempotency set created_at = now() - interval '24h1s'")
    attempt_of(twinlock, b"other")
    twinlock.database.execute("update idempotency set created_at = now() - interval '24h1s'")
    assert twinlock.idempotency.prune() == 1


def test_fingerprints_are_keyed_and_tell_routes_and_bodies_apart(twinlock: Twinlock) -> None:
    prints = {twinlock.idempotency.fingerprint(r, b) for r in ("a", "b") for b in (b"1", b"2")}
    assert len(prints) == 4
