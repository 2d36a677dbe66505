"""A code is spent once, for every purpose, and in order of time only."""

from itertools import product

import pytest

from domain.member_facts import (
    CodeAccepted,
    CodeRejected,
    EnrolmentStarted,
    MFABound,
    MFAUnbound,
    RecoveryCodeSpent,
)
from domain.refusals import CodeRejected as Rejected
from domain.refusals import NotBound
from domain.totp import step_at
from tests.rules.scenario import (
    NOON,
    STEP,
    a_bound_member,
    a_member,
    bind,
    code,
    code_now,
    text,
    wrong_code,
)
from tests.rules.test_enrolment import an_enrolling_member

PURPOSES = ("login", "unbind", "policy", "recovery_codes")


@pytest.mark.parametrize("purpose", PURPOSES)
def test_a_right_code_is_accepted_and_its_step_spent(purpose: str) -> None:
    member = a_bound_member().when(code(STEP, purpose=purpose, login_id="l1"))
    member.then(CodeAccepted(purpose=purpose, binding_id="b1", step=STEP, login_id="l1"))
    assert (member.state.last_step, member.state.last_used_at) == (STEP, NOON)


@pytest.mark.parametrize(("first", "second"), list(product(PURPOSES, PURPOSES)))
def test_a_code_is_spent_for_every_purpose(first: str, second: str) -> None:
    a_bound_member().when(code(STEP, purpose=first)).then(CodeAccepted).when(
        code(STEP, purpose=second)
    ).then_refused(Rejected, CodeRejected(purpose=second, reason="used", login_id=None))


@pytest.mark.parametrize("purpose", PURPOSES)
def test_the_code_that_bound_is_spent(purpose: str) -> None:
    an_enrolling_member().when(bind()).when(code_now(purpose=purpose)).then_refused(
        Rejected, CodeRejected(purpose=purpose, reason="used", login_id=None)
    )


@pytest.mark.parametrize(("first", "older"), [(0, -1), (1, 0), (1, -1)])
def test_an_older_step_is_refused_though_never_used(first: int, older: int) -> None:
    a_bound_member().when(code(STEP + first)).then(CodeAccepted).when(
        code(STEP + older)
    ).then_refused(Rejected, CodeRejected(purpose="login", reason="used", login_id=None))


def test_codes_in_order_of_time_are_accepted() -> None:
    member = a_bound_member()
    for offset in (-1, 0, 1):
        member.when(code(STEP + offset)).then(CodeAccepted)


def test_a_code_stays_used_in_the_next_window() -> None:
    a_bound_member().when(code(STEP)).later(seconds=30).when(code(STEP)).then_refused(
        Rejected, CodeRejected(purpose="login", reason="used", login_id=None)
    )


def test_a_used_code_does_not_count() -> None:
    member = a_bound_member().when(code(STEP)).when(code(STEP), times=20)
    member.then_refused(Rejected, CodeRejected, attempts_left=5)
    assert (member.state.failures, member.state.failed_at) == (0, ())


def test_a_used_code_says_how_many_tries_are_left() -> None:
    member = a_bound_member().when(code(STEP)).when(wrong_code(), times=2)
    member.when(code(STEP)).then_refused(Rejected, CodeRejected, attempts_left=3)


def test_a_used_step_stays_used_when_the_clock_goes_back() -> None:
    member = a_bound_member().when(code(STEP)).later(minutes=-10)
    for step in (STEP, step_at(member.now)):
        member.when(code(step)).then_refused(Rejected, CodeRejected)


def test_the_clock_never_reads_earlier_than_the_last_event() -> None:
    member = a_bound_member().later(minutes=-10)
    observed = code(step_at(member.now))
    member.when(observed).then_refused(Rejected, CodeRejected)
    member.when(code(STEP)).then(CodeAccepted)
    assert member.state.last_used_at == NOON


@pytest.mark.parametrize("entered", ["", "12345", "1234567", "abcdef", "１２３４５６"])
def test_what_is_no_code_is_refused_and_counted(entered: str) -> None:
    a_bound_member().when(text(entered)).then_refused(
        Rejected, CodeRejected(purpose="login", reason="wrong", login_id=None), attempts_left=4
    )


@pytest.mark.parametrize("purpose", PURPOSES)
def test_without_an_authenticator_there_is_no_code(purpose: str) -> None:
    a_member().when(code(STEP, purpose=purpose)).then_refused(NotBound)


def test_unbinding_forgets_the_binding_and_raises_the_epoch() -> None:
    member = a_bound_member(
        RecoveryCodeSpent(set_id="set1", index=0, purpose="login", login_id=None),
        EnrolmentStarted(enrolment_id="b9", expires_at=NOON),
    )
    before = member.state
    after = member.given(MFAUnbound(binding_id="b1", method="self", ticket_id=None)).state
    assert after.epoch == before.epoch + 1
    assert (after.bound, after.bound_at, after.last_used_at) == (False, None, None)
    assert (after.recovery_set, after.recovery_count, after.recovery_spent) == (None, 0, ())
    assert (after.last_step, after.enrolment) == (-1, None)


def test_a_new_binding_has_steps_of_its_own() -> None:
    member = a_bound_member().when(code(STEP + 1))
    member.given(MFAUnbound(binding_id="b1", method="self", ticket_id=None))
    member.given(MFABound(binding_id="b2", step=STEP, workspace_id=None, login_id=None))
    member.when(code(STEP + 1)).then(
        CodeAccepted(purpose="login", binding_id="b2", step=STEP + 1, login_id=None)
    )
