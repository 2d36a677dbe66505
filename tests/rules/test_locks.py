"""Failures lock: a ladder in a row, a cap in any thirty days, and what clears which."""

from datetime import timedelta

import pytest

from domain.lockout import lock_after
from domain.member_facts import CodeAccepted, CodeRejected, Locked, MFAUnbound
from domain.refusals import CodeRejected as Rejected
from domain.refusals import Locked as IsLocked
from tests.rules.scenario import (
    FAILED,
    NOON,
    Member,
    a_bound_member,
    code_now,
    locked_for,
    wrong_code,
)

DAYS_30 = timedelta(days=30)


def a_capped_member() -> Member:
    """A member with 49 failures at noon, and one wrong code two hours later."""
    return a_bound_member(*[FAILED] * 49).later(hours=2).when(wrong_code())


@pytest.mark.parametrize(
    ("failures", "span"),
    [
        *[(n, None) for n in (1, 2, 3, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26)],
        (5, timedelta(minutes=15)),
        (10, timedelta(hours=1)),
        (15, timedelta(hours=1)),
        *[(n, timedelta(hours=24)) for n in (20, 25, 30, 45, 100)],
    ],
)
def test_the_ladder(failures: int, span: timedelta | None) -> None:
    assert lock_after(failures) == span


def test_five_wrong_codes_lock_for_fifteen_minutes() -> None:
    member, until = a_bound_member(), NOON + timedelta(minutes=15)
    for left in (4, 3, 2, 1):
        member.when(wrong_code()).then_refused(
            Rejected, FAILED, attempts_left=left, locked_until=None
        )
    member.when(wrong_code()).then_refused(
        Rejected, FAILED, Locked(until=until, failures=5), attempts_left=0, locked_until=until
    )
    member.when(code_now()).then_refused(IsLocked, locked_until=until, retry_after=900)


def test_a_locked_member_is_refused_alike_with_a_right_and_a_wrong_code() -> None:
    member = a_bound_member(locked_for(minutes=15))
    for entered in (code_now(), wrong_code()):
        member.when(entered).then_refused(IsLocked, attempts_left=None, retry_after=900)


def test_locks_grow_as_no_code_succeeds() -> None:
    member = a_bound_member()
    spans: list[timedelta] = []
    while len(spans) < 6:
        member.when(wrong_code())
        if until := member.state.locked_until(member.now):
            spans.append(until - member.now)
            member.now = until
    quarter, hour, day = timedelta(minutes=15), timedelta(hours=1), timedelta(days=1)
    assert spans == [quarter, hour, hour, day, day, day]


def test_failures_count_over_all_purposes() -> None:
    member = a_bound_member()
    for purpose in ("login", "unbind", "policy", "recovery_codes"):
        member.when(wrong_code(purpose=purpose)).then_refused(Rejected, CodeRejected)
    member.when(wrong_code()).then_refused(Rejected, FAILED, Locked, attempts_left=0)


def test_a_lock_that_ends_resets_nothing() -> None:
    member = a_bound_member().when(wrong_code(), times=5).later(minutes=15)
    for left in (4, 3, 2, 1, 0):
        member.when(wrong_code())
        assert member.refusal is not None
        assert member.refusal.attempts_left == left
    assert member.state.locked_until(member.now) == member.now + timedelta(hours=1)


@pytest.mark.parametrize(("late", "open_"), [(899, False), (900, True)])
def test_a_lock_ends_at_its_time(late: float, open_: bool) -> None:
    member = a_bound_member().when(wrong_code(), times=5).later(seconds=late).when(code_now())
    if open_:
        member.then(CodeAccepted)
    else:
        member.then_refused(IsLocked, retry_after=1)


def test_a_success_resets_the_ladder() -> None:
    member = a_bound_member().when(wrong_code(), times=4).when(code_now()).then(CodeAccepted)
    member.when(wrong_code()).then_refused(Rejected, FAILED, attempts_left=4)


def test_a_clock_that_goes_back_does_not_end_or_begin_a_lock_anew() -> None:
    member = a_bound_member().when(wrong_code(), times=5).later(days=-1)
    member.when(code_now()).then_refused(IsLocked, retry_after=900)
    member.later(days=1, minutes=15).when(code_now()).then(CodeAccepted)


def test_fifty_failures_in_thirty_days_are_the_cap_though_codes_succeed_between() -> None:
    member = a_bound_member()
    for _ in range(12):
        member.when(wrong_code(), times=4).when(code_now()).then(CodeAccepted).later(minutes=1)
    member.when(wrong_code()).then_refused(Rejected, FAILED, attempts_left=1)
    member.when(wrong_code()).then_refused(
        Rejected, FAILED, Locked, attempts_left=0, locked_until=NOON + DAYS_30
    )
    member.later(days=29).when(code_now()).then_refused(IsLocked, locked_until=NOON + DAYS_30)


def test_a_used_code_under_a_nearly_full_cap_says_the_same() -> None:
    member = a_bound_member(*[FAILED] * 48).when(code_now()).then(CodeAccepted)
    member.when(code_now()).then_refused(Rejected, CodeRejected, attempts_left=2)


def test_under_the_cap_the_lock_ends_when_the_oldest_failure_leaves_the_window() -> None:
    member = a_capped_member()
    assert member.state.locked_until(member.now) == NOON + DAYS_30
    member.now = NOON + DAYS_30 - timedelta(seconds=1)
    member.when(code_now()).then_refused(IsLocked, retry_after=1)
    member.later(seconds=1).when(code_now()).then(CodeAccepted)


def test_failures_older_than_thirty_days_do_not_count_to_the_cap() -> None:
    member = a_bound_member(*[FAILED] * 49).later(days=30).when(code_now()).then(CodeAccepted)
    member.when(wrong_code()).then_refused(Rejected, FAILED, attempts_left=4)


@pytest.mark.parametrize("days", [1, 31])
def test_the_later_of_ladder_and_cap_holds(days: int) -> None:
    member = a_bound_member(*[FAILED] * 50, locked_for(days=days)).state
    assert member.locked_until(NOON) == NOON + max(DAYS_30, timedelta(days=days))


@pytest.mark.parametrize("method", ["self", "recovery_code"])
def test_unbinding_oneself_keeps_the_cap(method: str) -> None:
    member = a_capped_member()
    member.given(MFAUnbound(binding_id="b1", method=method, ticket_id=None))
    assert member.state.locked_until(member.now) == NOON + DAYS_30


def test_a_ticket_is_the_way_out_of_ladder_and_cap() -> None:
    member = a_capped_member()
    member.given(MFAUnbound(binding_id="b1", method="ticket", ticket_id="t1"))
    assert member.state.locked_until(member.now) is None
    assert (member.state.failures, member.state.failed_at) == (0, ())
