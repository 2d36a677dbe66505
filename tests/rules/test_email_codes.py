"""Mailed codes: bound to purpose, member and challenge; five tries, ten minutes, a budget."""

from datetime import timedelta
from itertools import product

import pytest

from domain.enrolment import resend_at
from domain.member_facts import (
    ContactChanged,
    EmailCodeConfirmed,
    EmailCodeRejected,
    EmailCodeSent,
    Registered,
)
from domain.onetime import ANONYMOUS, BIND, EMAIL_CODE, TICKET, cancel_token, email_code, same
from domain.refusals import AlreadyBound, CodeRejected, TooMany
from tests.rules.scenario import (
    CONFIRMED_EMAIL,
    KEY,
    NOON,
    REJECTED_EMAIL,
    Member,
    a_bound_member,
    a_member,
    ask_email_code,
    enter_email_code,
)

KINDS = (BIND, TICKET, ANONYMOUS)
ELSE = "not the code"


def a_member_with_mail(purpose: str = BIND) -> Member:
    """A member to whom challenge c1 was mailed at noon."""
    return a_member(Registered()).when(ask_email_code(purpose))


@pytest.mark.parametrize("purpose", KINDS)
def test_a_code_is_mailed_for_ten_minutes(purpose: str) -> None:
    a_member_with_mail(purpose).then(
        EmailCodeSent(challenge_id="c1", purpose=purpose, expires_at=NOON + timedelta(minutes=10))
    )


@pytest.mark.parametrize("purpose", KINDS)
def test_it_has_the_form_of_its_kind_and_is_the_same_whenever_derived(purpose: str) -> None:
    codes = [
        email_code(KEY, purpose=purpose, member_id="m1", challenge_id=f"c{i}") for i in range(50)
    ]
    assert all(EMAIL_CODE[purpose].fullmatch(code) for code in codes)
    assert len(set(codes)) == 50
    assert codes[0] == email_code(KEY, purpose=purpose, member_id="m1", challenge_id="c0")
    assert codes[0] != email_code(b"other", purpose=purpose, member_id="m1", challenge_id="c0")


PLACES = [
    {"purpose": purpose, "member_id": member, "challenge_id": challenge}
    for purpose, member, challenge in product((TICKET, ANONYMOUS), ("m1", "m2"), ("c1", "c2"))
]


@pytest.mark.parametrize(("made", "used"), list(product(PLACES, PLACES)))
def test_purpose_member_and_challenge_are_bound_in(
    made: dict[str, str], used: dict[str, str]
) -> None:
    member = a_member(Registered(), id_=used["member_id"])
    member.when(ask_email_code(used["purpose"], used["challenge_id"]))
    entered = email_code(KEY, **made)
    member.when(enter_email_code(used["purpose"], entered=entered))
    if made == used:
        member.then(EmailCodeConfirmed)
    else:
        member.then_refused(CodeRejected, EmailCodeRejected)


def test_parts_of_a_derivation_do_not_run_into_each_other() -> None:
    one = email_code(KEY, purpose=TICKET, member_id="m1", challenge_id="2c")
    assert one != email_code(KEY, purpose=TICKET, member_id="m12", challenge_id="c")


@pytest.mark.parametrize("entered", ["", "12345", "１２３４５６", "12345678"])
def test_another_text_is_refused(entered: str) -> None:
    a_member_with_mail().when(enter_email_code(entered=entered)).then_refused(
        CodeRejected, REJECTED_EMAIL, attempts_left=4
    )


def test_it_is_confirmed_once() -> None:
    member = a_member_with_mail().when(enter_email_code()).then(CONFIRMED_EMAIL)
    member.when(enter_email_code()).then_refused(
        CodeRejected, EmailCodeRejected(challenge_id=None, purpose=BIND), attempts_left=0
    )


def test_five_tries_void_it() -> None:
    member = a_member_with_mail()
    for left in (4, 3, 2, 1, 0):
        member.when(enter_email_code(entered=ELSE))
        member.then_refused(CodeRejected, REJECTED_EMAIL, attempts_left=left)
    member.when(enter_email_code()).then_refused(CodeRejected, REJECTED_EMAIL, attempts_left=0)


def test_the_fifth_try_may_be_right() -> None:
    a_member_with_mail().when(enter_email_code(entered=ELSE), times=4).when(
        enter_email_code()
    ).then(CONFIRMED_EMAIL)


def test_wrong_ones_never_count_against_the_account() -> None:
    member = a_bound_member().when(ask_email_code(TICKET))
    member.when(enter_email_code(TICKET, entered=ELSE), times=9)
    assert (member.state.failures, member.state.failed_at) == (0, ())


@pytest.mark.parametrize("late", [{"minutes": 10}, {"minutes": 10, "seconds": 1}, {"days": 2}])
@pytest.mark.parametrize("purpose", KINDS)
def test_it_expires(purpose: str, late: dict[str, float]) -> None:
    member = a_member_with_mail(purpose).later(**late)
    member.when(enter_email_code(purpose, named="c1")).then_refused(CodeRejected, EmailCodeRejected)


def test_it_holds_until_it_expires() -> None:
    a_member_with_mail().later(minutes=9, seconds=59).when(enter_email_code()).then(CONFIRMED_EMAIL)


def test_a_clock_that_goes_back_does_not_lengthen_it() -> None:
    member = a_member_with_mail().later(minutes=11).given(SOMETHING)
    member.later(minutes=-5).when(enter_email_code()).then_refused(CodeRejected, REJECTED_EMAIL)


SOMETHING = EmailCodeRejected(challenge_id=None, purpose=TICKET)
"""Any fact that moves the stream's time on."""


@pytest.mark.parametrize("purpose", [BIND, TICKET])
def test_a_newer_one_voids_the_older(purpose: str) -> None:
    member = a_member_with_mail(purpose).later(minutes=1).when(ask_email_code(purpose, "c2"))
    member.when(enter_email_code(purpose, "c1")).then_refused(CodeRejected, EmailCodeRejected)
    member.when(enter_email_code(purpose, "c1", named="c1")).then_refused(
        CodeRejected, EmailCodeRejected(challenge_id=None, purpose=purpose)
    )
    member.when(enter_email_code(purpose, "c2")).then(EmailCodeConfirmed)


@pytest.mark.parametrize("purpose", KINDS)
def test_an_anonymous_one_voids_no_other(purpose: str) -> None:
    member = a_member_with_mail(purpose).later(minutes=1).when(ask_email_code(ANONYMOUS, "c2"))
    member.when(enter_email_code(purpose, "c1", named="c1")).then(
        EmailCodeConfirmed(challenge_id="c1", purpose=purpose)
    )


def test_anonymous_ones_have_tries_of_their_own() -> None:
    member = a_member_with_mail(ANONYMOUS).later(minutes=1).when(ask_email_code(ANONYMOUS, "c2"))
    member.when(enter_email_code(ANONYMOUS, named="c2", entered=ELSE), times=5)
    member.when(enter_email_code(ANONYMOUS, "c2", named="c2")).then_refused(
        CodeRejected, EmailCodeRejected
    )
    member.when(enter_email_code(ANONYMOUS, "c1", named="c1")).then(EmailCodeConfirmed)


def test_expired_anonymous_ones_are_dropped() -> None:
    member = a_member_with_mail(ANONYMOUS).later(minutes=11).when(ask_email_code(ANONYMOUS, "c2"))
    assert [challenge.id for challenge in member.state.challenges] == ["c2"]


@pytest.mark.parametrize("named", [None, "c1", "c9"])
def test_strangers_are_not_told_of_tries(named: str | None) -> None:
    member = a_member_with_mail(ANONYMOUS)
    member.when(enter_email_code(ANONYMOUS, named=named, entered=ELSE)).then_refused(
        CodeRejected, EmailCodeRejected, attempts_left=None
    )


@pytest.mark.parametrize("purpose", KINDS)
def test_another_challenge_is_not_the_one_named(purpose: str) -> None:
    a_member_with_mail(purpose).when(enter_email_code(purpose, named="c9")).then_refused(
        CodeRejected, EmailCodeRejected(challenge_id=None, purpose=purpose)
    )


@pytest.mark.parametrize("purpose", KINDS)
def test_a_new_address_voids_all(purpose: str) -> None:
    a_member_with_mail(purpose).given(ContactChanged()).when(
        enter_email_code(purpose)
    ).then_refused(CodeRejected, EmailCodeRejected)


def test_a_bound_member_gets_none_to_bind() -> None:
    a_bound_member().when(ask_email_code(BIND)).then_refused(AlreadyBound)


@pytest.mark.parametrize("purpose", KINDS)
@pytest.mark.parametrize(
    ("gap", "fit", "then", "said"),
    [
        ({"seconds": 59.5}, 1, 1, "A code was sent to this address a moment ago."),
        ({"minutes": 2}, 5, 50 * 60, "Too many codes were sent to this address."),
        ({"minutes": 20}, 10, 1240 * 60, "Too many codes were sent to this address."),
    ],
)
def test_the_budget_of_a_mailbox(
    purpose: str, gap: dict[str, float], fit: int, then: int, said: str
) -> None:
    member = a_member(Registered())
    for number in range(fit):
        member.when(ask_email_code(purpose, f"c{number}")).then(EmailCodeSent).later(**gap)
    member.when(ask_email_code(purpose, "more")).then_refused(
        TooMany, retry_after=then, detail=said
    )
    member.later(seconds=then).when(ask_email_code(purpose, "more")).then(EmailCodeSent)


@pytest.mark.parametrize(("first", "second"), [(a, b) for a in KINDS for b in KINDS if a != b])
def test_budgets_are_separate_by_kind(first: str, second: str) -> None:
    a_member_with_mail(first).when(ask_email_code(second, "c2")).then(EmailCodeSent)


@pytest.mark.parametrize(
    ("earlier", "minutes"),
    [(0, 1), (1, 1), (3, 1), (4, 52)],
)
def test_when_another_may_be_asked_for(earlier: int, minutes: int) -> None:
    member = a_member(Registered())
    for number in range(earlier):
        member.when(ask_email_code(BIND, f"c{number}")).later(minutes=2)
    again = resend_at(member.state, BIND, member.now)
    assert again == member.now + timedelta(minutes=minutes)


def test_when_another_may_be_asked_for_does_not_go_back_with_the_clock() -> None:
    member = a_member(Registered()).later(minutes=-5)
    assert resend_at(member.state, BIND, member.now) == NOON + timedelta(minutes=1)


def test_a_clock_that_goes_back_does_not_refill_the_budget() -> None:
    a_member_with_mail().later(days=-2).when(ask_email_code(BIND, "c2")).then_refused(
        TooMany, retry_after=60
    )


def test_a_cancel_link_is_made_for_one_ticket() -> None:
    token = cancel_token(KEY, ticket_id="t1")
    assert len(token) == 64
    assert same(token, cancel_token(KEY, ticket_id="t1"))
    assert not same(token, cancel_token(KEY, ticket_id="t2"))
    assert not same(token, token.upper())
