"""Joining, changing and leaving workspaces, and the end of an account."""

from domain.facts import Fact
from domain.member_facts import (
    ContactChanged,
    Erased,
    MemberAdded,
    MemberRemoved,
    MemberRoleChanged,
    Registered,
    SessionsRevoked,
)
from domain.member_mfa import MemberMFA
from domain.refusals import Erased as IsErased
from domain.refusals import NotFound
from domain.unbind_ticket import CANCELLED, close_ticket


def put(
    member: MemberMFA, workspace_id: str, role: str, *, contact_changed: bool
) -> tuple[Fact, ...]:
    """Register, add, change role and change address, whichever of them is news."""
    if member.erased:
        raise IsErased("This account was erased; its id is never used again.")
    facts: list[Fact] = []
    if not member.registered:
        facts.append(Registered())
    elif contact_changed:
        facts.append(ContactChanged())
    current = member.roles.get(workspace_id)
    if current is None:
        facts.append(MemberAdded(workspace_id=workspace_id, member_id=member.id, role=role))
    elif current != role:
        facts.append(MemberRoleChanged(workspace_id=workspace_id, member_id=member.id, role=role))
    return tuple(facts)


def remove(member: MemberMFA, workspace_id: str) -> tuple[Fact, ...]:
    """Leave a workspace; an open ticket is cancelled, the binding stays."""
    if workspace_id not in member.roles:
        raise NotFound("No such member.")
    removed = MemberRemoved(workspace_id=workspace_id, member_id=member.id)
    return (removed, *close_ticket(member, CANCELLED))


def revoke_sessions(member: MemberMFA) -> tuple[Fact, ...]:
    """End every pass and pending login."""
    _refuse_stranger(member)
    return (SessionsRevoked(),)


def erase(member: MemberMFA) -> tuple[Fact, ...]:
    """End the account: leave every workspace, cancel an open ticket, never return."""
    _refuse_stranger(member)
    left = tuple(MemberRemoved(workspace_id=w, member_id=member.id) for w in member.roles)
    return (*left, *close_ticket(member, CANCELLED), Erased())


def _refuse_stranger(member: MemberMFA) -> None:
    if not member.registered or member.erased:
        raise NotFound("No such member.")
