"""End a membership; passes stop, an open ticket is cancelled, the binding stays."""

from dataclasses import dataclass

from commands.grants import Done
from commands.open_tickets import settled
from commands.ports import Context, Desk
from domain import membership
from domain.member_mfa import MemberMFA


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveMember:
    """Take the member out of the workspace."""

    workspace_id: str
    member_id: str


def handle(command: RemoveMember, context: Context, desk: Desk) -> Done:
    """Raises NotFound for a stranger."""
    member = desk.store.load(MemberMFA, command.member_id)
    facts = membership.remove(member, command.workspace_id)
    tickets = settled(desk.store, member, "removed")
    return Done(position=desk.store.append(context, (member, facts), *tickets))
