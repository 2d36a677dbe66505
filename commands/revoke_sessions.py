"""End every pass and pending login of a member; hosts call it when a password changes."""

from dataclasses import dataclass

from commands.grants import Done
from commands.ports import Context, Desk
from domain import membership
from domain.member_mfa import MemberMFA


@dataclass(frozen=True, slots=True, kw_only=True)
class RevokeSessions:
    """Of this member, in every workspace."""

    member_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionsRevoked(Done):
    """Passes of an older epoch no longer hold."""

    epoch: int


def handle(command: RevokeSessions, context: Context, desk: Desk) -> SessionsRevoked:
    """The epoch rises; raises NotFound for a stranger."""
    member = desk.store.load(MemberMFA, command.member_id)
    position = desk.store.append(context, (member, membership.revoke_sessions(member)))
    return SessionsRevoked(position=position, epoch=member.epoch + 1)
