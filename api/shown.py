"""What is shown of members, policies and coverage, now and as of then."""

from datetime import datetime
from typing import Any

from commands.set_policy import PolicySet
from domain.member_mfa import MemberMFA
from domain.workspace import Workspace
from projections.coverage import Counts, Item


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


def count_fields(counts: Counts) -> dict[str, Any]:
    """What is shown of a workspace's counts."""
    return {
        "members": counts.members,
        "bound": counts.bound,
        "in_grace": counts.in_grace,
        "overdue": counts.overdue,
        "locked": counts.locked,
    }


def item_fields(item: Item) -> dict[str, Any]:
    """What is shown of a member in a workspace's coverage."""
    return {
        "member_id": item.member_id,
        "role": item.role,
        "status": item.status,
        "enrolment_due_at": item.enrolment_due_at,
        "locked_until": item.locked_until,
    }
