"""The member's account: its authenticator, failures, mailed codes, roles and open ticket."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from domain.facts import Event
from domain.lockout import CAP, RECOVERY_WINDOW, capped_until, since
from domain.member_facts import (
    CodeAccepted,
    CodeRejected,
    ContactChanged,
    EmailCodeConfirmed,
    EmailCodeRejected,
    EmailCodeSent,
    EnrolmentStarted,
    Erased,
    Locked,
    LoginGranted,
    MemberAdded,
    MemberRemoved,
    MemberRoleChanged,
    MFABound,
    MFAUnbound,
    RecoveryCodesIssued,
    RecoveryCodeSpent,
    Registered,
    SessionsRevoked,
    TicketClosed,
    TicketOpened,
)
from domain.onetime import ANONYMOUS

EPOCH = datetime.fromtimestamp(0, UTC)
PENDING = timedelta(minutes=10)
"""How long a login, an enrolment and a mailed code stay pending."""
DAY = timedelta(days=1)
GRANTS_KEPT = 50
"""So many granted logins are remembered, that a check costs the same however long the history."""


@dataclass(frozen=True, slots=True)
class Enrolment:
    """A secret that waits for its first right code."""

    id: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Challenge:
    """A mailed code that waits to be entered."""

    id: str
    purpose: str
    expires_at: datetime
    failures: int = 0


@dataclass(frozen=True)
class MemberMFA:
    """What the member's stream says; `roles` are by workspace id, `left` is the one left last."""

    kind: ClassVar[str] = "member"
    snapshot_version: ClassVar[int] = 2

    id: str
    version: int = 0
    updated_at: datetime = EPOCH
    registered: bool = False
    erased: bool = False
    roles: Mapping[str, str] = field(default_factory=dict)
    left: str | None = None
    epoch: int = 0
    revocations: int = 0
    binding_id: str | None = None
    bound_at: datetime | None = None
    last_used_at: datetime | None = None
    last_step: int = -1
    enrolment: Enrolment | None = None
    challenges: tuple[Challenge, ...] = ()
    mails: tuple[tuple[str, datetime], ...] = ()
    failures: int = 0
    failed_at: tuple[datetime, ...] = ()
    lock: datetime | None = None
    recovery_set: str | None = None
    recovery_count: int = 0
    recovery_spent: tuple[int, ...] = ()
    recovery_failed_at: tuple[datetime, ...] = ()
    granted: tuple[tuple[str, datetime], ...] = ()
    open_ticket: str | None = None

    @property
    def bound(self) -> bool:
        """Whether an authenticator is tied to the account."""
        return self.binding_id is not None

    @property
    def recovery_codes_left(self) -> int:
        """How many recovery codes are unspent."""
        return self.recovery_count - len(self.recovery_spent)

    def clock(self, at: datetime) -> datetime:
        """The time to decide by: `at`, but never before the stream's last event."""
        return max(at, self.updated_at)

    def locked_until(self, at: datetime) -> datetime | None:
        """When the next code is looked at; None when that is now."""
        lock = self.lock if self.lock and self.lock > at else None
        return max(filter(None, (lock, capped_until(self.failed_at, at))), default=None)

    def pending_enrolment(self, at: datetime) -> Enrolment | None:
        """The enrolment that still waits for a code at `at`."""
        return self.enrolment if self.enrolment and self.enrolment.expires_at > at else None

    def status(self, at: datetime) -> str:
        """Either not_bound, enrolling or bound."""
        if self.bound:
            return "bound"
        return "enrolling" if self.pending_enrolment(at) else "not_bound"

    def challenge(self, purpose: str, challenge_id: str | None = None) -> Challenge | None:
        """The newest mailed code of that purpose, or the one with that id."""
        of_kind = (c for c in reversed(self.challenges) if c.purpose == purpose)
        return next((c for c in of_kind if challenge_id in (None, c.id)), None)

    def granted_at(self, login_id: str) -> datetime | None:
        """When that login was last granted, within its life and the newest grants."""
        return next((at for id_, at in reversed(self.granted) if id_ == login_id), None)

    def was_granted(self, login_id: str) -> bool:
        """Whether that login was granted, within the same bounds."""
        return self.granted_at(login_id) is not None


Changes = dict[str, Any]
"""Fields of the member with their new values: one copy is made for each event, and no more."""


def evolve(member: MemberMFA, event: Event) -> MemberMFA:
    """The member after `event`; assigns and never refuses."""
    changes = _mailbox(member, event) or _authenticator(member, event) or _account(member, event)
    after = object.__new__(MemberMFA)  # `replace` would set every field anew, for each event
    vars(after).update(vars(member), version=event.version, updated_at=event.at, **changes)
    return after


def _mailbox(member: MemberMFA, event: Event) -> Changes:
    match event.fact:
        case EmailCodeSent() as sent:
            return _with_challenge(member, sent, event.at)
        case EmailCodeConfirmed(purpose=purpose):
            return {"challenges": tuple(c for c in member.challenges if c.purpose != purpose)}
        case EmailCodeRejected(challenge_id=challenge_id):
            return {
                "challenges": tuple(
                    replace(c, failures=c.failures + 1) if c.id == challenge_id else c
                    for c in member.challenges
                )
            }
        case ContactChanged():
            return {"challenges": ()}
    return {}


def _authenticator(member: MemberMFA, event: Event) -> Changes:
    at = event.at
    match event.fact:
        case EnrolmentStarted(enrolment_id=id_, expires_at=expires_at):
            return {"enrolment": Enrolment(id_, expires_at)}
        case MFABound(binding_id=binding_id, step=step, login_id=login_id):
            return _succeeded(member, login_id, at) | {
                "binding_id": binding_id,
                "bound_at": at,
                "last_step": step,
                "enrolment": None,
                "epoch": member.epoch + 1,
            }
        case CodeAccepted(step=step, login_id=login_id):
            return _succeeded(member, login_id, at) | {"last_step": step}
        case RecoveryCodeSpent(index=index, login_id=login_id):
            spent = (*member.recovery_spent, index)
            return _succeeded(member, login_id, at) | {"recovery_spent": spent}
        case RecoveryCodesIssued(set_id=set_id, count=count):
            return {"recovery_set": set_id, "recovery_count": count, "recovery_spent": ()}
        case CodeRejected(reason=reason):
            return _failed(member, reason, at)
        case Locked(until=until):
            return {"lock": until}
        case MFAUnbound(method=method):
            return _unbound(member, method)
    return {}


def _account(member: MemberMFA, event: Event) -> Changes:
    match event.fact:
        case Registered():
            return {"registered": True}
        case MemberAdded(workspace_id=w, role=role) | MemberRoleChanged(workspace_id=w, role=role):
            return {"roles": {**member.roles, w: role}}
        case MemberRemoved(workspace_id=w):
            others = {id_: role for id_, role in member.roles.items() if id_ != w}
            return _signed_out(member) | {"roles": others, "left": w}
        case LoginGranted(login_id=login_id):
            return {"granted": _granted(member, login_id, event.at)}
        case SessionsRevoked():
            return _signed_out(member)
        case TicketOpened(ticket_id=ticket_id):
            return {"open_ticket": ticket_id}
        case TicketClosed():
            return {"open_ticket": None}
        case Erased():
            gone = {"erased": True, "roles": {}, "left": None, "challenges": ()}
            return _unbound(member, "erased") | gone
    return {}


def _with_challenge(member: MemberMFA, sent: EmailCodeSent, at: datetime) -> Changes:
    """A newer code voids the older of its kind; what strangers ask for voids nothing."""
    kept = tuple(
        c
        for c in member.challenges
        if c.purpose != sent.purpose or (c.purpose == ANONYMOUS and c.expires_at > at)
    )
    mails = tuple(mail for mail in member.mails if mail[1] > at - DAY)
    return {
        "challenges": (*kept, Challenge(sent.challenge_id, sent.purpose, sent.expires_at)),
        "mails": (*mails, (sent.purpose, at)),
    }


def _granted(
    member: MemberMFA, login_id: str | None, at: datetime
) -> tuple[tuple[str, datetime], ...]:
    recent = tuple(entry for entry in member.granted if entry[1] > at - PENDING)
    return (*recent, (login_id, at))[-GRANTS_KEPT:] if login_id else recent


def _succeeded(member: MemberMFA, login_id: str | None, at: datetime) -> Changes:
    """A full success clears the ladder, never the cap, nor the hour's tries while that locks."""
    capped = capped_until(member.failed_at, at)
    return {
        "failures": 0,
        "lock": None,
        "recovery_failed_at": member.recovery_failed_at if capped else (),
        "last_used_at": at,
        "granted": _granted(member, login_id, at),
    }


def _signed_out(member: MemberMFA) -> Changes:
    return {"epoch": member.epoch + 1, "revocations": member.revocations + 1}


def _failed(member: MemberMFA, reason: str, at: datetime) -> Changes:
    if reason == "used":
        return {}
    changes: Changes = {
        "failures": member.failures + 1,
        "failed_at": (*member.failed_at, at)[-CAP:],
    }
    if reason == "recovery_code" and member.locked_until(at):
        tried = since(member.recovery_failed_at, at - RECOVERY_WINDOW)
        changes["recovery_failed_at"] = (*tried, at)
    return changes


def _unbound(member: MemberMFA, method: str) -> Changes:
    """Without an authenticator there are no recovery codes; a ticket is the way out of a lock."""
    changes: Changes = {
        "binding_id": None,
        "bound_at": None,
        "last_used_at": None,
        "last_step": -1,
        "enrolment": None,
        "recovery_set": None,
        "recovery_count": 0,
        "recovery_spent": (),
        "epoch": member.epoch + 1,
    }
    if method == "ticket":
        changes |= {"failures": 0, "failed_at": (), "lock": None}
    return changes
