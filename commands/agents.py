"""Who is an agent: the bearer of a live support token, or support staff by role."""

from commands.ports import Desk
from domain.member_mfa import MemberMFA
from domain.unbind_ticket import UnbindTicket


def is_agent(desk: Desk, member: MemberMFA) -> bool:
    """Whether the member works tickets."""
    staff = desk.rules.staff_workspace
    by_role = staff is not None and member.roles.get(staff) == "support"
    return by_role or member.id in token_agents(desk)


def privileged(desk: Desk, member: MemberMFA) -> bool:
    """Whether the member is an owner or an agent, whose ticket two agents approve."""
    return "owner" in member.roles.values() or is_agent(desk, member)


def deserted(desk: Desk, ticket: UnbindTicket) -> bool:
    """Whether the ticket is assigned to somebody who is an agent no longer."""
    assignee = ticket.assignee
    return assignee is not None and not is_agent(desk, desk.store.load(MemberMFA, assignee))


def token_agents(desk: Desk) -> frozenset[str]:
    """The members to whom live support tokens belong."""
    return frozenset(
        token.claims["member_id"]
        for token in desk.credentials.of_kind("api")
        if token.claims["role"] == "support"
    )
