"""Who is an agent: the bearer of a live support token, or support staff by role."""

from commands.ports import Desk
from domain.member_mfa import MemberMFA


def is_agent(desk: Desk, member: MemberMFA) -> bool:
    """Whether the member works tickets."""
    staff = desk.rules.staff_workspace
    by_role = staff is not None and member.roles.get(staff) == "support"
    return by_role or member.id in token_agents(desk)


def token_agents(desk: Desk) -> frozenset[str]:
    """The members to whom live support tokens belong."""
    return frozenset(
        token.claims["member_id"]
        for token in desk.credentials.of_kind("api")
        if token.claims["role"] == "support"
    )
