"""Judging codes and recovery codes: once each, in order of time, and behind the locks."""

from collections.abc import Sequence
from datetime import datetime
from math import ceil

from domain import totp
from domain.decision import Decision
from domain.lockout import (
    CAP,
    RECOVERY_TRIES,
    RECOVERY_WINDOW,
    attempts_left,
    capped_until,
    lock_after,
    since,
)
from domain.member_facts import CodeAccepted, CodeRejected, Locked, RecoveryCodeSpent
from domain.member_mfa import MemberMFA
from domain.onetime import recovery_digest, same
from domain.refusals import CodeRejected as Rejected
from domain.refusals import Locked as IsLocked
from domain.refusals import NotBound

LOGIN, UNBIND, BIND, POLICY, RECOVERY_CODES = "login", "unbind", "bind", "policy", "recovery_codes"
"""What a code is spent on."""
REJECTED = "The code was not accepted."


def refuse_locked(member: MemberMFA, at: datetime) -> None:
    """Refuse with the time when the next code is looked at."""
    if until := member.locked_until(at):
        raise locked(until, at)


def locked(until: datetime, at: datetime) -> IsLocked:
    """The refusal that says until when."""
    return IsLocked(
        "Too many codes were refused.",
        locked_until=until,
        retry_after=ceil((until - at).total_seconds()),
    )


def spend_code(
    member: MemberMFA,
    secret: str,
    code: str,
    *,
    purpose: str,
    at: datetime,
    window: int,
    login_id: str | None = None,
) -> Decision:
    """Spend a code of the bound authenticator; `window` is in time steps either side."""
    at = member.clock(at)
    binding_id = require_bound(member)
    refuse_locked(member, at)
    verdict, step = totp.check(secret, code, at=at, window=window, last_step=member.last_step)
    if verdict == "accepted":
        return Decision(
            (CodeAccepted(purpose=purpose, binding_id=binding_id, step=step, login_id=login_id),)
        )
    return rejected(member, purpose=purpose, reason=verdict, at=at, login_id=login_id)


def spend_recovery_code(
    member: MemberMFA,
    digests: Sequence[str],
    code: str,
    *,
    purpose: str,
    at: datetime,
    login_id: str | None = None,
) -> Decision:
    """Spend a recovery code at any lock level; `digests` are those of the newest set."""
    at = member.clock(at)
    if member.recovery_set is None:
        raise NotBound("No authenticator is bound.")
    if member.locked_until(at):
        _refuse_hasty(member, at)
    given = recovery_digest(code)
    found = [i for i, digest in enumerate(digests) if same(digest, given)]
    if found and found[0] not in member.recovery_spent:
        spent = RecoveryCodeSpent(
            set_id=member.recovery_set, index=found[0], purpose=purpose, login_id=login_id
        )
        return Decision((spent,))
    return rejected(member, purpose=purpose, reason="recovery_code", at=at, login_id=login_id)


def rejected(
    member: MemberMFA, *, purpose: str, reason: str, at: datetime, login_id: str | None = None
) -> Decision:
    """Record a refused code, and the lock it leads to; a used one does not count."""
    refused = CodeRejected(purpose=purpose, reason=reason, login_id=login_id)
    if reason == "used":
        left = attempts_left(member.failures, member.failed_at, at)
        return Decision((refused,), Rejected(REJECTED, attempts_left=left))
    failures, failed_at = member.failures + 1, (*member.failed_at, at)[-CAP:]
    before, span = member.locked_until(at), lock_after(failures)
    locks = (before, at + span if span else None, capped_until(failed_at, at))
    until = max(filter(None, locks), default=None)
    if until is None:
        left = attempts_left(failures, failed_at, at)
        return Decision((refused,), Rejected(REJECTED, attempts_left=left))
    lock = () if until == before else (Locked(until=until, failures=failures),)
    return Decision((refused, *lock), Rejected(REJECTED, attempts_left=0, locked_until=until))


def _refuse_hasty(member: MemberMFA, at: datetime) -> None:
    tries = since(member.recovery_failed_at, at - RECOVERY_WINDOW)
    if len(tries) >= RECOVERY_TRIES:
        raise locked(tries[-RECOVERY_TRIES] + RECOVERY_WINDOW, at)


def require_bound(member: MemberMFA) -> str:
    """The binding's id, or a refusal."""
    if member.binding_id is None:
        raise NotBound("No authenticator is bound.")
    return member.binding_id
