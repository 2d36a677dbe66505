"""What is shown of members and policies, now and as of then."""

from datetime import datetime
from typing import Any

from commands.set_policy import PolicySet
from domain.member_mfa import MemberMFA
from domain.workspace import Workspace


def mfa_fields(member: MemberMFA, at: datetime) -> dict[str, Any]:
    """What is shown of a member's second factor."""
    return {
        "status": member.status(at),
        "bound_at": member.bound_at,
        "last_used_at": member.last_used_at,
        "locked_until": member.locked_until(at),
        "recovery_codes_left": member.recovery_codes_left,
        "open_ticket_id": member.open_ticket,
    }


def policy_fields(policy: Workspace | PolicySet) -> dict[str, Any]:
    """What is shown of a policy."""
    by = policy.changed_by
    return {
        "mode": policy.mode,
        "grace_until": policy.grace_until,
        "changed_at": policy.changed_at,
        "changed_by": {"kind": by.kind, "id": by.id} if by else None,
    }
