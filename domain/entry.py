"""Who may enter a workspace, and what is due before that."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from domain.member_mfa import MemberMFA
from domain.workspace import Workspace

What = Literal["granted", "code_required", "enrolment_required", "locked"]
PASSWORD = ("pwd",)
TWO_FACTORS = ("pwd", "otp", "mfa")
"""Authentication methods of a pass (RFC 8176)."""


@dataclass(frozen=True, slots=True)
class Due:
    """What is due of a member before a workspace opens, and why."""

    decision: What
    reason: Literal["bound", "policy_enforced", "policy_off", "in_grace", "locked"]
    mfa_required: bool
    enrolment_due_at: datetime | None = None
    locked_until: datetime | None = None


def due(member: MemberMFA, workspace: Workspace, at: datetime) -> Due:
    """Decide what is due; a bound member is asked for a code whatever the policy."""
    at = max(at, member.updated_at, workspace.updated_at)
    required = workspace.enforces(at)
    locked_until = member.locked_until(at)
    if member.bound:
        if locked_until:
            return Due("locked", "locked", required, locked_until=locked_until)
        return Due("code_required", "bound", required)
    enrolment_due_at = workspace.grace_until if workspace.in_grace(at) else None
    if not required:
        reason: Literal["in_grace", "policy_off"] = "in_grace" if enrolment_due_at else "policy_off"
        return Due("granted", reason, required, enrolment_due_at, locked_until)
    if locked_until:
        return Due("locked", "locked", required, locked_until=locked_until)
    return Due("enrolment_required", "policy_enforced", required)


def login_state(member: MemberMFA, workspace: Workspace, login_id: str, at: datetime) -> What:
    """The state of a pending login: granted only where the stream says so."""
    if member.was_granted(login_id):
        return "granted"
    what = due(member, workspace, at).decision
    return "enrolment_required" if what == "granted" else what


def opens(member: MemberMFA, workspace: Workspace, amr: tuple[str, ...], at: datetime) -> bool:
    """Whether a current pass with these methods opens the workspace now."""
    if member.erased or workspace.id not in member.roles:
        return False
    proven = "mfa" in amr and member.bound
    return proven or due(member, workspace, at).decision == "granted"


def still_proves(member: MemberMFA, login_id: str, amr: tuple[str, ...]) -> bool:
    """Whether what a granted login has proven still counts: with an authenticator that is bound."""
    if "mfa" not in amr:
        return True
    granted_at, bound_at = member.granted_at(login_id), member.bound_at
    return granted_at is not None and bound_at is not None and granted_at >= bound_at


CALLS = {
    "enrolment_required": frozenset({"email_code", "enrolment", "binding"}),
    "code_required": frozenset({"code", "ticket"}),
    "locked": frozenset({"code", "ticket"}),
    "granted": frozenset({"code"}),
}
"""What a login token opens besides reading; `code` at a granted login meets a conflict."""


def may_call(state: What, call: str, *, bound: bool) -> bool:
    """Whether a login token in `state` opens `call`: a pending login opens only what it needs.

    Whoever is locked while binding hears of the lock from the binding.
    """
    return call in CALLS[state] or (state, call, bound) == ("locked", "binding", False)
