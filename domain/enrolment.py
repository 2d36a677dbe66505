"""Binding an authenticator: mailed code, then a secret, then the first right code."""

from datetime import datetime, timedelta
from math import ceil

from domain import totp
from domain.decision import Decision
from domain.member_facts import (
    EmailCodeConfirmed,
    EmailCodeRejected,
    EmailCodeSent,
    EnrolmentStarted,
    MFABound,
    RecoveryCodesIssued,
)
from domain.member_mfa import DAY, PENDING, MemberMFA
from domain.onetime import ANONYMOUS, BIND, email_code, same
from domain.refusals import AlreadyBound, CodeRejected, IllegalTransition, TooMany
from domain.second_factor import BIND as SPENT_ON_BIND
from domain.second_factor import refuse_locked, rejected
from domain.times import EPOCH
from domain.unbind_ticket import CANCELLED, close_ticket

EMAIL_TRIES = 5
BUDGET = ((timedelta(minutes=1), 1), (timedelta(hours=1), 5), (DAY, 10))
"""At most so many mailed codes of one kind in each span."""
RECOVERY_CODES = 10


def refuse_bound(member: MemberMFA) -> None:
    """A bound member unbinds first: opening the set-up never harms a binding."""
    if member.bound:
        raise AlreadyBound("An authenticator is bound: unbind it first.")


def send_email_code(
    member: MemberMFA, *, purpose: str, challenge_id: str, at: datetime
) -> EmailCodeSent:
    """Send a code to the mailbox, within the budget of its kind."""
    at = member.clock(at)
    if purpose == BIND:
        refuse_bound(member)
    sent = _sent(member, purpose)
    free_at = _free_at(sent)
    if free_at > at:
        just_now = free_at == sent[-1] + BUDGET[0][0]
        said = (
            "A code was sent to this address a moment ago."
            if just_now
            else "Too many codes were sent to this address."
        )
        raise TooMany(said, retry_after=ceil((free_at - at).total_seconds()))
    return EmailCodeSent(challenge_id=challenge_id, purpose=purpose, expires_at=at + PENDING)


def check_email_code(
    member: MemberMFA,
    code: str,
    *,
    key: bytes,
    purpose: str,
    at: datetime,
    challenge_id: str | None = None,
) -> Decision:
    """Judge a mailed code against the newest challenge of its kind; five tries, ten minutes."""
    at = member.clock(at)
    challenge = member.challenge(purpose, challenge_id)
    left = 0
    if challenge and challenge.expires_at > at and challenge.failures < EMAIL_TRIES:
        expected = email_code(key, purpose=purpose, member_id=member.id, challenge_id=challenge.id)
        if same(expected, code):
            return Decision((EmailCodeConfirmed(challenge_id=challenge.id, purpose=purpose),))
        left = EMAIL_TRIES - challenge.failures - 1
    rejected = EmailCodeRejected(challenge_id=challenge.id if challenge else None, purpose=purpose)
    return Decision((rejected,), refused_email_code(purpose, attempts_left=left))


def refused_email_code(purpose: str, *, attempts_left: int) -> CodeRejected:
    """The refusal; to strangers it says nothing of tries, which only a member's code has."""
    left = None if purpose == ANONYMOUS else attempts_left
    return CodeRejected("The mailed code was not accepted.", attempts_left=left)


def start(member: MemberMFA, code: str, *, key: bytes, enrolment_id: str, at: datetime) -> Decision:
    """Exchange the mailed code for a new pending enrolment."""
    refuse_bound(member)
    expires_at = member.clock(at) + PENDING
    return check_email_code(member, code, key=key, purpose=BIND, at=at).then(
        EnrolmentStarted(enrolment_id=enrolment_id, expires_at=expires_at)
    )


def pending(member: MemberMFA, enrolment_id: str | None, at: datetime) -> str:
    """The id of the enrolment that a code would bind; refused where none is or it was replaced."""
    refuse_bound(member)
    enrolment = member.pending_enrolment(member.clock(at))
    if enrolment is None or enrolment_id not in (None, enrolment.id):
        raise IllegalTransition("No such enrolment is pending: begin again.")
    return enrolment.id


def bind(
    member: MemberMFA,
    secret: str,
    code: str,
    *,
    at: datetime,
    window: int,
    recovery_set: str,
    workspace_id: str | None,
    login_id: str | None = None,
) -> Decision:
    """Bind the pending authenticator with its first right code, and void an open ticket."""
    at = member.clock(at)
    binding_id = pending(member, None, at)
    refuse_locked(member, at)
    verdict, step = totp.check(secret, code, at=at, window=window, last_step=-1)
    if verdict != "accepted":
        return rejected(member, purpose=SPENT_ON_BIND, reason=verdict, at=at, login_id=login_id)
    bound = MFABound(binding_id=binding_id, step=step, workspace_id=workspace_id, login_id=login_id)
    issued = RecoveryCodesIssued(set_id=recovery_set, count=RECOVERY_CODES)
    return Decision((bound, issued, *close_ticket(member, CANCELLED)))


def resend_at(member: MemberMFA, purpose: str, at: datetime) -> datetime:
    """When the budget allows another code of this kind, after one that is sent at `at`."""
    return _free_at([*_sent(member, purpose), member.clock(at)])


def _sent(member: MemberMFA, purpose: str) -> list[datetime]:
    return [time for kind, time in member.mails if kind == purpose]


def _free_at(sent: list[datetime]) -> datetime:
    """When every span of the budget has room again, after mails sent at those times."""
    return max((sent[-most] + span for span, most in BUDGET if len(sent) >= most), default=EPOCH)
