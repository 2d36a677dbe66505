"""Who is an agent: the bearer of a live support token, or support staff by role."""

from commands.ports import Desk
from domain.member_mfa import MemberMFA
from domain.unbind_ticket import UnbindTicket


def privileged(desk: Desk, member: MemberMFA) -> bool:
    """Whether the member is an owner or an agent, whose ticket two agents approve."""
    is_agent = _by_role(desk, member) or member.id in token_agents(desk)
    return is_agent or "owner" in member.roles.values()


def works(desk: Desk, agent_id: str, ticket: UnbindTicket) -> bool:
    """Whether the member is an agent for this ticket, whose token may be confined elsewhere."""
    scopes = _scopes(desk).get(agent_id, set())
    by_token = any(in_scope(desk, scope, ticket) for scope in scopes)
    return by_token or _by_role(desk, desk.store.load(MemberMFA, agent_id))


def in_scope(desk: Desk, scope: str | None, ticket: UnbindTicket) -> bool:
    """Whether the ticket was filed in the workspace, or by a member of it without a login."""
    if scope is None or ticket.workspace_id is not None:
        return scope in (None, ticket.workspace_id)
    return scope in desk.store.load(MemberMFA, ticket.member_id).roles


def deserted(desk: Desk, ticket: UnbindTicket) -> bool:
    """Whether the ticket is assigned to somebody who is no agent for it any longer."""
    return ticket.assignee is not None and not works(desk, ticket.assignee, ticket)


def token_agents(desk: Desk, within: str | None = None) -> frozenset[str]:
    """The members whose live support tokens are good in a workspace; None: anywhere."""
    return frozenset(
        member_id
        for member_id, scopes in _scopes(desk).items()
        if within is None or scopes & {None, within}
    )


def _by_role(desk: Desk, member: MemberMFA) -> bool:
    staff = desk.rules.staff_workspace
    return staff is not None and member.roles.get(staff) == "support"


def _scopes(desk: Desk) -> dict[str, set[str | None]]:
    """The workspaces that each agent's live tokens are confined to; None: to none."""
    found: dict[str, set[str | None]] = {}
    for token in desk.credentials.of_kind("api"):
        if token.claims["role"] == "support":
            found.setdefault(token.claims["member_id"], set()).add(token.claims["workspace_id"])
    return found
