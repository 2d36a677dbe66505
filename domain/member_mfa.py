"""The member's account: its authenticator, failures, mailed codes, roles and open ticket."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, ClassVar

from domain.facts import Event, Fact
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
from domain.times import EPOCH

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
    snapshot_version: ClassVar[int] = 3

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


_BLANK = MemberMFA("")
Changes = dict[str, Any]
"""Fields of the member with their new values."""


def evolve(member: MemberMFA, event: Event) -> MemberMFA:
    """The member after `event`; assigns and never refuses."""
    return advance(_copy(member), event)


def advance(own: MemberMFA, event: Event) -> MemberMFA:
    """Likewise without a copy: for who made the member and has shown it to nobody yet."""
    assign = _ASSIGNED.get(type(event.fact))
    changes = assign(own, event.fact, event.at) if assign else {}
    vars(own).update(changes, version=event.version, updated_at=event.at)
    return own


def blank(id_: str) -> MemberMFA:
    """The same as MemberMFA(id_), for who makes very many."""
    made = _copy(_BLANK)
    vars(made)["id"] = id_
    return made


def _copy(member: MemberMFA) -> MemberMFA:
    """A copy; `replace` would set every field anew, which takes three times as long."""
    copy = object.__new__(MemberMFA)
    vars(copy).update(vars(member))
    return copy


def _confirmed(member: MemberMFA, fact: EmailCodeConfirmed, _: datetime) -> Changes:
    return {"challenges": tuple(c for c in member.challenges if c.purpose != fact.purpose)}


def _mistyped(member: MemberMFA, fact: EmailCodeRejected, _: datetime) -> Changes:
    return {
        "challenges": tuple(
            replace(c, failures=c.failures + 1) if c.id == fact.challenge_id else c
            for c in member.challenges
        )
    }


def _bound(member: MemberMFA, fact: MFABound, at: datetime) -> Changes:
    return _succeeded(member, fact.login_id, at) | {
        "binding_id": fact.binding_id,
        "bound_at": at,
        "last_step": fact.step,
        "enrolment": None,
        "epoch": member.epoch + 1,
    }


def _spent(member: MemberMFA, fact: RecoveryCodeSpent, at: datetime) -> Changes:
    spent = (*member.recovery_spent, fact.index)
    return _succeeded(member, fact.login_id, at) | {"recovery_spent": spent}


def _joined(member: MemberMFA, fact: MemberAdded | MemberRoleChanged, _: datetime) -> Changes:
    return {"roles": {**member.roles, fact.workspace_id: fact.role}}


def _removed(member: MemberMFA, fact: MemberRemoved, _: datetime) -> Changes:
    others = {id_: role for id_, role in member.roles.items() if id_ != fact.workspace_id}
    return _signed_out(member) | {"roles": others, "left": fact.workspace_id}


def _erased(member: MemberMFA) -> Changes:
    gone = {"erased": True, "roles": {}, "left": None, "challenges": ()}
    return _unbound(member, "erased") | gone


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


_ASSIGNED: Mapping[type[Fact], Callable[[MemberMFA, Any, datetime], Changes]] = {
    Registered: lambda member, fact, at: {"registered": True},
    EmailCodeSent: _with_challenge,
    EmailCodeConfirmed: _confirmed,
    EmailCodeRejected: _mistyped,
    ContactChanged: lambda member, fact, at: {"challenges": (), "enrolment": None},
    EnrolmentStarted: lambda member, fact, at: {
        "enrolment": Enrolment(fact.enrolment_id, fact.expires_at)
    },
    MFABound: _bound,
    CodeAccepted: lambda member, fact, at: {
        **_succeeded(member, fact.login_id, at),
        "last_step": fact.step,
    },
    RecoveryCodeSpent: _spent,
    RecoveryCodesIssued: lambda member, fact, at: {
        "recovery_set": fact.set_id,
        "recovery_count": fact.count,
        "recovery_spent": (),
    },
    CodeRejected: lambda member, fact, at: _failed(member, fact.reason, at),
    Locked: lambda member, fact, at: {"lock": fact.until},
    MFAUnbound: lambda member, fact, at: _unbound(member, fact.method),
    MemberAdded: _joined,
    MemberRoleChanged: _joined,
    MemberRemoved: _removed,
    LoginGranted: lambda member, fact, at: {"granted": _granted(member, fact.login_id, at)},
    SessionsRevoked: lambda member, fact, at: _signed_out(member),
    TicketOpened: lambda member, fact, at: {"open_ticket": fact.ticket_id},
    TicketClosed: lambda member, fact, at: {"open_ticket": None},
    Erased: lambda member, fact, at: _erased(member),
}
"""What each fact changes; whatever is not named changes the version and the time only."""
