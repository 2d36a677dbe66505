"""Binding an authenticator: mailed code, one pending secret, first right code."""

from datetime import datetime, timedelta

import pytest

from domain import enrolment, totp
from domain.member_facts import (
    CodeRejected,
    ContactChanged,
    EmailCodeConfirmed,
    EmailCodeRejected,
    EnrolmentStarted,
    Locked,
    MFABound,
    RecoveryCodesIssued,
    Registered,
    TicketClosed,
    TicketOpened,
)
from domain.member_mfa import MemberMFA
from domain.onetime import BIND
from domain.refusals import AlreadyBound, IllegalTransition
from domain.refusals import CodeRejected as Rejected
from domain.refusals import Locked as IsLocked
from tests.rules.scenario import (
    FAILED,
    NOON,
    SECRET,
    STEP,
    Answer,
    Member,
    OfMember,
    a_bound_member,
    a_member,
    ask_email_code,
    bind,
    enrol,
    locked_for,
)


def an_enrolling_member() -> Member:
    """A member who scanned the secret of enrolment b1 at noon."""
    return a_member(Registered()).when(ask_email_code()).when(enrol())


def proceed(enrolment_id: str | None = None) -> OfMember:
    """Name the enrolment that a code would bind."""

    def ask(member: MemberMFA, at: datetime) -> Answer:
        enrolment.pending(member, enrolment_id, at)
        return ()

    return ask


def test_the_mailed_code_opens_an_enrolment_of_ten_minutes() -> None:
    member = a_member(Registered()).when(ask_email_code()).when(enrol())
    member.then(
        EmailCodeConfirmed(challenge_id="c1", purpose=BIND),
        EnrolmentStarted(enrolment_id="b1", expires_at=NOON + timedelta(minutes=10)),
    )
    assert member.state.status(NOON) == "enrolling"


def test_a_wrong_mailed_code_opens_nothing() -> None:
    member = a_member(Registered()).when(ask_email_code())
    member.when(enrol(entered="wrong!")).then_refused(Rejected, EmailCodeRejected, attempts_left=4)
    assert member.state.status(NOON) == "not_bound"


def test_without_a_mailed_code_nothing_opens() -> None:
    a_member(Registered()).when(enrol()).then_refused(
        Rejected, EmailCodeRejected(challenge_id=None, purpose=BIND), attempts_left=0
    )


def test_the_mailed_code_opens_one_enrolment() -> None:
    an_enrolling_member().when(enrol("b2")).then_refused(Rejected, EmailCodeRejected)


def test_the_first_right_code_binds() -> None:
    member = an_enrolling_member()
    epoch = member.state.epoch
    member.when(bind(login_id="l1")).then(
        MFABound(binding_id="b1", step=STEP, workspace_id="w1", login_id="l1"),
        RecoveryCodesIssued(set_id="set2", count=10),
    )
    assert (member.state.bound_at, member.state.status(NOON)) == (NOON, "bound")
    assert (member.state.epoch, member.state.recovery_codes_left) == (epoch + 1, 10)
    assert member.state.was_granted("l1")
    assert member.state.pending_enrolment(NOON) is None


def test_binding_voids_an_open_ticket() -> None:
    an_enrolling_member().given(TicketOpened(ticket_id="t1")).when(bind()).then(
        MFABound, RecoveryCodesIssued, TicketClosed(ticket_id="t1", status="cancelled")
    )


def test_a_wrong_first_code_counts_and_the_enrolment_goes_on() -> None:
    member = an_enrolling_member().when(bind("wrong"))
    member.then_refused(
        Rejected, CodeRejected(purpose="bind", reason="wrong", login_id=None), attempts_left=4
    )
    member.when(bind()).then(MFABound, RecoveryCodesIssued)
    assert (member.state.failures, len(member.state.failed_at)) == (0, 1)


def test_wrong_first_codes_lock() -> None:
    member = an_enrolling_member().when(bind("wrong"), times=5)
    member.then_refused(Rejected, CodeRejected, Locked, attempts_left=0)
    member.when(bind()).then_refused(IsLocked, retry_after=900)
    assert not member.state.bound


def test_failures_count_together_with_those_of_an_earlier_binding() -> None:
    member = an_enrolling_member().given(FAILED, FAILED, FAILED, FAILED)
    member.when(bind("wrong")).then_refused(Rejected, CodeRejected, Locked)


@pytest.mark.parametrize("late", [{"minutes": 10}, {"minutes": 10, "seconds": 1}, {"days": 1}])
def test_an_enrolment_expires(late: dict[str, float]) -> None:
    member = an_enrolling_member().later(**late)
    member.when(bind()).then_refused(IllegalTransition)
    assert member.state.status(member.now) == "not_bound"


def test_an_enrolment_holds_until_it_expires() -> None:
    an_enrolling_member().later(minutes=9, seconds=59).when(bind()).then(
        MFABound, RecoveryCodesIssued
    )


def test_a_clock_that_goes_back_does_not_lengthen_an_enrolment() -> None:
    member = an_enrolling_member().later(minutes=11).given(FAILED).later(minutes=-5)
    member.when(bind()).then_refused(IllegalTransition)
    for ask in (proceed(), proceed("b1")):
        member.when(ask).then_refused(IllegalTransition)


def test_a_clock_that_went_back_is_not_believed() -> None:
    member = an_enrolling_member().later(minutes=-5)
    member.when(bind(totp.code_for(SECRET, STEP - 10))).then_refused(Rejected, CodeRejected)
    member.when(bind(totp.code_for(SECRET, STEP))).then(MFABound, RecoveryCodesIssued)


def test_an_enrolment_begins_by_the_clock_of_the_stream() -> None:
    until = NOON + timedelta(minutes=10)
    a_member(Registered()).when(ask_email_code()).later(minutes=-5).when(enrol()).then(
        EmailCodeConfirmed, EnrolmentStarted(enrolment_id="b1", expires_at=until)
    )


def test_a_newer_enrolment_replaces_the_pending_one() -> None:
    member = an_enrolling_member().later(minutes=1)
    member.when(ask_email_code(challenge_id="c2")).when(enrol("b2", made_for="c2"))
    member.when(proceed("b1")).then_refused(IllegalTransition)
    member.when(proceed("b2")).then()
    member.when(proceed()).then()
    member.when(bind()).then(
        MFABound(binding_id="b2", step=STEP + 2, workspace_id="w1", login_id=None),
        RecoveryCodesIssued,
    )


def test_a_new_address_ends_what_a_code_to_the_old_one_began() -> None:
    member = an_enrolling_member().given(ContactChanged())
    member.when(bind()).then_refused(IllegalTransition)


def test_without_an_enrolment_there_is_nothing_to_bind() -> None:
    a_member(Registered()).when(bind()).then_refused(IllegalTransition)


@pytest.mark.parametrize("step", [ask_email_code(), enrol(), bind(), proceed(), proceed("b1")])
def test_a_bound_member_unbinds_first(step: OfMember) -> None:
    a_bound_member().when(step).then_refused(AlreadyBound)


def test_an_enrolment_is_spent_by_binding() -> None:
    an_enrolling_member().when(bind()).when(bind()).then_refused(AlreadyBound)


def test_a_locked_member_may_begin_but_not_bind() -> None:
    member = a_member(Registered(), locked_for(minutes=15))
    member.when(ask_email_code()).when(enrol()).then(EmailCodeConfirmed, EnrolmentStarted)
    member.when(bind()).then_refused(IsLocked, locked_until=NOON + timedelta(minutes=15))
