"""Recovery codes: once each, at any lock level, in place of a code."""

import re
from datetime import timedelta

import pytest

from domain.member_facts import CodeAccepted, CodeRejected, Locked, RecoveryCodesIssued
from domain.member_facts import RecoveryCodeSpent as Spent
from domain.onetime import RECOVERY_CODE, recovery_code, recovery_digest
from domain.refusals import CodeRejected as Rejected
from domain.refusals import Locked as IsLocked
from domain.refusals import NotBound
from tests.rules.scenario import (
    FAILED,
    NOON,
    RECOVERY,
    Member,
    a_bound_member,
    a_member,
    code_now,
    recovery,
    wrong_code,
)
from tests.rules.test_locks import DAYS_30, a_capped_member

WRONG = "ZZZZ-ZZZZ-ZZZZ-ZZZZ"
RECOVERY_FAILED = CodeRejected(purpose="login", reason="recovery_code", login_id=None)


def a_locked_member(failures: int = 5) -> Member:
    """A member whose newest wrong code locked at noon."""
    return a_bound_member(*[FAILED] * (failures - 1)).when(wrong_code())


@pytest.mark.parametrize(
    ("entropy", "written"),
    [
        (b"\x00" * 10, "0000-0000-0000-0000"),
        (b"\xff" * 10, "ZZZZ-ZZZZ-ZZZZ-ZZZZ"),
        (b"\x00" * 9 + b"\x01", "0000-0000-0000-0001"),
        (bytes(range(10)), "000G-40R4-0M30-E209"),
    ],
)
def test_a_recovery_code_is_eighty_bits_in_crockford_base32(entropy: bytes, written: str) -> None:
    assert recovery_code(entropy) == written
    assert RECOVERY_CODE.fullmatch(written)


@pytest.mark.parametrize(
    "text", ["zzzz-ZZZZ-ZZZZ-ZZZZ", "ZZZZZZZZZZZZZZZZ", "ILOU-ZZZZ-ZZZZ-ZZZZ", "ZZZZ-ZZZZ-ZZZZ", ""]
)
def test_other_texts_are_no_recovery_codes(text: str) -> None:
    assert not RECOVERY_CODE.fullmatch(text)


def test_only_digests_of_them_are_kept() -> None:
    assert re.fullmatch("[0-9a-f]{64}", recovery_digest(RECOVERY[0]))
    assert len({recovery_digest(code) for code in RECOVERY}) == 10


@pytest.mark.parametrize("purpose", ["login", "unbind"])
@pytest.mark.parametrize("index", [0, 4, 9])
def test_each_code_is_spent_once(purpose: str, index: int) -> None:
    member = a_bound_member().when(recovery(RECOVERY[index], purpose=purpose, login_id="l1"))
    member.then(Spent(set_id="set1", index=index, purpose=purpose, login_id="l1"))
    assert member.state.recovery_codes_left == 9
    assert member.state.was_granted("l1")
    member.when(recovery(RECOVERY[index])).then_refused(Rejected, RECOVERY_FAILED, attempts_left=4)


def test_all_ten_can_be_spent() -> None:
    member = a_bound_member()
    for code in RECOVERY:
        member.when(recovery(code)).then(Spent)
    assert member.state.recovery_codes_left == 0


def test_a_newer_set_voids_the_older() -> None:
    newer = tuple(recovery_code(bytes([i + 100]) * 10) for i in range(10))
    digests = tuple(recovery_digest(code) for code in newer)
    member = a_bound_member().when(recovery(RECOVERY[0]))
    member.given(RecoveryCodesIssued(set_id="set2", count=10))
    assert member.state.recovery_codes_left == 10
    member.when(recovery(RECOVERY[1], digests=digests)).then_refused(Rejected, RECOVERY_FAILED)
    member.when(recovery(newer[0], digests=digests)).then(
        Spent(set_id="set2", index=0, purpose="login", login_id=None)
    )


def test_wrong_ones_count_like_wrong_codes() -> None:
    member = a_bound_member().when(wrong_code(), times=2).when(recovery(WRONG), times=2)
    member.then_refused(Rejected, RECOVERY_FAILED, attempts_left=1)
    member.when(recovery(WRONG)).then_refused(Rejected, RECOVERY_FAILED, Locked, attempts_left=0)
    member.when(code_now()).then_refused(IsLocked)


@pytest.mark.parametrize("failures", [5, 10, 15, 20, 25, 45])
def test_a_right_one_is_accepted_at_any_lock_level_and_clears_the_lock(failures: int) -> None:
    member = a_locked_member(failures).when(code_now()).then_refused(IsLocked)
    member.when(recovery(RECOVERY[0])).then(Spent)
    member.when(code_now()).then(CodeAccepted)
    assert member.state.failures == 0


def test_a_right_one_is_accepted_under_the_cap_and_does_not_clear_it() -> None:
    member = a_capped_member().when(recovery(RECOVERY[0])).then(Spent)
    member.when(code_now()).then_refused(IsLocked, locked_until=NOON + DAYS_30)
    member.when(recovery(RECOVERY[1])).then(Spent)


def test_five_wrong_ones_an_hour_while_locked() -> None:
    member = a_locked_member(20)
    for _ in range(5):
        member.when(recovery(WRONG)).later(minutes=1)
        assert isinstance(member.refusal, Rejected)
        assert member.refusal.attempts_left == 0
    member.when(recovery(RECOVERY[0])).then_refused(
        IsLocked, retry_after=55 * 60, locked_until=NOON + timedelta(hours=1)
    )
    member.later(minutes=55).when(recovery(RECOVERY[0])).then(Spent)


def test_wrong_ones_before_the_lock_are_not_in_the_hour() -> None:
    member = a_bound_member().when(recovery(WRONG), times=5).when(recovery(WRONG), times=5)
    member.then_refused(Rejected, RECOVERY_FAILED, Locked)
    member.when(recovery(WRONG)).then_refused(IsLocked)


def test_a_clock_that_goes_back_does_not_forget_the_hour() -> None:
    member = a_locked_member(20).when(recovery(WRONG), times=5).later(hours=-2)
    member.when(recovery(RECOVERY[0])).then_refused(IsLocked, retry_after=3600)


def test_a_right_one_forgets_the_wrong_ones_of_the_hour() -> None:
    member = a_locked_member().when(recovery(WRONG), times=4).when(recovery(RECOVERY[0]))
    member.when(wrong_code(), times=5).when(recovery(WRONG), times=4)
    member.when(recovery(RECOVERY[1])).then(Spent)


def test_a_right_one_under_the_cap_leaves_the_account_locked_and_forgets_none_of_the_hour() -> None:
    member = a_capped_member().when(recovery(WRONG), times=4).when(recovery(RECOVERY[0]))
    member.then(Spent).when(recovery(WRONG)).then_refused(Rejected, RECOVERY_FAILED)
    member.when(recovery(RECOVERY[1])).then_refused(IsLocked, retry_after=3600)


def test_a_wrong_one_while_locked_neither_shortens_nor_repeats_the_lock() -> None:
    until = NOON + timedelta(minutes=15)
    member = a_locked_member().later(minutes=5).when(recovery(WRONG))
    member.then_refused(Rejected, RECOVERY_FAILED, attempts_left=0, locked_until=until)
    assert member.state.locked_until(member.now) == until


def test_wrong_ones_while_locked_climb_the_ladder() -> None:
    member = a_locked_member().when(recovery(WRONG), times=4).when(recovery(WRONG))
    until = NOON + timedelta(hours=1)
    member.then_refused(Rejected, RECOVERY_FAILED, Locked(until=until, failures=10))


def test_a_high_lock_is_not_shortened_by_the_next_rung() -> None:
    member = a_bound_member(*[FAILED] * 14, Locked(until=NOON + DAYS_30, failures=14))
    member.when(recovery(WRONG)).then_refused(
        Rejected, RECOVERY_FAILED, locked_until=NOON + DAYS_30
    )


def test_without_an_authenticator_there_are_none() -> None:
    a_member().when(recovery(RECOVERY[0])).then_refused(NotBound)
